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
	// State are the kinds that the policy asks about, Generates those that it produces; what the policy produced with
	// other parameters may be of one of MayGenerate.
	State, Generates, MayGenerate []schema.GroupKind
	// Keeps: what is generated exists because of the policy, and nobody may change it. With action Warn or Audit a policy only
	// says what it would generate.
	Keeps bool
	// HoldsPods: pods wait for what is generated for their namespace.
	HoldsPods bool
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
			Policy: p.name, Rule: p.rule.ID, State: p.state, Generates: p.generates, MayGenerate: p.rule.Generates, Silent: p.isSilent(),
			Keeps: p.keeps(), HoldsPods: p.holdsPods(),
			Kinds: p.match.kinds, Operations: p.match.operations, Subresources: p.match.subresources, Only: p.match.only,
			Judges:  p.states(engine.Deny) || p.states(engine.Warn),
			Patches: p.states(engine.Patch), Leaving: p.match.leaving,
		}
		if interest.Silent {
			interest.State, interest.Generates, interest.Keeps, interest.HoldsPods = nil, nil, false, false
		}
		out = append(out, interest)
	}
	slices.SortFunc(out, func(a, b Interest) int { return cmp.Compare(a.Policy, b.Policy) })
	return out
}
