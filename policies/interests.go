package policies

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sluice-gate/sluice/policies/engine"
)

// Interest is what a policy wants to be asked about.
type Interest struct {
	Policy       string
	Kinds        []schema.GroupKind
	Operations   []engine.Operation
	Subresources []string
	// Only is engine.HostNetwork if the policy has nothing to say of other objects of its kinds.
	Only string
	// Judges: the policy has a say in whether a request passes. Patches: it changes objects. A policy that
	// only generates wants neither.
	Judges, Patches bool
	// Leaving: the policy is asked about updates of Namespaces, too, which may leave its namespaceSelector.
	Leaving bool
	// State are the kinds that the policy asks about, Generates those that it produces.
	State, Generates []schema.GroupKind
	// Silent: with its parameters the policy says nothing of any request, and so has no state to know either.
	Silent bool
	// Rule is the id of the rule.
	Rule string
}

// Interests are those of all policies, sorted by name.
func (g *Gate) Interests() []Interest {
	out := make([]Interest, 0, len(g.policies))
	for i := range g.policies {
		p := &g.policies[i]
		interest := Interest{
			Policy: p.name, Rule: p.rule.ID, State: p.state, Generates: p.rule.Generates, Silent: p.isSilent(),
			Kinds: p.match.kinds, Operations: p.match.operations, Subresources: p.match.subresources, Only: p.match.only,
			Judges:  p.states(engine.Deny) || p.states(engine.Warn),
			Patches: p.states(engine.Patch), Leaving: p.match.leaving,
		}
		if interest.Silent {
			interest.State, interest.Generates = nil, nil
		}
		out = append(out, interest)
	}
	slices.SortFunc(out, func(a, b Interest) int { return cmp.Compare(a.Policy, b.Policy) })
	return out
}
