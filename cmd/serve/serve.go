// Package serve wires Sluice into a cluster: the webhook, the state it asks, and the controllers. It is the
// one place where they meet.
package serve

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/discovery"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/sluice-gate/sluice/certs"
	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/controllers"
	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/reservation"
	"github.com/sluice-gate/sluice/policies/state"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
	"github.com/sluice-gate/sluice/webhook"
	"github.com/sluice-gate/sluice/webhook/decisionlog"
)

// Options are what the manager needs to run.
type Options struct {
	Config *rest.Config
	// Library holds the rules that GatePolicies name.
	Library *engine.Library

	WebhookHost    string // empty for all addresses
	WebhookPort    int
	CertDir        string // holds tls.crt and tls.key
	WebhookService string // in Namespace: the API server's way to the webhook, which the certificate has to name
	// SelfManaged makes the certificate where no cert-manager does, and writes it to CertDir.
	SelfManaged    bool
	MetricsAddress string // host:port; "0" for none
	ProbeAddress   string // host:port; "0" for none

	Namespace        string // Sluice's own; exempt, and where the leader's lease is
	ServiceAccount   string // Sluice's own, in its namespace: what it does itself is not judged
	ExemptNamespaces []string
	// BreakGlassGroups are those whose members may change what policies generated.
	BreakGlassGroups []string
	// Defaults are parameters for policies that leave them out: see policies.Options.
	Defaults    map[string]map[string]any
	LeaderElect bool
	// WebhookConfiguration is the name of the validating and of the mutating webhook configuration.
	WebhookConfiguration string
	// AuditInterval is the time between two looks at everything that exists; 0 for none.
	AuditInterval time.Duration

	EvaluationTime       time.Duration
	MaxConcurrentReviews int
	// SyncTimeout bounds how long readiness waits for the state: after it, rules that ask for what is not
	// synced fail one by one.
	SyncTimeout time.Duration
	// DrainTime is how long everything goes on after Run is told to end, unready and with each answer the last one of its
	// connection. 0 ends at once.
	DrainTime time.Duration
	// ReservationLife is how long a host stays reserved for an Ingress that was admitted, and how long the change of a
	// NetworkPolicy that was admitted may take to be stored; 0 is
	// reservation.DefaultLife. Only tests, whose requests don't take a minute, need another.
	ReservationLife time.Duration
	PprofAddress    string // host:port; empty for none

	// TracingEndpoint is the URL of an OTLP/HTTP collector; empty for none. TracingRatio is the share of reviews that are
	// traced, of those that the API server leaves to Sluice.
	TracingEndpoint string
	TracingRatio    float64
	// DecisionLog says where decisions are logged; no Output is no log. Registerer and Log are set from the options here.
	DecisionLog decisionlog.Options
	// Registerer takes the metrics that MetricsAddress serves: controller-runtime's registry, except in tests.
	Registerer prometheus.Registerer
	Log        logr.Logger
	// Now is this machine's clock, time.Now if nil; only tests have another. What replicas or the API server must agree with goes
	// by state.Clock.
	Now func() time.Time
}

// Server is a manager that is ready to start.
type Server struct {
	// State is what the policies ask.
	State *state.Cluster

	manager   ctrl.Manager
	leader    ctrl.Manager
	observers *observers
	drain     *webhook.Drain
	drainTime time.Duration

	serving context.Context // ends when the replica is drained
	stop    context.CancelFunc
}

// New wires a server. Policies are read from the cluster once it runs; ctx is that of Run.
func New(ctx context.Context, o Options) (*Server, error) {
	observers, err := newObservers(ctx, o)
	if err != nil {
		return nil, err
	}
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	server, err := newServer(ctx, serving, o, observers)
	if err != nil {
		stop()
		return nil, errors.Join(err, observers.close(ctx))
	}
	server.serving, server.stop = serving, stop
	return server, nil
}

// newServer makes what it waits for until ctx ends, and all that goes on with serving.
func newServer(ctx, serving context.Context, o Options, observers *observers) (*Server, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	created := o.Now()
	o.Config = toAPIServer(o.Config)
	current := &webhook.Current{}
	recorder := &lateRecorder{}
	certificate := certs.NewServing(o.CertDir)
	drain := &webhook.Drain{}
	manager, err := newManager(o, parts{current, recorder, drain, observers, certificate})
	if err != nil {
		return nil, fmt.Errorf("set up manager: %w", err)
	}
	recorder.use(manager.GetEventRecorder(eventSource))
	leader, err := newLeader(manager, o)
	if err != nil {
		return nil, fmt.Errorf("set up leader election: %w", err)
	}
	clock, err := addClock(manager, o)
	if err != nil {
		return nil, fmt.Errorf("set up clock: %w", err)
	}
	if err := addRotator(ctx, manager, o, clock); err != nil {
		return nil, fmt.Errorf("set up certificate: %w", err)
	}
	objects, err := state.NewClient(manager.GetConfig(), manager.GetHTTPClient())
	if err != nil {
		return nil, fmt.Errorf("set up state: %w", err)
	}
	served, err := discovery.NewDiscoveryClientForConfigAndClient(manager.GetConfig(), manager.GetHTTPClient())
	if err != nil {
		return nil, fmt.Errorf("set up discovery: %w", err)
	}
	kinds := controllers.NewKinds(manager.GetRESTMapper(), served)
	known := state.NewCluster(objects, manager.GetAPIReader(), kinds, clock.Now)
	reservations, err := newReservations(manager, o, known, clock)
	if err != nil {
		return nil, fmt.Errorf("set up reservations: %w", err)
	}
	snapshots := &controllers.Snapshots{}
	gate := gateOptions(o, known, reservations, clock)
	if err := addControllers(serving, manager, leader, o, gate, current, known, kinds, snapshots, clock); err != nil {
		return nil, fmt.Errorf("set up controllers: %w", err)
	}
	webhook.NewVetting(manager.GetClient(), manager.GetAPIReader(), func() policies.Options {
		asked := gate
		asked.Previous = snapshots.Gate()
		return asked
	}).Register(manager.GetWebhookServer(), manager.GetScheme())
	err = errors.Join(addChecks(serving, manager, o, current, known, certificate, clock, created), manager.AddReadyzCheck("drain", drain.Ready))
	if err != nil {
		return nil, fmt.Errorf("set up checks: %w", err)
	}
	return &Server{State: known, manager: manager, leader: leader, observers: observers, drain: drain, drainTime: o.DrainTime}, nil
}

// toAPIServer leaves it to the API server to say what is too much, unless a rate is given: client-go's default of 5 requests a
// second would hold up reviews that ask for a new namespace, and the status of a thousand policies for minutes. Nothing is compressed:
// within a cluster that costs both sides more than it saves (kubernetes/kubernetes#80919).
func toAPIServer(config *rest.Config) *rest.Config {
	config = rest.CopyConfig(config)
	config.DisableCompression = true
	if config.QPS == 0 {
		config.QPS = -1
	}
	return config
}

// Run serves until the context ends, or the lease of the leader is lost, and the replica is drained. Meanwhile it judges by what it
// sees, as before. It can be called once.
func (s *Server) Run(ctx context.Context) error {
	defer s.stop()
	drain := func() {
		s.drain.Begin()
		time.AfterFunc(s.drainTime, s.stop)
	}
	defer context.AfterFunc(ctx, drain)()
	led := make(chan error, 1)
	go func() {
		led <- s.leader.Start(s.serving)
		drain() // it can't be started again; the process can
	}()
	err := s.manager.Start(s.serving)
	s.stop()
	return errors.Join(err, <-led, s.observers.close(ctx))
}

// parts are what a manager's webhook is made of.
type parts struct {
	current     *webhook.Current
	recorder    events.EventRecorder
	drain       *webhook.Drain
	observers   *observers
	certificate *certs.Serving
}

func newManager(o Options, with parts) (ctrl.Manager, error) {
	handlers, err := webhook.NewHandlers(webhook.Options{Current: with.current, Registerer: o.Registerer, Log: o.Log.WithName("webhook"),
		Events: with.recorder, Decisions: with.observers.decisions, Tracer: with.observers.tracer(), Concurrency: o.MaxConcurrentReviews})
	if err != nil {
		return nil, err
	}
	server, err := webhook.NewServer(webhook.ServerOptions{Host: o.WebhookHost, Port: o.WebhookPort, Certificate: with.certificate.Certificate, Drain: with.drain}, handlers)
	if err != nil {
		return nil, err
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	return ctrl.NewManager(o.Config, ctrl.Options{
		Scheme: scheme, Logger: o.Log, WebhookServer: server,
		Cache:                  cacheOptions(o),
		NewCache:               newCache,
		Metrics:                metricsserver.Options{BindAddress: o.MetricsAddress},
		HealthProbeBindAddress: o.ProbeAddress,
		PprofBindAddress:       o.PprofAddress,
		Controller:             severalInAProcess(),
	})
}

// addClock keeps the API server's time.
func addClock(manager ctrl.Manager, o Options) (*state.Clock, error) {
	clock, err := state.NewClock(manager.GetConfig(), manager.GetHTTPClient(), o.Now)
	if err != nil {
		return nil, err
	}
	return clock, manager.Add(clock)
}

// newReservations has a client of its own: it must not read from a cache.
func newReservations(manager ctrl.Manager, o Options, known *state.Cluster, clock *state.Clock) (*reservation.Journal, error) {
	leases, err := client.NewWithWatch(manager.GetConfig(), client.Options{Scheme: manager.GetScheme(), Mapper: manager.GetRESTMapper()})
	if err != nil {
		return nil, err
	}
	replica, err := os.Hostname() // in a pod, its name
	if err != nil {
		return nil, err
	}
	journal, err := reservation.NewJournal(reservation.Options{Client: leases, Namespace: o.Namespace, Replica: replica, State: known, Life: o.ReservationLife, Now: clock.Now})
	if err != nil {
		return nil, err
	}
	return journal, manager.Add(journal)
}

func gateOptions(o Options, known *state.Cluster, reservations *reservation.Journal, clock *state.Clock) policies.Options {
	budget := engine.DefaultBudget()
	if o.EvaluationTime > 0 {
		budget.Time = o.EvaluationTime
	}
	return policies.Options{Library: o.Library, Budget: budget, ExemptNamespaces: append([]string{o.Namespace}, o.ExemptNamespaces...),
		Self: "system:serviceaccount:" + o.Namespace + ":" + o.ServiceAccount, BreakGlass: o.BreakGlassGroups,
		Defaults: o.Defaults, State: known, Namespaces: known, Claims: reservations.Hosts(), Isolation: reservations.Isolation(), Live: known.Live(), Now: clock.Now}
}
