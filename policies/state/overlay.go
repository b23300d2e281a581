package state

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/sluice-gate/sluice/policies/facts"
)

// HostClaim is what an Ingress that is about to be admitted asks for.
type HostClaim struct {
	facts.HostClaims
	// UID and Generation are those of the object in the request: what is seen of it settles the claim. Without
	// UID nothing does, and the claim lasts until it expires.
	UID        types.UID
	Generation int64
	// ResourceVersion is that of the object that the request changes; empty where it creates one. What is stored in that version
	// may have the hosts, but by an annotation that somebody takes away and puts back: the generation does not tell.
	ResourceVersion string
}

// ClaimHosts checks and takes the hosts in one step: of two claims at the same moment one sees the other. The
// claim lies over what is stored until the Ingress is observed, or until it expires. It is not taken if there are
// conflicts. release takes it back.
func (x *Index) ClaimHosts(c HostClaim, expires time.Time, controller func(class string) (string, error)) (conflicts []facts.HostConflict, release func(), err error) {
	h := newPending(c, expires)
	x.hosts.mu.Lock()
	defer x.hosts.mu.Unlock()
	x.hosts.expire()
	if conflicts, err = x.hosts.find(c.HostClaims, controller); err != nil || len(conflicts) > 0 {
		return conflicts, nil, err
	}
	if x.hosts.renew(h) {
		return nil, func() {}, nil
	}
	if w := x.hosts.waiting[h.name.Namespace]; w.ingresses >= maxWaiting || w.hosts+len(h.claims) > maxWaitingHosts {
		return nil, nil, fmt.Errorf("%d Ingresses of namespace %s were admitted and have not been seen yet: try again later", w.ingresses, h.name.Namespace)
	}
	x.hosts.await(h)
	return nil, func() {
		x.hosts.mu.Lock()
		defer x.hosts.mu.Unlock()
		x.hosts.drop(h)
	}, nil
}

// Bounds of the overlay for one namespace: requests that are refused after they were admitted, by a quota perhaps,
// stay in it until they expire.
const (
	maxWaiting      = 200    // Ingresses
	maxWaitingHosts = 10_000 // in all of them
)

// waiting is how much of the overlay a namespace has.
type waiting struct{ ingresses, hosts int }

// NoteHosts adds a claim that was taken elsewhere.
func (x *Index) NoteHosts(c HostClaim, expires time.Time) {
	h := newPending(c, expires)
	x.hosts.mu.Lock()
	defer x.hosts.mu.Unlock()
	x.hosts.expire()
	if stored := x.hosts.stored[h.name]; (stored == nil || !stored.settles(h)) && !x.hosts.renew(h) {
		x.hosts.await(h)
	}
}

func newPending(c HostClaim, expires time.Time) *holder {
	h := &holder{name: types.NamespacedName{Namespace: c.Namespace, Name: c.Name}, class: c.Class, uid: c.UID, generation: c.Generation,
		version: ParseVersion(c.ResourceVersion), expires: expires}
	h.add(c.Hosts)
	return h
}

// renew makes the same claim last longer, if it was made before. Two creates of one name have different uids, and
// either may be stored: what is seen of one doesn't settle their claim. It needs the lock.
func (x *hostIndex) renew(h *holder) bool {
	for _, before := range x.pending[h.name] {
		if len(before.claims) == len(h.claims) && before.covers(h) {
			at := slices.Index(x.queue, before)
			x.queue = slices.Delete(x.queue, at, at+1)
			before.version = max(before.version, h.version)
			if before.generation = max(before.generation, h.generation); before.uid != h.uid {
				before.uid = ""
			}
			if h.expires.After(before.expires) {
				before.expires = h.expires
			}
			x.enqueue(before)
			return true
		}
	}
	return false
}

// await puts a claim on the overlay. It needs the lock.
func (x *hostIndex) await(h *holder) {
	x.pending[h.name] = append(x.pending[h.name], h)
	w := x.waiting[h.name.Namespace]
	x.waiting[h.name.Namespace] = waiting{w.ingresses + 1, w.hosts + len(h.claims)}
	x.enqueue(h)
	for _, c := range h.claims {
		x.tree.add(c)
	}
}

// enqueue puts a claim where it expires in turn. It needs the lock.
func (x *hostIndex) enqueue(h *holder) {
	at := len(x.queue)
	for at > 0 && x.queue[at-1].expires.After(h.expires) {
		at--
	}
	x.queue = slices.Insert(x.queue, at, h)
}

// HostsSettled tells whether the state shows what became of a claim: the Ingress has changed since, or it is
// gone.
func (x *Index) HostsSettled(c HostClaim) bool {
	x.hosts.mu.RLock()
	defer x.hosts.mu.RUnlock()
	if c.UID == "" {
		return false
	}
	if _, gone := x.hosts.gone[c.UID]; gone {
		return true
	}
	h := x.hosts.stored[types.NamespacedName{Namespace: c.Namespace, Name: c.Name}]
	return h != nil && h.uid == c.UID && h.generation > c.Generation
}

// HostsShown tells whether the state shows that an Ingress has the hosts of a claim, or that the claim is settled.
func (x *Index) HostsShown(c HostClaim) bool {
	x.hosts.mu.RLock()
	defer x.hosts.mu.RUnlock()
	if _, gone := x.hosts.gone[c.UID]; gone {
		return true
	}
	stored := x.hosts.stored[types.NamespacedName{Namespace: c.Namespace, Name: c.Name}]
	return stored != nil && stored.uid == c.UID && stored.settles(newPending(c, time.Time{}))
}

// drop takes a claim off the overlay, if it is there. It needs the lock.
func (x *hostIndex) drop(h *holder) {
	at := slices.Index(x.pending[h.name], h)
	if at < 0 {
		return
	}
	x.detach(h)
	if w := x.waiting[h.name.Namespace]; w.ingresses > 1 {
		x.waiting[h.name.Namespace] = waiting{w.ingresses - 1, w.hosts - len(h.claims)}
	} else {
		delete(x.waiting, h.name.Namespace)
	}
	if left := slices.Delete(x.pending[h.name], at, at+1); len(left) > 0 {
		x.pending[h.name] = left
	} else {
		delete(x.pending, h.name)
	}
	h.claims = nil // the queue holds it until it expires
}

// expire drops what has expired. It needs the lock.
func (x *hostIndex) expire() {
	now := x.now()
	n := 0
	for n < len(x.queue) && !now.Before(x.queue[n].expires) {
		x.drop(x.queue[n])
		n++
	}
	x.queue = slices.Delete(x.queue, 0, n)
}

// Of Ingresses that were deleted the uid is kept for as long as a claim may last, but of no more than so many.
const (
	rememberGone = 10 * time.Minute
	maxGone      = 10_000
)

// bury remembers a deletion. It needs the lock.
func (x *hostIndex) bury(uid types.UID) {
	now := x.now()
	if now.After(x.tidy) {
		maps.DeleteFunc(x.gone, func(_ types.UID, forget time.Time) bool { return now.After(forget) })
		x.tidy = now.Add(rememberGone / 10)
	}
	if len(x.gone) < maxGone {
		x.gone[uid] = now.Add(rememberGone)
	}
}
