package state

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/facts"
)

// ErrNotSynced is the answer for a kind whose first list hasn't arrived: what isn't there can't be told
// from what isn't known.
var ErrNotSynced = errors.New("not synced yet: the state is still being read from the API server")

// Cluster is the state of a cluster, kept by watches of the kinds that policies ask about. Namespaces are
// always among them. Objects are held once, without managedFields and kubectl's last-applied annotation.
type Cluster struct {
	*Index

	objects dynamic.Interface
	live    client.Reader // past the state
	mapper  meta.RESTMapper

	choosing sync.Mutex // what is watched
	mu       sync.RWMutex
	watched  map[schema.GroupKind]*watched

	listener atomic.Pointer[func(Change)]
}

// Change is an object that came, changed or went. Without a name, the whole kind was read, at first or anew.
type Change struct {
	Kind            schema.GroupKind
	Namespace, Name string
}

// Subscribe has every change told from now on, once the state shows it. tell must not block, and not ask the state. There is one
// subscriber: a later one takes its place.
func (c *Cluster) Subscribe(tell func(Change)) { c.listener.Store(&tell) }

func (c *Cluster) tell(change Change) {
	if listener := c.listener.Load(); listener != nil {
		(*listener)(change)
	}
}

// NewCluster makes a state that watches nothing yet. live reads from the API server itself. What was admitted and not seen yet
// expires by now.
func NewCluster(objects dynamic.Interface, live client.Reader, mapper meta.RESTMapper, now func() time.Time) *Cluster {
	return &Cluster{Index: newIndex(now), objects: objects, live: live, mapper: mapper, watched: map[schema.GroupKind]*watched{}}
}

// Watch keeps namespaces and the given kinds from now on, and drops all others. It returns before they are
// read. A kind that can't be watched doesn't keep the others from it: Problem says why, and it is tried again
// until it works. A new watch ends with ctx, which therefore is the server's and not a single request's.
func (c *Cluster) Watch(ctx context.Context, kinds ...schema.GroupKind) {
	wanted := map[schema.GroupKind]bool{namespaceKind: true}
	for _, kind := range kinds {
		wanted[kind] = true
	}
	c.choosing.Lock()
	defer c.choosing.Unlock()
	for _, w := range c.unwatch(wanted) { // without mu: who looks for hosts has the lock of the hosts, and asks for classes
		w.drop()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for kind := range wanted {
		if c.watched[kind] == nil {
			c.watched[kind] = newWatched(ctx, c, kind)
		}
	}
}

// unwatch takes away the watches of all other kinds.
func (c *Cluster) unwatch(wanted map[schema.GroupKind]bool) []*watched {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []*watched
	for kind, w := range c.watched {
		if !wanted[kind] {
			out = append(out, w)
			delete(c.watched, kind)
		}
	}
	return out
}

// Synced tells whether every watched kind has been read once.
func (c *Cluster) Synced() bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, w := range c.watched {
		if !w.synced.Load() {
			return false
		}
	}
	return len(c.watched) > 0
}

// Problem is why a kind is not known, or no longer kept up to date: a *WatchError, or nil. What was read before
// stays.
func (c *Cluster) Problem(kind schema.GroupKind) error {
	if w := c.watch(kind); w != nil {
		if problem := w.problem.Load(); problem != nil {
			return problem
		}
	}
	return nil
}

func (c *Cluster) watch(kind schema.GroupKind) *watched {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.watched[kind]
}

func (c *Cluster) check(kind schema.GroupKind) error {
	w := c.watch(kind)
	switch {
	case w == nil:
		return fmt.Errorf("%s is not watched: name it under custom.state in the rule's METADATA", engine.FormatGroupKind(kind))
	case w.synced.Load():
		return nil
	}
	if problem := w.problem.Load(); problem != nil {
		return fmt.Errorf("%s: %w", engine.FormatGroupKind(kind), &unreadError{problem})
	}
	return fmt.Errorf("%s: %w", engine.FormatGroupKind(kind), ErrNotSynced)
}

// unreadError is ErrNotSynced where it is known why.
type unreadError struct{ problem *WatchError }

// Error implements error.
func (e *unreadError) Error() string { return "not synced: " + e.problem.Error() }

// Unwrap implements errors.Unwrap.
func (e *unreadError) Unwrap() []error { return []error{ErrNotSynced, e.problem} }

// Get implements engine.State.
func (c *Cluster) Get(kind schema.GroupKind, namespace, name string) (engine.Document, bool, error) {
	if err := c.check(kind); err != nil {
		return engine.Document{}, false, err
	}
	return c.Index.Get(kind, namespace, name)
}

// List implements engine.State.
func (c *Cluster) List(kind schema.GroupKind, namespace string) ([]engine.Document, error) {
	if err := c.check(kind); err != nil {
		return nil, err
	}
	return c.Index.List(kind, namespace)
}

// HostConflicts implements engine.HostIndex.
func (c *Cluster) HostConflicts(of facts.HostClaims, controller func(class string) (string, error)) ([]facts.HostConflict, error) {
	if err := c.check(ingressKind); err != nil {
		return nil, err
	}
	return c.Index.HostConflicts(of, controller)
}

// NetworkPolicies implements engine.PolicyIndex.
func (c *Cluster) NetworkPolicies(namespace string) (*engine.PolicyList, error) {
	if err := c.check(networkPolicyKind); err != nil {
		return nil, err
	}
	return c.Index.NetworkPolicies(namespace)
}

// staleAfter is how long a kind may not be kept up to date before nothing of it is given away any more. With the 60
// seconds that a request has, and the 45 after which a connection that is dead without a sign is given up
// (golang.org/x/net/http2's pings), it is less than a reservation lasts: what others were given is seen or reserved.
const staleAfter = 40 * time.Second

// fresh tells whether a kind is known, and not too old to decide by.
func (c *Cluster) fresh(kind schema.GroupKind, what string) error {
	if err := c.check(kind); err != nil {
		return err
	}
	if w := c.watch(kind); w != nil {
		if err := w.stale(staleAfter); err != nil {
			return fmt.Errorf("%s is %w", what, err)
		}
	}
	return nil
}

// Version is the API server's version of the last change of a kind that is known, and everything before is known too; 0 if
// nothing is. Whoever watches sees that version, or a later one, within a moment; what an API server says of versions without a
// change, not all do.
func (c *Cluster) Version(kind schema.GroupKind) uint64 {
	w := c.watch(kind)
	if w == nil {
		return 0
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.change
}

// AwaitVersion waits until everything of a kind is known up to a version.
func (c *Cluster) AwaitVersion(ctx context.Context, kind schema.GroupKind, version uint64) error {
	if version == 0 {
		return nil
	}
	w := c.watch(kind)
	if w == nil {
		return c.check(kind)
	}
	return w.await(ctx, version)
}

// ClaimHosts is Index.ClaimHosts by what is known of the cluster. It is an error if that is too old.
func (c *Cluster) ClaimHosts(claim HostClaim, expires time.Time) (conflicts []facts.HostConflict, release func(), err error) {
	if err := c.fresh(ingressKind, "which hosts are taken"); err != nil {
		return nil, nil, err
	}
	return c.Index.ClaimHosts(claim, expires, c.controllerOf)
}

// HostsFree tells whether no Ingress of another namespace is known to have one of the hosts. It is an error if what is known is too old.
func (c *Cluster) HostsFree(claims facts.HostClaims) (bool, error) {
	if err := c.fresh(ingressKind, "which hosts are taken"); err != nil {
		return false, err
	}
	conflicts, err := c.Index.HostConflicts(claims, c.controllerOf)
	return err == nil && len(conflicts) == 0, err
}

func (c *Cluster) controllerOf(class string) (string, error) { return engine.ControllerOf(c, class) }

// Namespace implements policies.Namespaces: from the state, or else from the API server, because a watch may
// not have seen a namespace that was just created.
func (c *Cluster) Namespace(ctx context.Context, name string) (engine.Document, error) {
	if c.check(namespaceKind) == nil {
		if found, ok, err := c.Index.Get(namespaceKind, "", name); ok && err == nil {
			return found, nil
		}
	}
	return c.Live().Namespace(ctx, name)
}

// Known tells whether a kind can be asked about; the error says why not.
func (c *Cluster) Known(kind schema.GroupKind) error { return c.check(kind) }
