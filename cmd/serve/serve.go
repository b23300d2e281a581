// Package serve wires Sluice into a cluster: the webhook, the state it asks, and the controllers. It is the
// one place where they meet.
package serve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/sluice-gate/sluice/certs"
	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/controllers"
	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/state"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
	"github.com/sluice-gate/sluice/webhook"
)

// Options are what the manager needs to run.
type Options struct {
	Config     *rest.Config
	Library    *engine.Library
	Policies   []v1alpha1.GatePolicy
	Exceptions []v1alpha1.GateException

	WebhookHost    string // empty for all addresses
	WebhookPort    int
	CertDir        string // holds tls.crt and tls.key
	MetricsAddress string // host:port; "0" for none
	ProbeAddress   string // host:port; "0" for none

	Namespace        string // Sluice's own; exempt, and where the leader's lease is
	ExemptNamespaces []string
	LeaderElect      bool

	EvaluationTime       time.Duration
	MaxConcurrentReviews int
	// SyncTimeout bounds how long readiness waits for the state: after it, rules that ask for what is not
	// synced fail one by one.
	SyncTimeout time.Duration
	// Registerer takes the metrics that MetricsAddress serves: controller-runtime's registry, except in tests.
	Registerer prometheus.Registerer
	Log        logr.Logger
}

// leaseName names the leader's lease in Sluice's own namespace.
const leaseName = "sluice.policy.sluice.dev"

// Server is a manager that is ready to start.
type Server struct {
	// State is what the policies ask.
	State *state.Cluster

	manager ctrl.Manager
}

// New wires a server. It is an error if a policy doesn't compile: there is no server with fewer policies than
// asked for.
func New(ctx context.Context, o Options) (*Server, error) {
	created := time.Now()
	current := &webhook.Current{}
	manager, err := newManager(o, current)
	if err != nil {
		return nil, fmt.Errorf("set up manager: %w", err)
	}
	known := state.NewCluster(manager.GetCache(), manager.GetAPIReader(), manager.GetRESTMapper())
	gate, err := newGate(o, known)
	if err != nil {
		return nil, fmt.Errorf("compile policies: %w", err)
	}
	if err := known.Watch(ctx, gate.StateKinds()...); err != nil {
		return nil, err
	}
	current.Set(gate, gate.Kinds())
	generator := &controllers.Generator{Client: manager.GetClient(), Gate: func() *policies.Gate { return gate }, Since: created,
		Events: manager.GetEventRecorder("sluice")}
	if err := generator.SetupWithManager(manager); err != nil {
		return nil, fmt.Errorf("set up generate: %w", err)
	}
	if err := addChecks(manager, o, current, known, created); err != nil {
		return nil, fmt.Errorf("set up checks: %w", err)
	}
	o.Log.Info("policies compiled", "policies", len(gate.Policies()), "address", net.JoinHostPort(o.WebhookHost, strconv.Itoa(o.WebhookPort)))
	return &Server{State: known, manager: manager}, nil
}

// Run serves until the context ends.
func (s *Server) Run(ctx context.Context) error { return s.manager.Start(ctx) }

func newManager(o Options, current *webhook.Current) (ctrl.Manager, error) {
	handlers, err := webhook.NewHandlers(webhook.Options{Current: current, Registerer: o.Registerer, Log: o.Log.WithName("webhook"),
		Concurrency: o.MaxConcurrentReviews})
	if err != nil {
		return nil, err
	}
	server, err := webhook.NewServer(webhook.ServerOptions{Host: o.WebhookHost, Port: o.WebhookPort, CertDir: o.CertDir}, handlers)
	if err != nil {
		return nil, err
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	return ctrl.NewManager(o.Config, ctrl.Options{
		Scheme: scheme, Logger: o.Log, WebhookServer: server,
		Cache:                         cache.Options{DefaultTransform: cache.TransformStripManagedFields()},
		Metrics:                       metricsserver.Options{BindAddress: o.MetricsAddress},
		HealthProbeBindAddress:        o.ProbeAddress,
		LeaderElection:                o.LeaderElect,
		LeaderElectionID:              leaseName,
		LeaderElectionNamespace:       o.Namespace,
		LeaderElectionReleaseOnCancel: true,
		// Tests run several managers in one process, whose controllers share their names.
		Controller: config.Controller{SkipNameValidation: new(true)},
	})
}

func newGate(o Options, known *state.Cluster) (*policies.Gate, error) {
	budget := engine.DefaultBudget()
	if o.EvaluationTime > 0 {
		budget.Time = o.EvaluationTime
	}
	return policies.NewGate(policies.Options{
		Library: o.Library, Policies: o.Policies, Exceptions: o.Exceptions, Budget: budget,
		ExemptNamespaces: append([]string{o.Namespace}, o.ExemptNamespaces...),
		State:            known, Namespaces: known,
	})
}

// addChecks starts the webhook with the manager (GetWebhookServer adds it) and ties readiness to what a
// review needs: compiled policies, a certificate that the API server can accept, and state.
func addChecks(manager ctrl.Manager, o Options, current *webhook.Current, known *state.Cluster, started time.Time) error {
	certificate := webhook.CertificateFiles(filepath.Join(o.CertDir, certs.CertFile), filepath.Join(o.CertDir, certs.KeyFile))
	return errors.Join(
		manager.AddHealthzCheck("ping", healthz.Ping),
		manager.AddReadyzCheck("policies", current.Ready),
		manager.AddReadyzCheck("certificate", webhook.CertificateValid(certificate, time.Now)),
		manager.AddReadyzCheck("webhook", manager.GetWebhookServer().StartedChecker()),
		manager.AddReadyzCheck("state", webhook.SyncedUntil(known.Synced, started.Add(o.SyncTimeout), time.Now)),
	)
}
