package state

import (
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/sluice-gate/sluice/policies/facts"
)

// HostClaim is what an Ingress that is about to be admitted asks for.
type HostClaim struct {
	facts.HostClaims
	// UID and Generation are those of the object in the request: what they say of it settles the claim.
	UID        types.UID
	Generation int64
}

// ClaimHosts checks and takes the hosts in one step: of two claims at the same moment one sees the other. The
// claim lies over what is stored until the Ingress is observed, or until it expires. The claim was not taken if
// there are conflicts. release takes it back.
func (x *Index) ClaimHosts(c HostClaim, expires time.Time, controller func(class string) (string, error)) (conflicts []facts.HostConflict, release func(), err error) {
	h := &holder{name: types.NamespacedName{Namespace: c.Namespace, Name: c.Name}, class: c.Class, uid: c.UID, generation: c.Generation, expires: expires}
	h.add(c.Hosts)
	x.hosts.mu.Lock()
	defer x.hosts.mu.Unlock()
	x.hosts.expire()
	if conflicts, err = x.hosts.find(c.HostClaims, controller); err != nil || len(conflicts) > 0 {
		return conflicts, nil, err
	}
	x.hosts.pending[h.name] = append(x.hosts.pending[h.name], h)
	x.hosts.queue = append(x.hosts.queue, h)
	for _, c := range h.claims {
		x.hosts.tree.add(c)
	}
	return nil, func() {
		x.hosts.mu.Lock()
		defer x.hosts.mu.Unlock()
		x.hosts.drop(h)
	}, nil
}

// HostsSettled tells whether the state shows what became of a claim: the Ingress has changed since, or it is
// gone.
func (x *Index) HostsSettled(namespace, name string, uid types.UID, generation int64) bool {
	x.hosts.mu.RLock()
	defer x.hosts.mu.RUnlock()
	if uid == "" {
		return false
	}
	if _, gone := x.hosts.gone[uid]; gone {
		return true
	}
	h := x.hosts.stored[types.NamespacedName{Namespace: namespace, Name: name}]
	return h != nil && h.uid == uid && h.generation > generation
}

// drop takes a claim off the overlay, if it is there. It needs the lock.
func (x *hostIndex) drop(h *holder) {
	at := slices.Index(x.pending[h.name], h)
	if at < 0 {
		return
	}
	x.detach(h)
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
