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
	Now       func() time.Time // by which exceptions expire

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

// Relook has everything looked at again, whatever is still to wait after it failed.
func (g *Generator) Relook() { wake(g.relook) }

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
