package policies

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

// Gate is the immutable, compiled snapshot of all policies. It is safe for concurrent use.
type Gate struct {
	policies         []policy // sorted by name, at the engine's index; after them those that can't be evaluated
	byKind           map[schema.GroupKind][]int
	program          *engine.Program
	library          *engine.Library
	exceptions       []exception
	exemptNamespaces []string
	state            engine.State
	namespaces       Namespaces
	claims           Claimer
	isolation        IsolationClaimer
	live             Namespaces
	self             string
	breakGlass       []string
	now              func() time.Time
}

// Options are what a Gate is made of.
type Options struct {
	Library    *engine.Library
	Policies   []v1alpha1.GatePolicy
	Exceptions []v1alpha1.GateException
	// Defaults are parameters, by the id of a rule, for policies of that rule that leave them out.
	Defaults map[string]map[string]any
	// ExemptNamespaces are names or globs beside SystemNamespaces: Sluice's own namespace, and those of CNI,
	// ingress controllers and cert-manager.
	ExemptNamespaces []string
	// Budget defaults to engine.DefaultBudget.
	Budget engine.Budget
	// State and Namespaces answer what exists; without them a policy that asks can't be judged.
	State      engine.State
	Namespaces Namespaces
	// Claims may be nil where requests are judged one after another, each known to the state before the next.
	Claims Claimer
	// Isolation may be nil where Claims may. Live are the namespaces past the state, by default Namespaces.
	Isolation IsolationClaimer
	Live      Namespaces
	// Self is the user as whom Sluice itself makes requests, which are not judged. "" is nobody.
	Self string
	// BreakGlass are groups whose members may change what policies generated.
	BreakGlass []string
	// Now defaults to time.Now; exceptions expire by it.
	Now func() time.Time
	// Previous is a gate of the same Library and Defaults whose compiled policies are taken over where their spec is the same; nil
	// compiles all. It changes how long it takes to make a gate, and nothing else.
	Previous *Gate

	trial bool // the gate is only to tell what is wrong
}

// NewGate compiles policies. The error joins one error per thing that is wrong, each with the policy and
// field; there is no gate with fewer policies than asked for.
func NewGate(o Options) (*Gate, error) {
	if o.Library == nil {
		return nil, errors.New("new gate: no library of rules")
	}
	g, rejected := Assemble(o)
	var errs []error
	for _, r := range rejected {
		errs = append(errs, r)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	// No request is waiting: evaluations are bounded by the budget.
	for _, collision := range g.Collisions(context.Background()) {
		errs = append(errs, Rejected{Kind: PolicyKind, Name: collision.Policy, Err: collision})
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return g, nil
}

// PolicyInfo is what a policy is, for those who print results.
type PolicyInfo struct {
	Name   string
	Rule   *engine.Rule
	Action v1alpha1.Action
	// Err is why the policy can't be evaluated: then Rule is what could be told of it.
	Err error
}

// Policies are the gate's policies, sorted by name.
func (g *Gate) Policies() []PolicyInfo {
	out := make([]PolicyInfo, len(g.policies))
	for i, p := range g.policies {
		out[i] = PolicyInfo{p.name, p.rule, p.action, p.err}
	}
	slices.SortStableFunc(out, func(a, b PolicyInfo) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// Kinds are the kinds that some policy judges, sorted.
func (g *Gate) Kinds() []schema.GroupKind {
	var out []schema.GroupKind
	for kind := range g.byKind {
		out = append(out, kind)
	}
	slices.SortFunc(out, func(a, b schema.GroupKind) int { return cmp.Compare(a.String(), b.String()) })
	return out
}

// WatchedKinds are StateKinds, and the kinds of what policies generate and of what they generate it for, sorted.
func (g *Gate) WatchedKinds() []schema.GroupKind {
	out := g.StateKinds()
	for _, p := range g.policies {
		if !p.isSilent() && p.states(engine.Generate) {
			out = append(append(out, p.match.kinds...), p.generates...)
		}
	}
	slices.SortFunc(out, func(a, b schema.GroupKind) int { return cmp.Compare(a.String(), b.String()) })
	return slices.Compact(out)
}

// StateKinds are the kinds that some policy asks about beside the request, sorted.
func (g *Gate) StateKinds() []schema.GroupKind {
	var out []schema.GroupKind
	for _, p := range g.policies {
		if p.err == nil && !p.isSilent() {
			out = append(out, p.state...)
		}
	}
	slices.SortFunc(out, func(a, b schema.GroupKind) int { return cmp.Compare(a.String(), b.String()) })
	return slices.Compact(out)
}

// candidates are the policies that state one of the verbs and match the request. Where nobody can tell
// whether a policy matches, or what it needs to know is missing, it is not a candidate but a finding.
func (g *Gate) candidates(ctx context.Context, r Request, namespace *namespaceLookup, verbs ...engine.Verb) ([]int, []Finding) {
	var active []int
	var unknown []Finding
	for _, i := range g.byKind[r.Kind.GroupKind()] {
		p := &g.policies[i]
		if !slices.ContainsFunc(verbs, p.states) || !p.match.matches(r) {
			continue
		}
		matched, err := p.match.matchesNamespace(ctx, r, namespace)
		if err == nil && matched && p.rule.ReadsNamespace {
			_, err = namespace.get(ctx, r)
		}
		if err == nil && matched {
			err = p.err
		}
		switch {
		case err != nil:
			unknown = append(unknown, p.failure(r, err))
		case matched:
			active = append(active, i)
		}
	}
	return active, unknown
}

// failure is the finding of a policy that could not be evaluated.
func (p *policy) failure(r Request, err error) Finding {
	f := p.finding(r, p.effect(), engine.Finding{Message: "could not judge: " + err.Error()})
	f.Failed = true
	return f
}

func (p *policy) effect() Effect {
	switch p.action {
	case v1alpha1.ActionWarn:
		return EffectWarn
	case v1alpha1.ActionAudit:
		return EffectAudit
	}
	return EffectDeny
}

// finding applies the ratchet: an update of an object that the policy judged before, and that changes nothing
// that the rule judges, is never refused, not even if the rule can't be evaluated.
func (p *policy) finding(r Request, effect Effect, from engine.Finding) Finding {
	f := Finding{Policy: p.name, Rule: p.rule.ID, Severity: p.rule.Severity, Effect: effect,
		Message: from.Message, Field: from.Field, Fix: from.Fix}
	if p.message != "" {
		f.Message += " (" + p.message + ")"
	}
	if effect == EffectDeny && p.ratchets(r) {
		f.Effect, f.Ratcheted = EffectWarn, true
	}
	return f
}

// ratchets tells whether the policy can't refuse the request, because nothing that it judges changes. Some rules never
// ratchet.
func (p *policy) ratchets(r Request) bool {
	return r.Operation == engine.Update && !p.rule.NeverRatchets && p.match.matchedBefore(r) && p.unchanged(r)
}
