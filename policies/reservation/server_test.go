package reservation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/facts"
	"github.com/sluice-gate/sluice/policies/state"
)

// server is an API server's Leases: every write has a version, and watches show all writes in their order.
type server struct {
	mu      sync.Mutex
	version uint64
	leases  map[string]*coordinationv1.Lease
	watches []*line
	writes  int
	failing bool
	deaf    bool          // writes are made, and not answered
	slow    time.Duration // of each write
}

func newServer() *server { return &server{version: 1000, leases: map[string]*coordinationv1.Lease{}} }

var errNotThere = errors.New("the API server is not there")

// set changes how the server behaves.
func (s *server) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// stored are all Leases.
func (s *server) stored() map[string]*coordinationv1.Lease {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]*coordinationv1.Lease{}
	for name, lease := range s.leases {
		out[name] = lease.DeepCopy()
	}
	return out
}

// write needs the lock.
func (s *server) write(kind watch.EventType, lease *coordinationv1.Lease) {
	s.version++
	s.writes++
	lease.ResourceVersion = strconv.FormatUint(s.version, 10)
	if kind == watch.Deleted {
		delete(s.leases, lease.Name)
	} else {
		s.leases[lease.Name] = lease.DeepCopy()
	}
	for _, w := range s.watches {
		w.send(watch.Event{Type: kind, Object: lease.DeepCopy()})
	}
}

// line is a watch, whose events wait while it is held.
type line struct {
	mu     sync.Mutex
	events []watch.Event
	held   bool
	closed bool
	more   chan struct{}
	out    chan watch.Event
}

func (l *line) send(e watch.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e)
	l.poke()
}

func (l *line) poke() {
	select {
	case l.more <- struct{}{}:
	default:
	}
}

func (l *line) hold(held bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = held
	l.poke()
}

func (l *line) run(ctx context.Context) {
	defer close(l.out)
	for {
		l.mu.Lock()
		events := l.events
		if l.held {
			events = nil
		} else {
			l.events = nil
		}
		closed := l.closed
		l.mu.Unlock()
		for _, e := range events {
			select {
			case l.out <- e:
			case <-ctx.Done():
				return
			}
		}
		if closed {
			return
		}
		select {
		case <-l.more:
		case <-ctx.Done():
			return
		}
	}
}

// Stop implements watch.Interface.
func (l *line) Stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.poke()
}

// ResultChan implements watch.Interface.
func (l *line) ResultChan() <-chan watch.Event { return l.out }

// link is a replica's client.
type link struct {
	client.WithWatch
	*server
	mu    sync.Mutex
	watch *line
	cut   atomic.Bool // nothing that this replica asks for reaches the server
}

// hold keeps what the replica watches from it.
func (l *link) hold(held bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.watch != nil {
		l.watch.hold(held)
	}
}

// IsWatchListSemanticsUnSupported tells reflectors to list.
func (l *link) IsWatchListSemanticsUnSupported() bool { return true }

func (l *link) Get(_ context.Context, key client.ObjectKey, o client.Object, _ ...client.GetOption) error {
	l.server.mu.Lock()
	defer l.server.mu.Unlock()
	if l.failing {
		return errNotThere
	}
	lease := l.leases[key.Name]
	if lease == nil {
		return apierrors.NewNotFound(coordinationv1.Resource("leases"), key.Name)
	}
	lease.DeepCopyInto(o.(*coordinationv1.Lease))
	return nil
}

func (l *link) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	l.server.mu.Lock()
	defer l.server.mu.Unlock()
	if l.failing || l.cut.Load() {
		return errNotThere
	}
	out := list.(*coordinationv1.LeaseList)
	for _, lease := range l.leases {
		out.Items = append(out.Items, *lease.DeepCopy())
	}
	out.ResourceVersion = strconv.FormatUint(l.version, 10)
	return nil
}

func (l *link) Watch(ctx context.Context, _ client.ObjectList, options ...client.ListOption) (watch.Interface, error) {
	o := client.ListOptions{}
	o.ApplyOptions(options)
	l.server.mu.Lock()
	defer l.server.mu.Unlock()
	if l.failing {
		return nil, errNotThere
	}
	w := &line{more: make(chan struct{}, 1), out: make(chan watch.Event)}
	missed := slices.Collect(maps.Values(l.leases)) // since the list
	slices.SortFunc(missed, func(a, b *coordinationv1.Lease) int {
		return cmp.Compare(state.ParseVersion(a.ResourceVersion), state.ParseVersion(b.ResourceVersion))
	})
	for _, lease := range missed {
		if state.ParseVersion(lease.ResourceVersion) > state.ParseVersion(o.Raw.ResourceVersion) {
			w.send(watch.Event{Type: watch.Modified, Object: lease.DeepCopy()})
		}
	}
	l.watches = append(l.watches, w)
	l.mu.Lock()
	l.watch = w
	l.mu.Unlock()
	go w.run(ctx)
	return w, nil
}

func (l *link) Create(_ context.Context, o client.Object, _ ...client.CreateOption) error {
	return l.change(func(stored *coordinationv1.Lease) error {
		if stored != nil {
			return apierrors.NewAlreadyExists(coordinationv1.Resource("leases"), o.GetName())
		}
		l.write(watch.Added, o.(*coordinationv1.Lease))
		return nil
	}, o)
}

func (l *link) Update(_ context.Context, o client.Object, _ ...client.UpdateOption) error {
	return l.change(func(stored *coordinationv1.Lease) error {
		if stored == nil {
			return apierrors.NewNotFound(coordinationv1.Resource("leases"), o.GetName())
		}
		if stored.ResourceVersion != o.GetResourceVersion() {
			return apierrors.NewConflict(coordinationv1.Resource("leases"), o.GetName(), nil)
		}
		l.write(watch.Modified, o.(*coordinationv1.Lease))
		return nil
	}, o)
}

func (l *link) Delete(_ context.Context, o client.Object, options ...client.DeleteOption) error {
	asked := client.DeleteOptions{}
	asked.ApplyOptions(options)
	return l.change(func(stored *coordinationv1.Lease) error {
		if stored == nil {
			return apierrors.NewNotFound(coordinationv1.Resource("leases"), o.GetName())
		}
		if p := asked.Preconditions; p != nil && *p.ResourceVersion != stored.ResourceVersion {
			return apierrors.NewConflict(coordinationv1.Resource("leases"), o.GetName(), nil)
		}
		l.write(watch.Deleted, stored.DeepCopy())
		return nil
	}, o)
}

func (l *link) change(do func(stored *coordinationv1.Lease) error, o client.Object) error {
	l.server.mu.Lock()
	slow := l.slow
	l.server.mu.Unlock()
	time.Sleep(slow) // the time that a write takes
	l.server.mu.Lock()
	defer l.server.mu.Unlock()
	if l.failing || l.cut.Load() {
		return errNotThere
	}
	if err := do(l.leases[o.GetName()]); err != nil {
		return err
	}
	if l.deaf {
		return context.DeadlineExceeded
	}
	return nil
}

// known is what a replica has seen of Ingresses and NetworkPolicies.
type known struct {
	*state.Index
	mu       sync.Mutex
	policies *cluster
	seen     map[string]stored // NetworkPolicies; nil for those of the cluster
	version  uint64
	newer    chan struct{}
	failing  error
	asked    func() // when it is asked whether hosts are free
}

func newKnown(c *cluster) *known {
	return &known{Index: state.NewIndex(), policies: c, newer: make(chan struct{})}
}

func (k *known) ClaimHosts(claim state.HostClaim, expires time.Time) ([]facts.HostConflict, func(), error) {
	return k.Index.ClaimHosts(claim, expires, func(class string) (string, error) { return engine.ControllerOf(k, class) })
}

// fail has the state be too old to be asked.
func (k *known) fail(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.failing = err
}

func (k *known) HostsFree(claims facts.HostClaims) (bool, error) {
	k.mu.Lock()
	err, asked := k.failing, k.asked
	k.mu.Unlock()
	if asked != nil {
		asked()
	}
	if err != nil {
		return false, err
	}
	conflicts, err := k.HostConflicts(claims, func(class string) (string, error) { return engine.ControllerOf(k, class) })
	return len(conflicts) == 0, err
}

func (k *known) KnownPolicies(namespace string) (*state.NamespacePolicies, error) {
	all, err := k.known(namespace)
	return state.NewNamespacePolicies(all), err
}

func (k *known) known(namespace string) ([]*state.LivePolicy, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.failing != nil {
		return nil, k.failing
	}
	if k.seen != nil {
		return livePolicies(namespace, k.seen)
	}
	return k.policies.live(namespace)
}

func (k *known) LivePolicies(_ context.Context, namespace string) (*state.NamespacePolicies, error) {
	all, err := k.policies.live(namespace)
	return state.NewNamespacePolicies(all), err
}

func (k *known) PolicyChanged(of state.PolicyChange) bool {
	k.mu.Lock()
	early := k.seen != nil && k.version < state.ParseVersion(of.ResourceVersion) // it may not be known yet
	k.mu.Unlock()
	if early {
		return false
	}
	all, err := k.known(of.Namespace)
	for _, p := range all {
		if p.Name == of.Name {
			return err == nil && !of.Pending(p.UID, p.ResourceVersion)
		}
	}
	return err == nil
}

func (k *known) Version(schema.GroupKind) uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.version
}

// reach lets the state know everything up to a version.
func (k *known) reach(version uint64) { k.see(version, func() {}) }

// see has the state take what happened at a version, at once with the version itself.
func (k *known) see(version uint64, event func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	event()
	k.version = version
	close(k.newer)
	k.newer = make(chan struct{})
}

func (k *known) AwaitVersion(ctx context.Context, kind schema.GroupKind, version uint64) error {
	for {
		k.mu.Lock()
		at, newer := k.version, k.newer
		k.mu.Unlock()
		if at >= version {
			return nil
		}
		select {
		case <-newer:
		case <-ctx.Done():
			return fmt.Errorf("%s is known up to version %d: %w", kind.Kind, at, ctx.Err())
		}
	}
}

// stored is a version of a NetworkPolicy, and the pods that it selects.
type stored struct {
	version int
	apps    []string // by their label; nil for all pods
}

// cluster holds NetworkPolicies by name.
type cluster struct {
	mu       sync.Mutex
	policies map[string]stored
	failing  error
}

// newCluster has NetworkPolicies that each select pods of their own.
func newCluster(names ...string) *cluster {
	c := &cluster{policies: map[string]stored{}}
	for _, name := range names {
		c.policies[name] = stored{1, []string{name}}
	}
	return c
}

func (c *cluster) live(namespace string) ([]*state.LivePolicy, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failing != nil {
		return nil, c.failing
	}
	return livePolicies(namespace, c.policies)
}

// document is the NetworkPolicy. Its uid goes by its name.
func (s stored) document(namespace, name string) (engine.Document, error) {
	selector := map[string]any{}
	if s.apps != nil {
		selector["matchExpressions"] = []any{map[string]any{"key": "app", "operator": "In", "values": s.apps}}
	}
	return engine.FromGo(map[string]any{
		"metadata": map[string]any{"namespace": namespace, "name": name, "uid": "u-" + name, "resourceVersion": strconv.Itoa(s.version)},
		"spec":     map[string]any{"podSelector": selector},
	})
}

func livePolicies(namespace string, policies map[string]stored) ([]*state.LivePolicy, error) {
	var out []*state.LivePolicy
	for _, name := range slices.Sorted(maps.Keys(policies)) {
		document, err := policies[name].document(namespace, name)
		if err != nil {
			return nil, err
		}
		live, err := state.NewLivePolicy(document)
		if err != nil {
			return nil, err
		}
		out = append(out, live)
	}
	return out, nil
}

// change deletes a policy, or changes it to a version.
func (c *cluster) change(name string, version int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if version == 0 {
		delete(c.policies, name)
		return
	}
	was, there := c.policies[name]
	if !there {
		was.apps = []string{name}
	}
	c.policies[name] = stored{version, was.apps}
}

// replica is a journal with its own state, and a clock that tests turn.
type replica struct {
	*Journal
	link  *link
	state *known
	clock *atomic.Int64
	stop  func()
}

func newReplica(t testing.TB, s *server, c *cluster) replica {
	t.Helper()
	return newReplicaThatHolds(t, s, c, manyRequests)
}

// newReplicaThatHolds holds a domain after so many requests.
func newReplicaThatHolds(t testing.TB, s *server, c *cluster, after int) replica {
	t.Helper()
	r := replica{link: &link{server: s}, state: newKnown(c), clock: &atomic.Int64{}}
	r.clock.Store(time.Now().UnixNano())
	var err error
	if r.Journal, err = NewJournal(Options{Client: r.link, Namespace: "sluice-system", Replica: "sluice-0", State: r.state}); err != nil {
		t.Fatal(err)
	}
	r.holdAfter = after
	r.now = func() time.Time { return time.Unix(0, r.clock.Load()) }
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Start(ctx) }()
	r.stop = sync.OnceFunc(func() {
		r.link.cut.Store(false) // its last write is not to be waited for
		s.set(func() { s.failing, s.deaf = false, false })
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(r.stop)
	return r
}

func (r replica) turn(by time.Duration) { r.clock.Add(int64(by)) }
