package reservation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/go-logr/logr"
	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sluice-gate/sluice/policies/state"
)

// other is the journal of another replica, which may have gone.
type other struct {
	version uint64
	settled versions
	entries map[string]*held // by id
	holds   []*held          // among them
	err     error            // why it can't be read
	since   time.Time        // when this version was first seen
	deleted bool             // somebody deleted the Lease; what was in it lasts
}

// Start implements manager.Runnable: it writes this journal and watches those of others, until ctx ends.
func (j *Journal) Start(ctx context.Context) error {
	var running sync.WaitGroup
	running.Go(func() { j.watch(logr.NewContext(ctx, logr.Discard())) }) // requests that can't be decided tell of it
	running.Go(func() { j.write(ctx) })
	running.Go(func() { j.sweep(ctx) })
	running.Go(func() { j.hold(ctx) })
	running.Wait()
	return nil
}

// NeedLeaderElection implements manager.LeaderElectionRunnable: every replica has a journal.
func (j *Journal) NeedLeaderElection() bool { return false }

func (j *Journal) watch(ctx context.Context) {
	log := logr.Discard()
	source := &toolscache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			list := &coordinationv1.LeaseList{}
			return list, j.Client.List(ctx, list, j.journals(&client.ListOptions{Raw: &options})...)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			return j.Client.Watch(ctx, &coordinationv1.LeaseList{}, j.journals(&client.ListOptions{Raw: &options})...)
		},
	}
	toolscache.NewReflectorWithOptions(toolscache.ToListWatcherWithWatchListSemantics(source, j.Client), &coordinationv1.Lease{}, store{j}, toolscache.ReflectorOptions{
		Name: "reservations", Logger: &log, Backoff: &wait.Backoff{Duration: 100 * time.Millisecond, Factor: 2, Jitter: 0.2, Steps: 10, Cap: 2 * time.Second},
	}).RunWithContext(ctx)
}

func (j *Journal) journals(more ...client.ListOption) []client.ListOption {
	return append(more, client.InNamespace(j.Namespace), client.HasLabels{label})
}

// refreshOnce refreshes, unless that is under way or was just done: many may wait. A failure is as all others, and waited for.
func (j *Journal) refreshOnce(ctx context.Context) {
	if !j.refreshing.CompareAndSwap(false, true) {
		return
	}
	go func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), refreshTime)
		defer cancel()
		_ = j.refresh(ctx)
		time.AfterFunc(lateAfter/2, func() { j.refreshing.Store(false) })
	}()
}

// refreshTime bounds how long all wait for one list.
const refreshTime = 2 * time.Second

// refresh asks for what the watch is late with.
func (j *Journal) refresh(ctx context.Context) error {
	list := &coordinationv1.LeaseList{}
	if err := j.Client.List(ctx, list, j.journals()...); err != nil {
		return fmt.Errorf("read the journals: %w", err)
	}
	j.replace(list.Items, list.ResourceVersion)
	return nil
}

// store is what the watch fills.
type store struct{ *Journal }

func asLease(x any) (*coordinationv1.Lease, error) {
	if lease, ok := x.(*coordinationv1.Lease); ok {
		return lease, nil
	}
	return nil, fmt.Errorf("the API server sent a %T for a Lease", x)
}

// Add implements cache.ReflectorStore.
func (s store) Add(x any) error {
	lease, err := asLease(x)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.observe(lease)
	return nil
}

// Update implements cache.ReflectorStore.
func (s store) Update(x any) error { return s.Add(x) }

// Delete implements cache.ReflectorStore.
func (s store) Delete(x any) error {
	lease, err := asLease(x)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if lease.Name == s.writer.name {
		s.lost()
	}
	if known := s.others[lease.Name]; known != nil {
		known.delete(state.ParseVersion(lease.ResourceVersion), s.now())
	}
	return nil
}

// lost has this journal written again that somebody deleted. A replica that starts meanwhile knows nothing of it, and so nothing
// of what is held. It needs the lock.
func (j *Journal) lost() {
	j.dropAllHolds()
	if len(j.own) > 0 {
		j.changed = true
		j.signal()
	}
}

// delete notes that the Lease was deleted. What was admitted stays so.
func (o *other) delete(version uint64, now time.Time) {
	if !o.deleted && o.version < version {
		o.version, o.deleted, o.since, o.err = version, true, now, nil
	}
}

// Replace implements cache.ReflectorStore.
func (s store) Replace(objects []any, version string) error {
	leases := make([]coordinationv1.Lease, len(objects))
	for i, x := range objects {
		lease, err := asLease(x)
		if err != nil {
			return err
		}
		leases[i] = *lease
	}
	s.replace(leases, version)
	return nil
}

// Resync implements cache.ReflectorStore.
func (s store) Resync() error { return nil }

func (j *Journal) replace(leases []coordinationv1.Lease, version string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	listed := map[string]bool{}
	var mine *coordinationv1.Lease
	for i := range leases {
		listed[leases[i].Name] = true
		if leases[i].Name == j.writer.name {
			mine = &leases[i] // after all others
		} else {
			j.observe(&leases[i])
		}
	}
	for name, known := range j.others {
		if !listed[name] {
			known.delete(state.ParseVersion(version), j.now())
		}
	}
	if mine != nil {
		j.observe(mine)
	} else {
		j.lost()
	}
	select {
	case <-j.synced:
	default:
		close(j.synced)
	}
}

// observe takes a Lease as it was written. It needs the lock.
func (j *Journal) observe(lease *coordinationv1.Lease) {
	if lease.Name == j.writer.name {
		if sequence, err := strconv.ParseInt(lease.Annotations[sequenceAnnotation], 10, 64); err == nil {
			j.cameBack(sequence)
			j.resolve()
		}
		return
	}
	known := j.others[lease.Name]
	version := state.ParseVersion(lease.ResourceVersion)
	if known != nil && version <= known.version {
		return
	}
	now := j.now()
	seen := &other{version: version, entries: map[string]*held{}, since: now}
	var r record
	if seen.err = json.Unmarshal([]byte(lease.Annotations[admittedAnnotation]), &r); seen.err == nil {
		seen.settled = r.Settled
	}
	for _, e := range r.Entries {
		if (e.Ingress == nil) == (e.NetworkPolicy == nil) {
			seen.err = errors.New("an entry is not about one Ingress or NetworkPolicy")
			continue
		}
		h := newHeld(e, now.Add(j.Life))
		if known != nil && known.entries[e.ID] != nil {
			h.expires, h.arrived = known.entries[e.ID].expires, known.entries[e.ID].arrived
		} else {
			j.arrivals++
			h.arrived = j.arrivals
			j.yield(&h)
		}
		if e.Hold {
			h.expires = j.heldUntil()
			seen.holds = append(seen.holds, &h)
		}
		seen.entries[e.ID] = &h
	}
	if j.others[lease.Name] = seen; seen.err != nil {
		j.dropAllHolds()
	}
	j.resolve()
}

// sweep deletes the journals of replicas that have gone once everything in them has expired. What fails is left for
// the next time, or for another replica.
func (j *Journal) sweep(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(j.Life/2 + rand.N(j.Life)):
		}
		_ = j.Sweep(ctx)
	}
}

// Sweep deletes the journals in which nothing lasts. A replica that has nothing to admit for long loses its own, and writes a
// new one when it does.
func (j *Journal) Sweep(ctx context.Context) error {
	over := map[string]string{}
	j.mu.Lock()
	for name, known := range j.others {
		switch {
		case j.now().Sub(known.since) <= j.Life+holdTime:
		case known.deleted:
			delete(j.others, name)
		default:
			over[name] = strconv.FormatUint(known.version, 10)
		}
	}
	j.mu.Unlock()
	for name, version := range over {
		lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: j.Namespace, Name: name}}
		err := j.Client.Delete(ctx, lease, client.Preconditions{ResourceVersion: &version})
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			return fmt.Errorf("sweep reservations: %w", err)
		}
	}
	return nil
}
