package state

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	toolscache "k8s.io/client-go/tools/cache"

	"github.com/sluice-gate/sluice/policies/engine"
)

// WatchError is why a kind can't be read, or can't be kept up to date.
type WatchError struct {
	Kind schema.GroupKind
	// Verb is what failed, list or watch; empty where the kind is not served at all.
	Verb string
	// Resource is unknown where the kind is not served.
	Resource schema.GroupResource
	// Since is when what failed was first tried: from then on the kind is not kept up to date.
	Since time.Time
	Err   error
}

// Error implements error.
func (e *WatchError) Error() string {
	kind := engine.FormatGroupKind(e.Kind)
	switch {
	case e.Verb == "":
		return fmt.Sprintf("the API server does not serve %s: %v", kind, e.Err)
	case e.Forbidden():
		return fmt.Sprintf("Sluice may not %s %s", e.Verb, e.Resource)
	}
	return fmt.Sprintf("%s %s: %v", e.Verb, e.Resource, e.Err)
}

// Unwrap implements errors.Unwrap.
func (e *WatchError) Unwrap() error { return e.Err }

// Forbidden tells whether rights are missing.
func (e *WatchError) Forbidden() bool { return apierrors.IsForbidden(e.Err) }

// watched keeps one kind in the index, from the API server's list and watch. It is the store of a reflector.
type watched struct {
	kind    schema.GroupKind
	cluster *Cluster
	stop    context.CancelFunc
	synced  atomic.Bool
	problem atomic.Pointer[WatchError]
	behind  atomic.Pointer[time.Time] // since when no watch is open and no list has come; nil while one is

	mu      sync.Mutex
	dropped bool
	version uint64        // of the API server's data, up to which the index has everything
	change  uint64        // the last version by which something was seen to come, change or go
	newer   chan struct{} // closed when version rises; nil if nobody waits
}

func newWatched(ctx context.Context, c *Cluster, kind schema.GroupKind) *watched {
	w := &watched{kind: kind, cluster: c}
	ctx, w.stop = context.WithCancel(logr.NewContext(ctx, logr.Discard())) // who asks for the problem tells of it
	go w.run(ctx)
	return w
}

// drop ends the watch and forgets its objects.
func (w *watched) drop() {
	w.stop()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dropped = true
	w.cluster.forget(w.kind)
}

// The pause after a kind was not found, at first and at most.
const (
	firstPause = 500 * time.Millisecond
	maxPause   = 30 * time.Second
)

// run keeps the kind while it is served, in whichever version that is.
func (w *watched) run(ctx context.Context) {
	pause := wait.Backoff{Duration: firstPause, Factor: 2, Jitter: 0.2, Steps: 10, Cap: maxPause}
	for ctx.Err() == nil {
		mapping, err := w.cluster.mapper.RESTMapping(w.kind)
		if err == nil {
			w.reflect(ctx, mapping.Resource)
		} else {
			if meta.IsNoMatchError(err) {
				w.unserved()
			}
			w.fail(WatchError{Kind: w.kind, Err: err})
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause.Step()):
		}
	}
}

// unserved forgets objects that went with their CustomResourceDefinition.
func (w *watched) unserved() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.synced.Swap(false) && !w.dropped {
		w.cluster.forget(w.kind)
	}
}

// try notes that the API server is asked, and tells since when it has been asked in vain. A client tries again for
// minutes before it tells of an error.
func (w *watched) try() time.Time {
	now := new(time.Now())
	if w.behind.CompareAndSwap(nil, now) {
		return *now
	}
	if since := w.behind.Load(); since != nil {
		return *since
	}
	return *now // another request was answered just now
}

// fail notes a problem. One that lasts keeps its beginning.
func (w *watched) fail(problem WatchError) {
	problem.Since = w.try()
	w.problem.Store(&problem)
}

// stale tells that the kind has not been kept up to date for some time, and why as far as is known.
func (w *watched) stale(after time.Duration) error {
	if since := w.behind.Load(); since != nil && time.Since(*since) > after {
		reason := errNoAnswer
		if problem := w.problem.Load(); problem != nil {
			reason = problem
		}
		return fmt.Errorf("not known since %s: %w", since.UTC().Format(time.TimeOnly), reason)
	}
	return nil
}

var errNoAnswer = errors.New("the API server does not answer")

// noWatch is what client-go returns instead of an error where the connection broke or nobody answered in time.
var noWatch = reflect.TypeOf(watch.NewEmptyWatch())

// reflect lists and watches, again and again, with pauses after errors. It returns when the resource is there no more: the
// kind may be served in another version, or not at all.
func (w *watched) reflect(ctx context.Context, resource schema.GroupVersionResource) {
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	objects := w.cluster.objects.Resource(resource)
	note := func(verb string, err error) {
		switch {
		case err == nil:
			w.problem.Store(nil)
			w.behind.Store(nil)
		case ctx.Err() == nil && !apierrors.IsResourceExpired(err) && !apierrors.IsGone(err):
			w.fail(WatchError{Kind: w.kind, Verb: verb, Resource: resource.GroupResource(), Err: err})
		}
	}
	log := logr.Discard()
	source := &toolscache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			w.try()
			list, err := objects.List(ctx, options)
			if note("list", err); err != nil {
				if apierrors.IsNotFound(err) {
					leave()
				}
				return nil, err
			}
			return list, nil
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			w.try()
			events, err := objects.Watch(ctx, options)
			if err == nil && reflect.TypeOf(events) == noWatch {
				note("watch", errNoAnswer)
			} else {
				note("watch", err)
			}
			return events, err
		},
	}
	toolscache.NewReflectorWithOptions(toolscache.ToListWatcherWithWatchListSemantics(source, w.cluster.objects), nil, w,
		toolscache.ReflectorOptions{Name: "state", Logger: &log}).RunWithContext(ctx)
}
