package policies

import (
	"context"
	"errors"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/state"
)

// Claimer settles races: of requests for one host that are judged at the same moment, on this replica or
// another, it lets one through.
type Claimer interface {
	// Claim takes the hosts of an Ingress that is about to be admitted. False means that another Ingress has one
	// of them, which the gate's State shows from then on.
	Claim(ctx context.Context, claim state.HostClaim) (free bool, err error)
}

// claim is the last step of a review that admits: where a policy would deny a host that is taken, the hosts are
// taken for this request. The findings are what the same policies say when another request came first.
func (g *Gate) claim(ctx context.Context, r Request, namespace *namespaceLookup, active []int, d Decision) []Finding {
	if g.claims == nil || r.DryRun || r.Operation == engine.Delete || r.SubResource != "" || !d.Allowed() {
		return nil
	}
	asking := slices.DeleteFunc(slices.Clone(active), func(i int) bool { return !g.policies[i].claims(r, d) })
	if len(asking) == 0 {
		return nil
	}
	failed := func(err error) []Finding {
		var out []Finding
		for _, i := range asking {
			out = append(out, g.policies[i].failure(r, err))
		}
		return out
	}
	claim, err := g.hostClaim(r)
	if err != nil {
		return failed(err)
	}
	if len(claim.Hosts) == 0 {
		return nil
	}
	free, err := g.claims.Claim(ctx, claim)
	switch {
	case err != nil:
		return failed(err)
	case free:
		return nil
	}
	if findings := g.evaluate(ctx, r, namespace, asking, engine.Deny); len(findings) > 0 {
		return findings
	}
	return failed(errors.New("a host is taken by an Ingress that the rule does not refuse: a rule that calls sluice.ingress.conflicts has to deny all of them"))
}

// claims tells whether the policy would refuse the request for a host that is taken.
func (p *policy) claims(r Request, d Decision) bool {
	excused := slices.ContainsFunc(d.Findings, func(f Finding) bool { return f.Policy == p.name && f.Excused != "" })
	return slices.Contains(p.rule.Reserves, engine.ReservedHosts) && p.states(engine.Deny) && p.effect() == EffectDeny && !excused && !p.ratchets(r)
}

// hostClaim is what the request's object claims and did not have before.
func (g *Gate) hostClaim(r Request) (state.HostClaim, error) {
	claims, err := engine.HostClaims(g.state, r.Object)
	if err != nil {
		return state.HostClaim{}, err
	}
	metadata := r.Object.Get("metadata")
	out := state.HostClaim{HostClaims: claims, UID: types.UID(metadata.Get("uid").Text()), Generation: metadata.Get("generation").Int()}
	if r.Operation == engine.Update {
		old, err := engine.HostClaims(g.state, r.OldObject)
		if err != nil {
			return state.HostClaim{}, err
		}
		out.Hosts, out.ResourceVersion = claims.NewHosts(old), r.OldObject.Get("metadata", "resourceVersion").Text()
	}
	return out, nil
}
