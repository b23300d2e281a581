package reservation

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sluice-gate/sluice/policies/facts"
)

// A namespace that creates many Ingresses in a domain would wait for a write with each. Where no other namespace has hosts in that
// domain, its replica comes to hold the domain for the namespace: the hold is an entry of the journal, and while it is there, what
// the namespace asks for in the domain is admitted at once, and is not written. Nobody else has to know of it: a request of another
// namespace for a host in the domain is written, as always, and then waits until the hold is gone. The replica that has the hold
// sees that request, gives the hold up, and writes with the same write what it admitted by it and has not seen yet. These
// entries, marked as covered, came before the request, whatever the order of writes says.
//
// A namespace's NetworkPolicies are held in another way, by any number of replicas at once: while a replica holds them, it admits at
// once, and does not write, what is fine even if of all policies only those remained that select all pods. Policies that select all
// pods are not changed like this, but by a request that waits until no other replica has the hold; so whatever is admitted by a
// hold, the pods stay isolated by these. A request that doesn't know what others have admitted by holds is no danger, as long as no
// policy for all pods is about to go. While one is, all that is written waits for the same holds.
//
// A replica relies on a hold for holdTime from when it began to write it, or to write it anew. Others respect it for as long as a
// reservation after that; so if a replica is killed, what it held is closed to other namespaces, and policies for all pods can't be
// taken away, for nearly three minutes. Once the replica has been quiet for a while, that is said at once.

// How domains come to be held.
const (
	manyRequests = 4                // of a namespace in a domain, none later than holdTime after the one before
	holdTime     = 15 * time.Second // from the beginning of a write
	holdPause    = time.Minute      // after a domain was not to be had, or was given up
	maxHolds     = 100              // of one replica
	maxDemands   = 1000             // domains about whose requests a replica knows
)

// domain is what may be held: the names below one, for a namespace. Without a name it is the namespace's NetworkPolicies.
type domain struct{ namespace, name string }

// demand is what a namespace asked for in a domain lately.
type demand struct {
	requests int
	last     time.Time
	asked    bool // for a hold
	hold     *own // nil until this replica may rely on it
	not      time.Time
}

// domainsOf are the domains that have all hosts of an Ingress, or the NetworkPolicy; none if an Ingress has hosts in no one domain.
func domainsOf(h *held) []domain {
	if h.NetworkPolicy != nil {
		return []domain{{namespace: h.NetworkPolicy.Namespace}}
	}
	var out []domain
	for _, p := range h.patterns {
		parent, ok := p.Parent()
		if !ok || !strings.Contains(parent, ".") {
			return nil
		}
		if d := (domain{h.Ingress.Namespace, parent}); !slices.Contains(out, d) {
			out = append(out, d)
		}
	}
	return out
}

// cover tells whether the domains of an entry are held for its namespace, and counts what it asks for. A hold that has been
// dropped from the journal is none, by dropHold or because it is over. It needs the lock.
func (j *Journal) cover(mine *own) bool {
	now := j.now()
	covered, domains := true, domainsOf(&mine.held)
	for _, d := range domains {
		known := j.demands[d]
		if known == nil {
			if len(j.demands) >= maxDemands {
				return false
			}
			known = &demand{}
			j.demands[d] = known
		}
		if now.Sub(known.last) > holdTime {
			known.requests = 0
		}
		known.requests, known.last = known.requests+1, now
		if known.hold == nil || !now.Before(known.hold.expires) {
			covered = false
			j.wantHold(d, known)
		}
	}
	if !covered || len(domains) == 0 {
		return false
	}
	for _, d := range domains {
		j.demands[d].hold.used = true
	}
	return true
}

// wantHold has a domain held for which there is demand. It needs the lock.
func (j *Journal) wantHold(d domain, known *demand) {
	if known.asked || known.requests < j.holdAfter || j.now().Before(known.not) || j.holds()+len(j.wanted) >= maxHolds {
		return
	}
	select {
	case j.wanted <- d:
		known.asked = true
	default:
	}
}

// holds counts what this replica holds. It needs the lock.
func (j *Journal) holds() int {
	n, _ := j.has(func(o *own) bool { return o.Hold })
	return n
}

// hold takes holds until ctx ends: those that are wanted at the same time share their writes.
func (j *Journal) hold(ctx context.Context) {
	var taking sync.WaitGroup
	defer taking.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case d := <-j.wanted:
			taking.Go(func() { j.had(d, j.takeHold(ctx, d)) })
		}
	}
}

// had notes what became of the wish for a hold, which is nil if it is not to be had.
func (j *Journal) had(d domain, hold *own) {
	j.mu.Lock()
	defer j.mu.Unlock()
	known := j.demands[d]
	known.asked = false
	if slices.Contains(j.own, hold) { // nobody asked meanwhile
		known.hold = hold
	} else {
		known.not = j.now().Add(holdPause)
	}
}

// takeHold takes a domain that no other namespace has a host in, or asks for one, or holds; nil if one does. NetworkPolicies are held
// unless one that selects all pods is being changed. A failure is none: without a hold everything is written.
func (j *Journal) takeHold(ctx context.Context, d domain) *own {
	ctx, cancel := context.WithTimeout(ctx, writeTime)
	defer cancel()
	e := entry{Hold: true}
	free := func() bool { return true }
	if d.name == "" {
		e.NetworkPolicy = &networkPolicy{Namespace: d.namespace}
	} else {
		e.Ingress = &ingress{Namespace: d.namespace, Hosts: hosts{{Host: "." + d.name, Via: facts.ViaAlias}}}
		free = func() bool {
			free, err := j.State.HostsFree(e.Ingress.claim().HostClaims)
			return err == nil && free
		}
	}
	wanted := newHeld(e, time.Time{})
	j.mu.Lock()
	other := j.inTheWay(&wanted, j.lasting(nil))
	j.mu.Unlock()
	if other != nil || !free() {
		return nil // and nobody has to wait for a hold that is not to be had
	}
	mine, err := j.admit(ctx, e, func(mine *held, before iter.Seq[*held]) { other = j.inTheWay(mine, before) })
	if err != nil {
		return nil
	}
	if other != nil || !free() {
		j.remove(mine)
		return nil
	}
	return mine
}

// yield gives up what is held of what an entry asks for. It needs the lock.
func (j *Journal) yield(to *held) {
	if to.Hold || j.holds() == 0 {
		return
	}
	j.dropHolds(func(o *own) bool { return o.excludes(to) })
}

var (
	errGivenUp = errors.New("somebody else asks for what was to be held")
	errNotHeld = errors.New("it is not held")
)

// dropHold gives up a hold, or the wish for one. It needs the lock.
func (j *Journal) dropHold(o *own) {
	j.drop(o)
	if o.look != nil {
		o.look, o.err = nil, errGivenUp
		close(o.seen)
	}
	for _, known := range j.demands {
		if known.hold == o {
			known.hold, known.not = nil, j.now().Add(holdPause)
		}
	}
	j.signal()
}

// obstacle is a hold of another replica for which an entry has to wait; nil if there is none. It needs the lock.
func (j *Journal) obstacle(mine *own) *held {
	if mine.Hold {
		return nil
	}
	now := j.now()
	for _, other := range j.others {
		for _, h := range other.holds {
			if now.Before(h.expires) && (h.excludes(&mine.held) || h.isAmong(&mine.held) && j.isolationShrinks(mine, h)) {
				return h
			}
		}
	}
	return nil
}

// isQuiet tells whether a replica has not written for so long that it would have given a hold up, or written it anew.
func (j *Journal) isQuiet(hold *held) bool { return j.heldUntil().Sub(hold.expires) > 2*holdTime }

// isAmong tells whether both entries are about NetworkPolicies of one namespace.
func (h *held) isAmong(o *held) bool {
	return h.NetworkPolicy != nil && o.NetworkPolicy != nil && h.NetworkPolicy.Namespace == o.NetworkPolicy.Namespace
}

// isolationShrinks tells whether, since before an entry, a policy that selects all pods is being changed where NetworkPolicies are
// held. It needs the lock.
func (j *Journal) isolationShrinks(mine *own, hold *held) bool {
	for h := range j.lasting(mine) {
		if hold.excludes(h) {
			return true
		}
	}
	return false
}

// excludes tells whether an entry is in the way of another one, of which one is a hold or both are Ingresses.
func (h *held) excludes(o *held) bool {
	if h.Ingress != nil && o.Ingress != nil {
		return h.Ingress.Namespace != o.Ingress.Namespace && facts.SharesClass(h.Ingress.Class, o.Ingress.Class) && h.overlaps(o)
	}
	return h.isAmong(o) && (h.Hold && o.NetworkPolicy.SelectsAll || o.Hold && h.NetworkPolicy.SelectsAll)
}

// inTheWay is what excludes an entry; nil if there is nothing.
func (j *Journal) inTheWay(mine *held, before iter.Seq[*held]) *held {
	for other := range before {
		if other.excludes(mine) && (other.Ingress == nil || !j.State.HostsSettled(other.Ingress.claim())) {
			return other
		}
	}
	return nil
}

// cameBack notes that a write was seen, with all before it, and renews the holds in it that are in use. It needs the lock.
func (j *Journal) cameBack(sequence int64) {
	j.back = max(j.back, sequence)
	began, waited := j.began[sequence]
	for s := range j.began {
		if s <= sequence {
			delete(j.began, s)
		}
	}
	for _, o := range j.own {
		if waited && o.Hold && o.used && o.sequence > 0 && o.sequence <= sequence {
			o.expires, o.used = began.Add(holdTime), false
		}
	}
}

// tidyHolds has those written anew that are in use, and forgets demand that has ended. It needs the lock.
func (j *Journal) tidyHolds() {
	now := j.now()
	for _, o := range j.own {
		j.changed = j.changed || o.Hold && o.used && o.expires.Sub(now) < holdTime/2
	}
	for d, known := range j.demands {
		if known.hold != nil && !slices.Contains(j.own, known.hold) {
			known.hold = nil
		}
		if !known.asked && known.hold == nil && now.Sub(known.last) > holdTime && !now.Before(known.not) {
			delete(j.demands, d)
		}
	}
}

// heldUntil is when a hold that another replica has just written can be ignored: that replica has relied on it for holdTime at most,
// and what it admitted at the end of it is reserved for as long as everything.
func (j *Journal) heldUntil() time.Time { return j.now().Add(holdTime + j.Life) }

// dropHolds gives up some holds. It needs the lock.
func (j *Journal) dropHolds(which func(hold *own) bool) {
	for _, o := range slices.Clone(j.own) {
		if o.Hold && which(o) {
			j.dropHold(o)
		}
	}
}

// dropAllHolds is for when nothing more is admitted, or it is not known what others ask for. It needs the lock.
func (j *Journal) dropAllHolds() { j.dropHolds(func(*own) bool { return true }) }
