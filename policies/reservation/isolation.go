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

// cover admits a change by a hold, for which the policies that select all pods have to suffice. These are read again when it is held:
// none of them has changed since the state caught up for the hold. If the hold is given up meanwhile, whoever changes one has
// counted this change.
func (c Isolation) cover(ctx context.Context, of state.PolicyChange, suffice func(*engine.PolicyList) bool) (bool, error) {
	known := c.journal.State
	policies, err := known.KnownPolicies(of.Namespace)
	enough := func(p *state.NamespacePolicies) bool {
		all := p.SelectingAll(of.Name)
		return all != nil && suffice(all)
	}
	if of.SelectsAll || err != nil || !enough(policies) {
		return false, nil // what is wrong with the policies is said by who needs all of them
	}
	mine, err := c.journal.admit(ctx, entry{Covered: true, NetworkPolicy: newNetworkPolicy(of)}, nil)
	switch {
	case errors.Is(err, errNotHeld):
		return false, nil
	case err != nil:
		return false, err
	}
	if now, err := known.KnownPolicies(of.Namespace); err == nil && (now == policies || enough(now)) {
		c.journal.keep(mine)
		return true, nil
	}
	c.journal.remove(mine)
	return false, nil
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
	return state.NewRemaining(policies, func(p *state.LivePolicy) bool {
		return p.Name != of.Name && slices.ContainsFunc(changes, func(c state.PolicyChange) bool {
			return c.Name == p.Name && c.Pending(p.UID, p.ResourceVersion)
		})
	})
}
