package policies

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/agnivade/levenshtein"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

// Gate is the immutable, compiled snapshot of all policies. It is safe for concurrent use.
type Gate struct {
	policies         []policy // sorted by name; the index is the engine's
	byKind           map[schema.GroupKind][]int
	program          *engine.Program
	exceptions       []exception
	exemptNamespaces []string
	state            engine.State
	namespaces       Namespaces
	now              func() time.Time
}

// Options are what a Gate is made of.
type Options struct {
	Library    *engine.Library
	Policies   []v1alpha1.GatePolicy
	Exceptions []v1alpha1.GateException
	// ExemptNamespaces are names or globs beside SystemNamespaces: Sluice's own namespace, and those of CNI,
	// ingress controllers and cert-manager.
	ExemptNamespaces []string
	// Budget defaults to engine.DefaultBudget.
	Budget engine.Budget
	// State and Namespaces answer what exists; without them a policy that asks can't be judged.
	State      engine.State
	Namespaces Namespaces
	Previous *Gate // STUB
	// Now defaults to time.Now; exceptions expire by it.
	Now func() time.Time
}

// policy is a GatePolicy ready for use.
type policy struct {
	name    string
	rule    *engine.Rule
	match   matcher
	action  v1alpha1.Action
	message string
}

// NewGate compiles policies. The error joins one error per thing that is wrong, each with the policy and
// field; there is no gate with fewer policies than asked for.
func NewGate(o Options) (*Gate, error) {
	if o.Library == nil {
		return nil, errors.New("new gate: no library of rules")
	}
	g := &Gate{
		byKind: map[schema.GroupKind][]int{}, state: o.State, namespaces: o.Namespaces, now: o.Now,
		exemptNamespaces: append(SystemNamespaces(), o.ExemptNamespaces...),
	}
	if g.now == nil {
		g.now = time.Now
	}
	if o.Budget == (engine.Budget{}) {
		o.Budget = engine.DefaultBudget()
	}
	sorted := slices.Clone(o.Policies)
	slices.SortFunc(sorted, func(a, b v1alpha1.GatePolicy) int { return cmp.Compare(a.Name, b.Name) })
	var compiled []engine.Policy
	var errs []error
	for i := range sorted {
		p, parameters, err := newPolicy(o.Library, &sorted[i])
		if err == nil && i > 0 && sorted[i-1].Name == p.name {
			err = errors.New("metadata.name: another policy has the same name")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("policy %q: %w", sorted[i].Name, err))
			continue
		}
		for _, kind := range p.match.kinds {
			g.byKind[kind] = append(g.byKind[kind], len(g.policies))
		}
		g.policies = append(g.policies, p)
		compiled = append(compiled, engine.Policy{Name: p.name, Rule: p.rule, Parameters: parameters})
	}
	g.exceptions, errs = newExceptions(o.Exceptions, g.policies, errs)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	var err error
	if g.program, err = engine.Compile(compiled, o.Budget, nil); err != nil {
		return nil, err
	}
	for _, collision := range g.Collisions() {
		errs = append(errs, fmt.Errorf("policy %q: %w", collision.Policies[1], collision))
	}
	return g, errors.Join(errs...)
}

func newPolicy(library *engine.Library, source *v1alpha1.GatePolicy) (policy, map[string]any, error) {
	spec := source.Spec
	p := policy{name: source.Name, action: spec.Action, message: spec.Message}
	if p.action == "" {
		p.action = v1alpha1.ActionDeny
	}
	if p.name == "" {
		return p, nil, errors.New("metadata.name: missing")
	}
	if !slices.Contains([]v1alpha1.Action{v1alpha1.ActionDeny, v1alpha1.ActionWarn, v1alpha1.ActionAudit}, p.action) {
		return p, nil, fmt.Errorf("spec.action: %q, want Deny, Warn or Audit", p.action)
	}
	rule, err := policyRule(library, p.name, spec)
	if err != nil {
		return p, nil, err
	}
	p.rule = rule
	if p.match, err = newMatcher(spec.Match, rule); err != nil {
		return p, nil, err
	}
	parameters := map[string]any{}
	if spec.Parameters != nil && len(spec.Parameters.Raw) > 0 {
		if err := json.Unmarshal(spec.Parameters.Raw, &parameters); err != nil {
			return p, nil, fmt.Errorf("spec.parameters: want an object: %w", err)
		}
	}
	if _, err := rule.CompleteParameters(parameters); err != nil {
		return p, nil, err
	}
	return p, parameters, nil
}

func policyRule(library *engine.Library, name string, spec v1alpha1.GatePolicySpec) (*engine.Rule, error) {
	switch {
	case spec.Rule != "" && spec.Rego != "":
		return nil, errors.New("spec: has both rule and rego, want exactly one of them")
	case spec.Rego != "":
		return library.Inline(name+".rego", spec.Rego)
	case spec.Rule == "":
		return nil, errors.New("spec: has neither rule nor rego, want exactly one of them")
	}
	if rule, ok := library.Rule(spec.Rule); ok {
		return rule, nil
	}
	return nil, fmt.Errorf("spec.rule: there is no rule %q%s", spec.Rule, nearestRule(library, spec.Rule))
}

// nearestRule suggests what a misspelt id could mean.
func nearestRule(library *engine.Library, id string) string {
	best, distance := "", 6
	for _, rule := range library.Rules() {
		if d := levenshtein.ComputeDistance(id, rule.ID); d < distance {
			best, distance = rule.ID, d
		}
	}
	if best == "" {
		return "; `sluice rules` lists them"
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// PolicyInfo is what a policy is, for those who print results.
type PolicyInfo struct {
	Name   string
	Rule   *engine.Rule
	Action v1alpha1.Action
}

// Policies are the gate's policies, sorted by name.
func (g *Gate) Policies() []PolicyInfo {
	out := make([]PolicyInfo, len(g.policies))
	for i, p := range g.policies {
		out[i] = PolicyInfo{p.name, p.rule, p.action}
	}
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

// StateKinds are the kinds that some policy asks about beside the request, sorted.
func (g *Gate) StateKinds() []schema.GroupKind {
	var out []schema.GroupKind
	for _, p := range g.policies {
		out = append(out, p.rule.State...)
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
		if !slices.ContainsFunc(verbs, p.rule.States) || !p.match.matches(r) {
			continue
		}
		matched, err := p.match.matchesNamespace(ctx, r, namespace)
		if err == nil && matched && p.rule.ReadsNamespace {
			_, err = namespace.get(ctx, r)
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
	if effect == EffectDeny && r.Operation == engine.Update && p.match.matchedBefore(r) && p.rule.Unchanged(r.Object, r.OldObject) {
		f.Effect, f.Ratcheted = EffectWarn, true
	}
	return f
}
