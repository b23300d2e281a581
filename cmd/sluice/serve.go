package main

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/sluice-gate/sluice/cmd/serve"
	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/profile"
)

// defaultNamespace is where config/ installs Sluice.
const defaultNamespace = "sluice-system"

func newServeCommand() *cobra.Command {
	o := serve.Options{Namespace: os.Getenv("POD_NAMESPACE"), Registerer: metrics.Registry}
	if o.Namespace == "" {
		o.Namespace = defaultNamespace
	}
	var kubeconfig, dataplane, logFormat, logLevel string
	var observe observeFlags
	command := &cobra.Command{
		Use:   "serve",
		Short: "Run the admission webhook and the controllers",
		Long: `Run the admission webhook and the controllers until the process is told to stop.

The policies are the GatePolicies of the cluster, their exceptions its GateExceptions. Both are watched: a
change is in use within a second. Of a policy that doesn't compile the last version that did stays in use.`,
		Example: "  sluice serve --cert-dir /var/run/sluice/certs --leader-elect",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			log, err := newLogger(logFormat, logLevel)
			if err != nil {
				return err
			}
			if err := errors.Join(checkServeFlags(o), observe.apply(&o)); err != nil {
				return err
			}
			ctrl.SetLogger(log)
			o.Log = log
			if o.Library, err = profile.ShippedRules(); err != nil {
				return fmt.Errorf("load the shipped rules: %w", err)
			}
			if o.Defaults, err = policies.DataplaneDefaults(o.Library, dataplane); err != nil {
				return fmt.Errorf("--dataplane: %w", err)
			}
			if o.Config, err = clusterConfig(kubeconfig); err != nil {
				return fmt.Errorf("find the cluster: %w", err)
			}
			serve.TuneCollector()
			server, err := serve.New(c.Context(), o)
			if err != nil {
				return err
			}
			return server.Run(c.Context())
		},
	}
	flags := command.Flags()
	addServeFlags(flags, &o)
	observe.add(flags)
	flags.StringVar(&dataplane, "dataplane", "", dataplaneUsage+"; auto looks for it in the cluster")
	flags.StringVar(&kubeconfig, "kubeconfig", "", "kubeconfig file (default $KUBECONFIG, else the service account of the pod)")
	flags.StringVar(&logFormat, "log-format", "json", "json or text")
	flags.StringVar(&logLevel, "log-level", "info", "debug, info or error")
	return command
}

func addServeFlags(flags *pflag.FlagSet, o *serve.Options) {
	flags.StringVar(&o.WebhookHost, "webhook-host", "", "address on which the webhook listens (default all)")
	flags.IntVar(&o.WebhookPort, "webhook-port", 9443, "port on which the webhook listens")
	flags.StringVar(&o.CertDir, "cert-dir", "/var/run/sluice/certs", "folder with tls.crt and tls.key; both are read again when they change")
	flags.BoolVar(&o.SelfManaged, "self-managed-certificate", false, "make and renew the certificate without cert-manager, in a Secret of the namespace, write it to --cert-dir, and keep the caBundle of the webhook configurations")
	flags.StringVar(&o.WebhookService, "webhook-service", "sluice-webhook", "Service in Sluice's namespace at which the API server calls the webhook: readiness asks for a certificate of that name")
	flags.StringVar(&o.MetricsAddress, "metrics-bind-address", ":8080", "host:port of /metrics, 0 for none")
	flags.StringVar(&o.ProbeAddress, "health-probe-bind-address", ":8081", "host:port of /healthz and /readyz, 0 for none")
	flags.BoolVar(&o.LeaderElect, "leader-elect", false, "run the controllers on one replica only; every replica answers reviews")
	flags.StringVar(&o.WebhookConfiguration, "webhook-configuration", "sluice", "name of the validating and of the mutating webhook configuration, whose rules follow the policies")
	flags.DurationVar(&o.AuditInterval, "audit-interval", 10*time.Minute, "time between two audits of what exists, beside one after every change of a policy; 0 for none")
	flags.StringVar(&o.Namespace, "namespace", o.Namespace, "Sluice's own namespace, which is exempt (default $POD_NAMESPACE)")
	flags.StringVar(&o.ServiceAccount, "service-account", "sluice", "Sluice's own ServiceAccount in its namespace: what it does itself is not judged")
	flags.StringSliceVar(&o.BreakGlassGroups, "break-glass-groups", nil, "groups whose members may change and delete what policies generated, with a warning, an event and a metric; it is put back while a policy asks for it (default none)")
	flags.StringSliceVar(&o.ExemptNamespaces, "exempt-namespaces", nil, "further namespaces that are never judged, names or globs: CNI, ingress controllers, cert-manager")
	flags.DurationVar(&o.EvaluationTime, "evaluation-timeout", 100*time.Millisecond, "time for the evaluation of one policy")
	flags.IntVar(&o.MaxConcurrentReviews, "max-concurrent-reviews", 0, "reviews judged at the same time; more wait, then get 429 (default 4 per processor, at least 16)")
	flags.DurationVar(&o.SyncTimeout, "sync-timeout", 30*time.Second, "how long readiness waits for the state; rules that need what is missing then fail one by one")
	flags.DurationVar(&o.DrainTime, "drain-time", 8*time.Second, "how long everything goes on after the process is told to stop, unready, so that the API server gives up its connections")
}

// checkServeFlags refuses numbers that mean nothing.
func checkServeFlags(o serve.Options) error {
	var errs []error
	for _, flag := range []struct {
		name  string
		value time.Duration
		least time.Duration
		want  string
	}{
		{"audit-interval", o.AuditInterval, 0, "10m, or 0 for no audits but those after changes of policies"},
		{"evaluation-timeout", o.EvaluationTime, 1, "more than 0, such as 100ms"},
		{"sync-timeout", o.SyncTimeout, 0, "30s, or 0 not to wait"},
		{"drain-time", o.DrainTime, 0, "8s, or 0 to stop at once"},
	} {
		if flag.value < flag.least {
			errs = append(errs, fmt.Errorf("--%s %s: want %s", flag.name, flag.value, flag.want))
		}
	}
	if o.MaxConcurrentReviews < 0 {
		errs = append(errs, fmt.Errorf("--max-concurrent-reviews %d: want a number, or 0 for 4 per processor", o.MaxConcurrentReviews))
	}
	if o.WebhookPort < 1 || o.WebhookPort > math.MaxUint16 {
		errs = append(errs, fmt.Errorf("--webhook-port %d: want a port, 1 to 65535", o.WebhookPort))
	}
	return errors.Join(errs...)
}

// clusterConfig follows kubectl's order, but never a kubeconfig in the home folder: a gate must not serve
// a cluster that happens to be somebody's default.
func clusterConfig(kubeconfig string) (*rest.Config, error) {
	if kubeconfig == "" {
		kubeconfig = os.Getenv(clientcmd.RecommendedConfigPathEnvVar)
	}
	if kubeconfig == "" {
		return rest.InClusterConfig()
	}
	return clientcmd.BuildConfigFromFlags("", kubeconfig)
}

// newLogger writes to stderr; level debug includes what logr calls V(1) to V(4).
func newLogger(format, level string) (logr.Logger, error) {
	var parsed slog.Level
	if err := parsed.UnmarshalText([]byte(level)); err != nil {
		return logr.Logger{}, fmt.Errorf("--log-level %q: want debug, info or error", level)
	}
	options := &slog.HandlerOptions{Level: parsed}
	switch format {
	case "json":
		return logr.FromSlogHandler(slog.NewJSONHandler(os.Stderr, options)), nil
	case "text":
		return logr.FromSlogHandler(slog.NewTextHandler(os.Stderr, options)), nil
	}
	return logr.Logger{}, fmt.Errorf("--log-format %q: want json or text", format)
}
