// Package installed puts Sluice on a control plane as config/ ships it, with the manager in process.
package installed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sluice-gate/sluice/certs"
	"github.com/sluice-gate/sluice/cmd/serve"
	"github.com/sluice-gate/sluice/policies/profile"
	"github.com/sluice-gate/sluice/policies/state"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
	"github.com/sluice-gate/sluice/test/plane"
)

// Where config/ puts Sluice.
const (
	Namespace = "sluice-system"
	Service   = "sluice-webhook"
)

const (
	pollInterval = 50 * time.Millisecond
	readyTimeout = 60 * time.Second
)

// Options say which Sluice to run.
type Options struct {
	// Manifests is the folder config/local as seen from the test.
	Manifests string
	Profile   string
	Policies  []string // as --policies
	// Change edits the policies before they are compiled; may be nil.
	Change func([]v1alpha1.GatePolicy)
	// AuditInterval is that of serve; 0 for no audit.
	AuditInterval time.Duration
	// ReservationLife is how long hosts stay reserved; 0 is what `serve` has.
	ReservationLife time.Duration
	// BreakGlassGroups are those of serve.
	BreakGlassGroups []string
	// Requests sees what the manager asks of the API server; may be nil.
	Requests func(*http.Request)
	// Events is called before the manager reads more of a watch of a path; may be nil.
	Events func(path string)
	// Dial connects the manager to the API server; may be nil.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Now is the clock of the manager's machine; nil is time.Now.
	Now func() time.Time
	Log logr.Logger
}

// Manager is a running `serve`.
type Manager struct {
	Metrics *prometheus.Registry
	State   *state.Cluster
	Address string // host:port of the webhook

	cancel context.CancelFunc
	done   chan error
	dir    string

	options Options
}

// Start applies the manifests, starts the manager with the rights that they give it, makes the API server trust
// its certificate, applies the policies, and waits until the API server gets verdicts by them.
func Start(ctx context.Context, cluster *plane.Plane, o Options) (*Manager, error) {
	set, err := profile.Load(profile.Options{Name: o.Profile, Paths: o.Policies})
	if err != nil {
		return nil, err
	}
	if o.Change != nil {
		o.Change(set.Policies)
	}
	if err := Install(ctx, cluster, o.Manifests); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "sluice-installed-")
	if err != nil {
		return nil, err
	}
	m := &Manager{Metrics: prometheus.NewRegistry(), dir: dir, done: make(chan error, 1), options: o}
	ca, err := IssueCertificate(dir)
	if err == nil {
		err = m.serve(ctx, cluster, o, Service)
	}
	if err == nil {
		err = Trust(ctx, cluster.Config, ca)
	}
	if err == nil {
		err = ApplyPolicies(ctx, cluster, set)
	}
	if err == nil {
		err = AwaitVerdicts(ctx, cluster)
	}
	if err != nil {
		return nil, errors.Join(err, m.Stop())
	}
	return m, nil
}

// serve runs the manager as the ServiceAccount that config/rbac names, behind a Service.
func (m *Manager) serve(ctx context.Context, cluster *plane.Plane, o Options, service string) error {
	library, err := profile.ShippedRules()
	if err != nil {
		return err
	}
	config, err := cluster.ServiceAccount(ctx, Namespace, "sluice")
	if err != nil {
		return err
	}
	config.Dial = o.Dial
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return observed{next, o} })
	ports, err := FreePorts(2)
	if err != nil {
		return err
	}
	m.Address = net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[0]))
	probe := net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[1]))
	ctx, m.cancel = context.WithCancel(context.WithoutCancel(ctx))
	server, err := serve.New(ctx, serve.Options{
		Config: config, Library: library, WebhookConfiguration: "sluice", AuditInterval: o.AuditInterval,
		WebhookHost: "127.0.0.1", WebhookPort: ports[0], WebhookService: service, CertDir: m.dir, MetricsAddress: "0", ProbeAddress: probe,
		Namespace: Namespace, ServiceAccount: "sluice", BreakGlassGroups: o.BreakGlassGroups, SyncTimeout: 30 * time.Second, Registerer: m.Metrics, Log: o.Log, Now: o.Now, ReservationLife: o.ReservationLife,
	})
	if err != nil {
		m.cancel()
		m.cancel = nil
		return err
	}
	m.State = server.State
	go func() { m.done <- server.Run(ctx) }()
	cluster.Route(Namespace, service, m.Address)
	return m.awaitReady(ctx, "http://"+probe+"/readyz")
}

// observed tells of requests before they are made, and of watches before they are read.
type observed struct {
	http.RoundTripper
	options Options
}

// RoundTrip implements http.RoundTripper.
func (o observed) RoundTrip(r *http.Request) (*http.Response, error) {
	if o.options.Requests != nil {
		o.options.Requests(r)
	}
	response, err := o.RoundTripper.RoundTrip(r)
	if err == nil && o.options.Events != nil && r.URL.Query().Has("watch") {
		response.Body = observedBody{response.Body, func() { o.options.Events(r.URL.Path) }}
	}
	return response, err
}

type observedBody struct {
	io.ReadCloser
	before func()
}

// Read implements io.Reader.
func (o observedBody) Read(p []byte) (int, error) {
	n, err := o.ReadCloser.Read(p)
	o.before() // what was read is passed on
	return n, err
}

func (m *Manager) awaitReady(ctx context.Context, url string) error {
	return wait.PollUntilContextTimeout(ctx, pollInterval, readyTimeout, true, func(ctx context.Context) (bool, error) {
		select {
		case err := <-m.done:
			m.done <- err
			return false, fmt.Errorf("the manager ended: %w", err)
		default:
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return false, err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return false, nil // not listening yet
		}
		return response.StatusCode == http.StatusOK, response.Body.Close()
	})
}

// End ends the manager, which Restart may follow.
func (m *Manager) End() error {
	if m.cancel == nil {
		return nil
	}
	m.cancel()
	m.cancel = nil
	return <-m.done
}

// Restart ends the manager and starts another one in its place, with its certificate and new metrics.
func (m *Manager) Restart(ctx context.Context, cluster *plane.Plane) error {
	if err := m.End(); err != nil {
		return fmt.Errorf("stop: %w", err)
	}
	m.Metrics = prometheus.NewRegistry()
	return m.serve(ctx, cluster, m.options, Service)
}

// Stop ends the manager and removes its certificate.
func (m *Manager) Stop() error {
	return errors.Join(m.End(), os.RemoveAll(m.dir))
}

// IssueCertificate puts a serving certificate for the Service into dir and returns its authority.
func IssueCertificate(dir string) (ca []byte, err error) { return issueCertificate(dir, Service) }

func issueCertificate(dir, service string) (ca []byte, err error) {
	issued, err := certs.Issue(24*time.Hour, service+"."+Namespace+".svc")
	if err != nil {
		return nil, err
	}
	return issued.CA, issued.WriteTo(dir)
}

// Trust sets the caBundle of both webhook configurations, as cert-manager does in config/default.
func Trust(ctx context.Context, config *rest.Config, ca []byte) error {
	c, err := client.New(config, client.Options{Scheme: scheme.Scheme})
	if err != nil {
		return fmt.Errorf("connect to the API server: %w", err)
	}
	key := client.ObjectKey{Name: "sluice"}
	var mutating admissionv1.MutatingWebhookConfiguration
	if err := c.Get(ctx, key, &mutating); err != nil {
		return fmt.Errorf("get the mutating webhook: %w", err)
	}
	for i := range mutating.Webhooks {
		mutating.Webhooks[i].ClientConfig.CABundle = ca
	}
	if err := c.Update(ctx, &mutating); err != nil {
		return fmt.Errorf("set the caBundle of the mutating webhook: %w", err)
	}
	var validating admissionv1.ValidatingWebhookConfiguration
	if err := c.Get(ctx, key, &validating); err != nil {
		return fmt.Errorf("get the validating webhook: %w", err)
	}
	for i := range validating.Webhooks {
		validating.Webhooks[i].ClientConfig.CABundle = ca
	}
	if err := c.Update(ctx, &validating); err != nil {
		return fmt.Errorf("set the caBundle of the validating webhook: %w", err)
	}
	return nil
}

// probe is an Ingress that every profile refuses.
const probe = `{"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "probe", "namespace": "default"},
	"spec": {"rules": [{"host": "probe.example.com", "http": {"paths": [{"path": "/", "pathType": "Prefix",
	"backend": {"service": {"name": "probe", "port": {"number": 80}}}}]}}]}}`

// AwaitVerdicts returns once the API server gets verdicts from Sluice: it takes a moment to see what Trust
// changed. Until then it refuses everything, because the certificate is unknown.
func AwaitVerdicts(ctx context.Context, cluster *plane.Plane) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, pollInterval, readyTimeout, true, func(ctx context.Context) (bool, error) {
		_, _, last = cluster.KubectlInput(ctx, strings.NewReader(probe), "apply", "--dry-run=server", "-f", "-")
		return last != nil && strings.Contains(last.Error(), `"validate.sluice.dev" denied the request`), nil
	})
	if err != nil {
		return fmt.Errorf("wait for the first verdict: %w; last answer: %w", err, last)
	}
	return nil
}

// FreePorts are ports of loopback, all different, on which nobody listened a moment ago.
func FreePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer listener.Close()
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}
