package reservation

import (
	"context"
	"errors"
	"iter"
	"slices"

	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/state"
)

// Isolation decides between changes of NetworkPolicies that are each fine while the other policy stays. It is safe for
// concurrent use.
type Isolation struct{ journal *Journal }

// Isolation are the reservations of changes in this journal.
func (j *Journal) Isolation() Isolation { return Isolation{j} }

// Claim implements policies.IsolationClaimer.
func (c Isolation) Claim(ctx context.Context, of state.PolicyChange, suffice func(*engine.PolicyList) bool, judge func(state.Remaining) bool) error {
	if covered, err := c.cover(ctx, of, suffice); covered || err != nil {
		return err
	}
	known := c.journal.State
	var before []state.PolicyChange
	mine, err := c.journal.admit(ctx, entry{NetworkPolicy: newNetworkPolicy(of)},
		func(_ *held, all iter.Seq[*held]) { before = changesOf(of.Namespace, all) })
	if err != nil {
		return err
	}
	policies, err := known.KnownPolicies(of.Namespace)
	admitted := err == nil && judge(remaining(of, policies, before))
	if err == nil && !admitted { // the state may lag behind a policy that isolates, too
		// First the changes: one that leaves a journal after the policies were read would count for nothing.
		before = c.changes(of.Namespace, mine)
		if policies, err = known.LivePolicies(ctx, of.Namespace); err == nil {
			admitted = judge(remaining(of, policies, before))
		}
	}
	if admitted {
		c.journal.keep(mine)
	} else {
		c.journal.remove(mine)
	}
	return err
}

// cover admits a change by a hold, for which the policies that select all pods have to suffice. These are read when it is held: none
// of them changes from when the state had caught up for the hold until that is given up.
func (c Isolation) cover(ctx context.Context, of state.PolicyChange, suffice func(*engine.PolicyList) bool) (bool, error) {
	if of.SelectsAll || c.selectingAll(of) == nil {
		return false, nil
	}
	mine, err := c.journal.admit(ctx, entry{Covered: true, NetworkPolicy: newNetworkPolicy(of)}, nil)
	switch {
	case errors.Is(err, errNotHeld):
		return false, nil
	case err != nil:
		return false, err
	}
	if all := c.selectingAll(of); all != nil && suffice(all) {
		c.journal.keep(mine)
		return true, nil
	}
	c.journal.remove(mine)
	return false, nil
}

// selectingAll are the other policies that select all pods; nil if none is known.
func (c Isolation) selectingAll(of state.PolicyChange) *engine.PolicyList {
	policies, err := c.journal.State.KnownPolicies(of.Namespace)
	if err != nil {
		return nil // whoever needs the others says so
	}
	return policies.SelectingAll(of.Name)
}

// Remaining implements policies.IsolationClaimer.
func (c Isolation) Remaining(ctx context.Context, of state.PolicyChange) (state.Remaining, error) {
	if err := c.journal.awaitSync(ctx); err != nil {
		return state.Remaining{}, err
	}
	changes := c.changes(of.Namespace, nil)
	policies, err := c.journal.State.LivePolicies(ctx, of.Namespace)
	if err != nil {
		return state.Remaining{}, err
	}
	return remaining(of, policies, changes), nil
}

// changes are those of a namespace that came before an entry; all if it is nil.
func (c Isolation) changes(namespace string, before *own) []state.PolicyChange {
	c.journal.mu.Lock()
	defer c.journal.mu.Unlock()
	return changesOf(namespace, c.journal.lasting(before))
}

func changesOf(namespace string, all iter.Seq[*held]) []state.PolicyChange {
	var out []state.PolicyChange
	for h := range all {
		if h.NetworkPolicy != nil && h.NetworkPolicy.Namespace == namespace {
			out = append(out, h.NetworkPolicy.change())
		}
	}
	return out
}

// remaining leaves out the policies that others are changing.
func remaining(of state.PolicyChange, policies *state.NamespacePolicies, changes []state.PolicyChange) state.Remaining {
	return state.NewRemaining(policies, func(p state.LivePolicy) bool {
		return p.Name != of.Name && slices.ContainsFunc(changes, func(c state.PolicyChange) bool {
			return c.Name == p.Name && c.Pending(p.UID, p.ResourceVersion)
		})
	})
}
