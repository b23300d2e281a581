package reservation

import (
	"context"
	"iter"
	"slices"
	"time"

	"github.com/sluice-gate/sluice/policies/facts"
	"github.com/sluice-gate/sluice/policies/state"
)

// Hosts takes the hosts of Ingresses. It is safe for concurrent use.
type Hosts struct{ journal *Journal }

// Hosts are the reservations of hosts in this journal.
func (j *Journal) Hosts() Hosts { return Hosts{j} }

// noted is how long the state shows an Ingress of another replica that was in the way. It may not be admitted after all.
const noted = 5 * time.Second

// Claim takes the hosts of an Ingress that every rule admits, in this replica and then in all. It is false if
// another Ingress has one of them, which the state then shows. After false, and after an error, nothing is kept.
func (h Hosts) Claim(ctx context.Context, claim state.HostClaim) (bool, error) {
	expires := h.journal.Now().Add(h.journal.Life)
	conflicts, release, err := h.journal.State.ClaimHosts(claim, expires)
	if err != nil || len(conflicts) > 0 {
		return false, err
	}
	free, err := h.take(ctx, claim, expires)
	if !free {
		release()
	}
	return free, err
}

// take takes hosts that are free in this replica.
func (h Hosts) take(ctx context.Context, claim state.HostClaim, expires time.Time) (bool, error) {
	known := h.journal.State
	var other *held
	mine, err := h.journal.admit(ctx, entry{Ingress: newIngress(claim)}, func(mine *held, before iter.Seq[*held]) { other = h.journal.inTheWay(mine, before) })
	switch {
	case err != nil:
		return false, err
	case other != nil:
		known.NoteHosts(other.Ingress.claim(), h.journal.Now().Add(noted))
		h.journal.remove(mine)
		return false, nil
	}
	// The state may have learned since the first look that a holder whose reservation is over is stored.
	conflicts, _, err := known.ClaimHosts(claim, expires) // which was taken, and so is renewed
	if err != nil || len(conflicts) > 0 {
		h.journal.remove(mine)
		return false, err
	}
	h.journal.keep(mine)
	return true, nil
}

func (h *held) overlaps(o *held) bool {
	return slices.ContainsFunc(h.patterns, func(mine facts.HostPattern) bool { return slices.ContainsFunc(o.patterns, mine.Overlaps) })
}
