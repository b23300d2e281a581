package serve

import (
	"context"
	"errors"
	"fmt"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/controllers"
	"github.com/sluice-gate/sluice/policies/state"
	"github.com/sluice-gate/sluice/webhook"
)

// eventSource names Sluice in events.
const eventSource = "sluice"

// cacheOptions keep the manager's cache small: of webhook configurations only Sluice's own are read.
func cacheOptions(o Options) cache.Options {
	own := cache.ByObject{Field: fields.OneTermEqualSelector("metadata.name", o.WebhookConfiguration)}
	return cache.Options{
		DefaultTransform: cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			&admissionv1.ValidatingWebhookConfiguration{}: own,
			&admissionv1.MutatingWebhookConfiguration{}:   own,
		},
	}
}

// newCache asks nobody what the kinds in cacheOptions are: a replica that starts while the API server is down waits for it, ready or
// not, instead of ending again and again.
func newCache(config *rest.Config, o cache.Options) (cache.Cache, error) {
	known := meta.NewDefaultRESTMapper(nil)
	for object := range o.ByObject {
		kind, err := apiutil.GVKForObject(object, o.Scheme)
		if err != nil {
			return nil, err
		}
		known.Add(kind, meta.RESTScopeRoot)
	}
	o.Mapper = meta.FirstHitRESTMapper{MultiRESTMapper: meta.MultiRESTMapper{known, o.Mapper}}
	return cache.New(config, o)
}

// addControllers adds the compiler, which runs on every replica, and what the leader does with its snapshots. ctx is that of the state.
func addControllers(ctx context.Context, manager, leader ctrl.Manager, o Options, gate policies.Options, current *webhook.Current, known *state.Cluster, kinds *controllers.Kinds, snapshots *controllers.Snapshots, clock *state.Clock) error {
	metrics, err := controllers.NewMetrics(o.Registerer)
	if err != nil {
		return fmt.Errorf("register metrics: %w", err)
	}
	compiler := &controllers.Compiler{
		Reader: manager.GetClient(), Options: gate, Watch: func(kinds ...schema.GroupKind) { known.Watch(ctx, kinds...) }, Snapshots: snapshots, Metrics: metrics,
		Use: func(g *policies.Gate) {
			current.Set(g, append(append(g.Kinds(), g.WatchedKinds()...), schema.GroupKind{Kind: "Pod"}))
		},
	}
	events := manager.GetEventRecorder(eventSource)
	generator, err := addGenerator(manager, leader, o, known, kinds, snapshots, events, clock)
	if err != nil {
		return err
	}
	rights := controllers.NewRights(manager.GetClient(), kinds)
	rights.Gained = generator.Relook
	interceptor := &controllers.Interceptor{
		Client: manager.GetClient(), Kinds: kinds, Configuration: o.WebhookConfiguration, Snapshots: snapshots, Unmarked: generator.Unmarked,
		MissingToHold: func(ctx context.Context) (string, error) {
			return rights.Missing(ctx, policies.Interest{HoldsPods: true})
		},
	}
	errs := []error{
		compiler.SetupWithManager(manager),
		interceptor.SetupWithManager(leader),
		(&controllers.PolicyStatus{
			Client: manager.GetClient(), Mapper: kinds, Snapshots: snapshots, Interceptor: interceptor,
			Rights: rights, Configuration: o.WebhookConfiguration, StateProblem: stateProblem(known), Events: events, Metrics: metrics,
		}).SetupWithManager(leader),
		(&controllers.ExceptionStatus{Client: manager.GetClient(), Snapshots: snapshots, Events: events, Now: clock.Now}).SetupWithManager(leader),
	}
	if o.AuditInterval > 0 {
		errs = append(errs, (&controllers.Auditor{
			Client: manager.GetClient(), Live: manager.GetAPIReader(), Mapper: kinds,
			Snapshots: snapshots, Interval: o.AuditInterval, Events: events, Now: clock.Now,
		}).SetupWithManager(leader))
	}
	return errors.Join(errs...)
}

// addGenerator adds what makes generated objects exist, and pods wait for them.
func addGenerator(manager, leader ctrl.Manager, o Options, known *state.Cluster, kinds *controllers.Kinds, snapshots *controllers.Snapshots, events events.EventRecorder, clock *state.Clock) (*controllers.Generator, error) {
	metrics, err := controllers.NewGenerateMetrics(o.Registerer)
	if err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	pods, err := kubernetes.NewForConfigAndClient(manager.GetConfig(), manager.GetHTTPClient())
	if err != nil {
		return nil, err
	}
	status := &controllers.GenerateStatus{Client: manager.GetClient(), Snapshots: snapshots, Metrics: metrics}
	generator := &controllers.Generator{
		Client: manager.GetClient(), Live: manager.GetAPIReader(), Known: known, Mapper: kinds,
		Snapshots: snapshots, Status: status, Events: events, Metrics: metrics, Now: clock.Now,
	}
	releaser := &controllers.Releaser{Client: manager.GetClient(), Pods: pods, Snapshots: snapshots, Metrics: metrics, IsFree: generator.IsFree}
	generator.Freed = releaser.Freed
	known.Subscribe(func(change state.Change) {
		generator.Told(change)
		releaser.Told(change)
	})
	return generator, errors.Join(status.SetupWithManager(leader, generator), generator.SetupWithManager(leader), releaser.SetupWithManager(leader))
}

// outdated is how long a kind may not be kept up to date before policies that ask about it say so: a watch that ends begins
// anew within seconds.
const outdated = 10 * time.Second

// stateProblem is why a kind can't be asked about, or no longer is kept up to date.
func stateProblem(known *state.Cluster) func(schema.GroupKind) error {
	return func(kind schema.GroupKind) error {
		if err := known.Known(kind); err != nil {
			return err
		}
		var problem *state.WatchError
		if errors.As(known.Problem(kind), &problem) && time.Since(problem.Since) > outdated {
			return fmt.Errorf("what is known is of %s: %w", problem.Since.UTC().Format(time.RFC3339), problem)
		}
		return nil
	}
}
