// Package controllers holds what Sluice does in a cluster beside answering reviews.
package controllers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/state"
)

// fieldManager owns the generated fields in server-side apply.
const fieldManager = "sluice"

// Known is what exists, as far as a watch has told: *state.Cluster. An error is a kind that is not known.
type Known interface {
	Get(kind schema.GroupKind, namespace, name string) (engine.Document, bool, error)
	List(kind schema.GroupKind, namespace string) ([]engine.Document, error)
}

// Generator makes what generate policies ask for exist, and keeps it as they ask for it, whoever changes or deletes it. It is
// told of changes by Told. It runs on the leader.
type Generator struct {
	Client client.Client
	// Live reads past the cache.
	Live      client.Reader
	Known     Known
	Mapper    meta.RESTMapper
	Snapshots *Snapshots
	Status    *GenerateStatus
	Events    events.EventRecorder
	Metrics   *GenerateMetrics

	queue   workQueue[objectKey]
	read    chan struct{} // gets one when a kind was read as a whole
	ledger  ledger
	reading sync.Mutex // of the inventory
}

// How often at most what fails is tried again, and how soon at first.
const (
	generateRetry    = 100 * time.Millisecond
	generateMaxRetry = time.Minute
)

// generateWorkers bounds the requests to the API server at one time.
const generateWorkers = 8

// objectKey names an object: one that policies generate something for (a trigger), or one that they generate.
type objectKey policies.Trigger

// String is such as Namespace/shop or networking.k8s.io/Ingress/shop/web.
func (k objectKey) String() string { return policies.Trigger(k).String() }

var (
	namespaceKind = schema.GroupKind{Kind: "Namespace"}
	podKind       = schema.GroupKind{Kind: "Pod"}
)

// SetupWithManager registers the reconciler.
func (g *Generator) SetupWithManager(m ctrl.Manager) error {
	g.ledger.init()
	g.read = make(chan struct{}, 1)
	log := m.GetLogger().WithValues("controller", "generate")
	return builder.TypedControllerManagedBy[objectKey](m).Named("generate").
		WithOptions(controller.TypedOptions[objectKey]{
			MaxConcurrentReconciles: generateWorkers,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[objectKey](generateRetry, generateMaxRetry),
		}).
		WithLogConstructor(func(trigger *objectKey) logr.Logger {
			if trigger == nil {
				return log
			}
			return log.WithValues("kind", engine.FormatGroupKind(trigger.Kind), "namespace", trigger.Namespace, "name", trigger.Name)
		}).
		WatchesRawSource(source.TypedFunc[objectKey](func(ctx context.Context, queue workqueue.TypedRateLimitingInterface[objectKey]) error {
			g.queue.start(queue)
			go g.follow(ctx, log)
			return nil
		})).
		Complete(g)
}

// follow looks at everything at the start, after each change of the policies, and when a kind was read as a whole.
func (g *Generator) follow(ctx context.Context, log logr.Logger) {
	changed := g.Snapshots.listen()
	for {
		g.forgetPolicies()
		if err := g.all(); err != nil && !errors.Is(err, state.ErrNotSynced) { // when it is, Told brings us back
			log.Error(err, "list what policies generate for")
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-g.read:
		}
	}
}

// forgetPolicies drops what is known of policies that are gone, or generate nothing any more: others may have their objects.
func (g *Generator) forgetPolicies() {
	snapshot := g.Snapshots.Load()
	if snapshot == nil {
		return
	}
	for _, name := range g.ledger.policies() {
		if len(snapshot.Policies[name].Interest.Generates) == 0 {
			g.ledger.forgetPolicy(name)
			g.Metrics.triggers.DeletePartialMatch(map[string]string{"policy": name})
			g.Status.touch(name)
		}
	}
}

// Told takes a change of the state: of something that policies generate for, or of something that they generate.
func (g *Generator) Told(change state.Change) {
	snapshot := g.Snapshots.Load()
	if !g.queue.started() || snapshot == nil {
		return // all is looked at when the time comes
	}
	if change.Name == "" {
		select {
		case g.read <- struct{}{}:
		default: // there is one already
		}
		return
	}
	key := objectKey{change.Kind, change.Namespace, change.Name}
	if snapshot.triggers[change.Kind] {
		g.queue.add(key)
	}
	for _, trigger := range g.ledger.seen(key) {
		g.queue.add(trigger)
	}
}

// all looks at everything that policies generate for, after what people wait for.
func (g *Generator) all() error {
	snapshot := g.Snapshots.Load()
	if snapshot == nil {
		return nil
	}
	var errs []error
	for kind := range snapshot.triggers {
		objects, err := g.Known.List(kind, "")
		errs = append(errs, err)
		for _, object := range objects {
			metadata := object.Get("metadata")
			g.queue.addLate(objectKey{kind, metadata.Get("namespace").Text(), metadata.Get("name").Text()})
		}
	}
	return errors.Join(errs...)
}

// Reconcile makes exist what policies ask for beside one object. What fails is retried with backoff, and keeps nothing else
// from being done.
func (g *Generator) Reconcile(ctx context.Context, trigger objectKey) (ctrl.Result, error) {
	snapshot := g.Snapshots.Load()
	if snapshot == nil || !snapshot.triggers[trigger.Kind] {
		return ctrl.Result{}, nil // the first snapshot brings us back
	}
	object, found, err := g.Known.Get(trigger.Kind, trigger.Namespace, trigger.Name)
	switch {
	case errors.Is(err, state.ErrNotSynced):
		return ctrl.Result{}, nil // Told brings us back
	case err != nil:
		return ctrl.Result{}, fmt.Errorf("look at %s: %w", trigger, err)
	case !found || object.Get("metadata", "deletionTimestamp").Exists():
		g.Status.touch(g.ledger.forget(trigger)...)
		return ctrl.Result{}, g.unmark(ctx, snapshot, trigger, object)
	}
	request, err := policies.Compose(engine.Create, object, engine.Document{})
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("compose request for %s: %w", trigger, err)
	}
	work := &generation{Generator: g, snapshot: snapshot, trigger: trigger, object: object}
	for _, asked := range snapshot.Gate.Generations(ctx, request) {
		work.settle(ctx, asked)
	}
	if trigger.Kind == namespaceKind {
		work.failed(g.mark(ctx, snapshot, object, work.held))
	}
	return ctrl.Result{RequeueAfter: work.again}, errors.Join(work.errs...)
}

// generation is the work on one trigger.
type generation struct {
	*Generator
	snapshot *Snapshot
	trigger  objectKey
	object   engine.Document
	held     bool          // the trigger is a namespace whose pods have to wait
	again    time.Duration // when to look again at what is not done, 0 for never
	errs     []error
}

func (w *generation) failed(err error) {
	if err != nil {
		w.errs = append(w.errs, err)
	}
}

// settle does what one policy asks for, and notes what came of it.
func (w *generation) settle(ctx context.Context, asked policies.Generation) {
	result, known := w.snapshot.Policies[asked.Policy]
	if !known {
		return
	}
	holdings, err := w.inventory(ctx, asked.Policy, result)
	out := outcome{generation: result.activeGeneration()}
	switch {
	case err != nil:
		out.state, out.message = failedState, err.Error()
	case asked.Matched && asked.Older && len(holdings.of(w.trigger)) == 0:
		out.state = olderState
	case asked.Err == nil && (!asked.Matched || len(asked.Objects) == 0): // to ask for nothing is not to be for it
		if w.ledger.note(asked.Policy, w.trigger, outcome{}) {
			w.Status.touch(asked.Policy)
		}
		w.failed(w.unmatched(ctx, asked, holdings))
		return
	case asked.Err != nil:
		err = asked.Err
		out.state, out.message = failedState, err.Error()
	case !asked.Writes:
		out.state, out.message = w.compare(asked, result)
	default:
		var pending *pendingError
		switch err = w.keep(ctx, asked, result, holdings); {
		case err == nil:
			out.state = satisfiedState
		case errors.As(err, &pending):
			out.state, out.message, err = pendingState, err.Error(), nil
			w.wait(pending.retry)
		default:
			out.state, out.message = failedState, err.Error()
		}
	}
	if asked.Writes && asked.Keep.HoldPods && (out.state == failedState || out.state == pendingState) {
		w.held = true
	}
	if w.ledger.note(asked.Policy, w.trigger, out) {
		w.Status.touch(asked.Policy)
		w.tell(asked.Policy, out)
	}
	if err != nil {
		w.failed(fmt.Errorf("policy %q for %s: %w", asked.Policy, w.trigger, err))
		w.Metrics.failures.WithLabelValues(asked.Policy).Inc()
	}
}

func (w *generation) wait(retry time.Duration) {
	if retry > 0 && (w.again == 0 || retry < w.again) {
		w.again = retry
	}
}

// tell makes an event of what failed, once for each reason.
func (w *generation) tell(policy string, out outcome) {
	if out.state == failedState {
		w.Events.Eventf(referenceTo(w.object), nil, "Warning", "GenerateFailed", "Generate", "policy %s: %s",
			policy, truncate(out.message, maxEventMessage-len(policy)-10))
	}
}
