// Package controllers holds what Sluice does in a cluster beside answering reviews.
package controllers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/time/rate"
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
	"github.com/sluice-gate/sluice/policies/v1alpha1"
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

	// Freed is told of a namespace whose pods need not wait any more.
	Freed func(namespace string)

	queue   workQueue[objectKey]
	relook  chan struct{} // gets one when everything has to be looked at again
	ended   chan struct{} // gets one when everything was
	ledger  ledger
	reading sync.Mutex        // of the inventory
	unread  map[string]unread // why the inventory of a policy could not be read
	later   atomic.Bool       // everything will be looked at again in a moment
}

// How soon what fails is tried again at first, how seldom at last, and how often all of it together: a cause that a thousand
// namespaces share must not keep the API server busy.
const (
	generateRetry     = 100 * time.Millisecond
	generateMaxRetry  = time.Minute
	retriesPerSecond  = 10
	retriesAtOneTime  = 100
	relookAfterChange = time.Second // of what rules ask about
)

// retries is the rate limiter of what fails.
func retries[T comparable]() workqueue.TypedRateLimiter[T] {
	return workqueue.NewTypedMaxOfRateLimiter(
		workqueue.NewTypedItemExponentialFailureRateLimiter[T](generateRetry, generateMaxRetry),
		&workqueue.TypedBucketRateLimiter[T]{Limiter: rate.NewLimiter(retriesPerSecond, retriesAtOneTime)})
}

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
	g.relook, g.ended, g.unread = make(chan struct{}, 1), make(chan struct{}, 1), map[string]unread{}
	log := m.GetLogger().WithValues("controller", "generate")
	return builder.TypedControllerManagedBy[objectKey](m).Named("generate").
		WithOptions(controller.TypedOptions[objectKey]{
			MaxConcurrentReconciles: generateWorkers,
			RateLimiter:             retries[objectKey](),
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

// follow looks at everything at the start, after each change of the policies, when an exception expires, and when the state says
// so. When everything was looked at, what is left over goes.
func (g *Generator) follow(ctx context.Context, log logr.Logger) {
	changed := g.Snapshots.listen()
	whole, look := false, true
	for {
		if look {
			g.forgetPolicies()
			err := g.all()
			if whole = err == nil; !whole && !errors.Is(err, state.ErrNotSynced) { // when it is, Told brings us back
				log.Error(err, "list what policies generate for")
			}
		}
		if whole {
			g.pass(ctx, log)
		}
		expiry, stop := g.nextExpiry()
		look = true
		select {
		case <-ctx.Done():
			stop()
			return
		case <-changed:
		case <-g.relook:
		case <-expiry:
		case <-g.ended:
			look = false
		}
		stop()
	}
}

// nextExpiry gets one when an exception ceases to excuse.
func (g *Generator) nextExpiry() (expiry <-chan time.Time, stop func()) {
	gate := g.Snapshots.Gate()
	if gate == nil {
		return nil, func() {}
	}
	at, some := gate.NextExpiry(time.Now())
	if !some {
		return nil, func() {}
	}
	timer := time.NewTimer(time.Until(at) + time.Millisecond)
	return timer.C, func() { timer.Stop() }
}

// pass notes that everything was looked at, if it was, and removes what nothing asks for.
func (g *Generator) pass(ctx context.Context, log logr.Logger) {
	snapshot := g.Snapshots.Load()
	if snapshot == nil {
		return
	}
	versions := map[string]policyVersion{}
	for name, result := range snapshot.Policies {
		if len(result.Interest.Generates) > 0 {
			versions[name] = result.version()
		}
	}
	left, done := g.ledger.pass(versions)
	if !done {
		return
	}
	for name := range versions {
		g.Status.touch(name)
	}
	for name, objects := range left {
		if !snapshot.Policies[name].Interest.Keeps {
			continue
		}
		for _, object := range objects {
			if err := g.remove(ctrl.LoggerInto(ctx, log), g.ledger.holdingsOf(name), unattributed, object, "the policy no longer asks for it"); err != nil {
				log.Error(err, "remove what is left over", "policy", name)
			}
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
		g.ledger.forgetReceipts(change.Kind)
		wake(g.relook)
		return
	}
	if snapshot.asked[change.Kind] && g.later.CompareAndSwap(false, true) {
		time.AfterFunc(relookAfterChange, func() {
			g.later.Store(false)
			wake(g.relook)
		})
	}
	key := objectKey{change.Kind, change.Namespace, change.Name}
	if snapshot.triggers[change.Kind] {
		g.queue.add(key)
	}
	for _, trigger := range g.ledger.seen(key) {
		g.queue.add(trigger)
	}
}

// wake puts one into a channel that has none.
func wake(channel chan struct{}) {
	select {
	case channel <- struct{}{}:
	default:
	}
}

// all looks at everything that policies generate for, after what people wait for.
func (g *Generator) all() error {
	snapshot := g.Snapshots.Load()
	if snapshot == nil {
		return nil
	}
	var errs []error
	var triggers []objectKey
	for kind := range snapshot.triggers {
		objects, err := g.Known.List(kind, "")
		errs = append(errs, err)
		for _, object := range objects {
			metadata := object.Get("metadata")
			triggers = append(triggers, objectKey{kind, metadata.Get("namespace").Text(), metadata.Get("name").Text()})
		}
	}
	g.ledger.begin(triggers)
	for _, trigger := range triggers {
		g.queue.addLate(trigger)
	}
	return errors.Join(errs...)
}

// Reconcile makes exist what policies ask for beside one object. What fails is retried with backoff, and keeps nothing else
// from being done.
func (g *Generator) Reconcile(ctx context.Context, trigger objectKey) (ctrl.Result, error) {
	snapshot := g.Snapshots.Load()
	if snapshot == nil {
		return ctrl.Result{}, nil // the first snapshot brings us back
	}
	object, found, err := g.Known.Get(trigger.Kind, trigger.Namespace, trigger.Name)
	if errors.Is(err, state.ErrNotSynced) {
		return ctrl.Result{}, nil // Told brings us back
	}
	defer func() {
		if g.ledger.end(trigger) {
			wake(g.ended)
		}
	}()
	switch {
	case !snapshot.triggers[trigger.Kind]:
		return ctrl.Result{}, nil
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
	work.mark(ctx)
	return ctrl.Result{RequeueAfter: work.again}, errors.Join(work.errs...)
}

// generation is the work on one trigger.
type generation struct {
	*Generator
	snapshot *Snapshot
	trigger  objectKey
	object   engine.Document
	held     bool          // the trigger is a namespace whose pods have to wait
	unknown  bool          // nobody can tell whether they have to
	holders  []string      // the policies for which they do, if so
	seen     []objectKey   // what exists as the state has it
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
	unread := err != nil
	out := outcome{generation: result.activeGeneration()}
	switch {
	case asked.Err == nil && (!asked.Matched || len(asked.Objects) == 0): // to ask for nothing is not to be for it
		if err == nil {
			err = w.unmatched(ctx, asked, holdings)
		} else if asked.Keep.OnUnmatch != v1alpha1.Remove {
			err = nil // there is nothing to do
		}
		w.failed(err)
		w.note(asked.Policy, outcome{})
		return
	case unread:
	case asked.Older && len(holdings.of(w.trigger)) == 0:
		out.state = olderState
	case asked.Err != nil:
		err = asked.Err
	case !asked.Writes:
		out.state, out.message = w.compare(asked, result)
	default:
		if err = w.keep(ctx, asked, result, holdings); err == nil {
			out.state = satisfiedState
		}
	}
	if pending := new(pendingError); errors.As(err, &pending) {
		out.state, out.message, err = pendingState, err.Error(), nil
		w.wait(pending.retry)
		unread = unread || pending.unknown
	}
	if err != nil {
		out.state, out.message = failedState, err.Error()
		w.failed(fmt.Errorf("policy %q for %s: %w", asked.Policy, w.trigger, err))
		w.Metrics.failures.WithLabelValues(asked.Policy).Inc()
	}
	if asked.Writes && asked.Keep.HoldPods {
		w.holders = append(w.holders, asked.Policy)
		w.unknown = w.unknown || unread
		w.held = w.held || !unread && (out.state == failedState || out.state == pendingState)
	}
	w.note(asked.Policy, out)
}

// note keeps what came of a policy's turn, and tells of what is new.
func (w *generation) note(policy string, out outcome) {
	if w.ledger.note(policy, w.trigger, out) {
		w.Status.touch(policy)
		w.tell(policy, out)
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
