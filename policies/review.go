package policies

import (
	"context"
	"slices"

	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

// Review judges a request by the deny and warn of all policies that match it.
func (g *Gate) Review(ctx context.Context, r Request) Decision {
	if reason := g.exemption(r); reason != "" {
		return Decision{Judged: true, Exempt: reason}
	}
	ctx = engine.Remembering(ctx) // settleIsolation judges again
	namespace := &namespaceLookup{source: g.namespaces}
	active, findings := g.candidates(ctx, r, namespace, engine.Deny, engine.Warn)
	findings = append(findings, g.evaluate(ctx, r, namespace, active, engine.Deny, engine.Warn)...)
	g.excuse(ctx, r, namespace, findings)
	findings = g.settleIsolation(ctx, r, namespace, active, findings)
	d := Decision{Judged: true, Findings: findings}
	if late := g.claim(ctx, r, namespace, active, d); len(late) > 0 {
		g.excuse(ctx, r, namespace, late)
		d.Findings = append(d.Findings, late...)
	}
	sortFindings(d.Findings)
	return d
}

// evaluate is what policies say of a request.
func (g *Gate) evaluate(ctx context.Context, r Request, namespace *namespaceLookup, active []int, verbs ...engine.Verb) []Finding {
	return g.evaluateBy(ctx, g.state, r, namespace, active, verbs...)
}

// evaluateBy is evaluate with another state.
func (g *Gate) evaluateBy(ctx context.Context, known engine.State, r Request, namespace *namespaceLookup, active []int, verbs ...engine.Verb) []Finding {
	var findings []Finding
	in := g.input(r, namespace)
	in.State = known
	for _, outcome := range g.outcomes(ctx, in, r, active, verbs) {
		p := &g.policies[outcome.Policy]
		if outcome.Err != nil {
			findings = append(findings, p.failure(r, outcome.Err))
			continue
		}
		for _, f := range outcome.Deny {
			findings = append(findings, p.finding(r, p.effect(), f))
		}
		for _, f := range outcome.Warn {
			findings = append(findings, p.finding(r, p.warnEffect(), f))
		}
	}
	return findings
}

// outcomes asks those policies apart that the request leaves.
func (g *Gate) outcomes(ctx context.Context, in engine.Input, r Request, active []int, verbs []engine.Verb) []engine.Outcome {
	leaves := func(i int) bool { return g.policies[i].match.leaves(r) }
	if !slices.ContainsFunc(active, leaves) {
		return g.program.Evaluate(ctx, in, active, verbs...)
	}
	var leaving, staying []int
	for _, i := range active {
		if leaves(i) {
			leaving = append(leaving, i)
		} else {
			staying = append(staying, i)
		}
	}
	out := g.program.Evaluate(ctx, in, staying, verbs...)
	in.Leaves = true
	return append(out, g.program.Evaluate(ctx, in, leaving, verbs...)...)
}

// warnEffect is the effect of a rule's warn: never stronger than a warning, and an audit stays one.
func (p *policy) warnEffect() Effect {
	if p.action == v1alpha1.ActionAudit {
		return EffectAudit
	}
	return EffectWarn
}

func (g *Gate) input(r Request, namespace *namespaceLookup) engine.Input {
	return engine.Input{Request: r.Raw, Namespace: namespace.object, State: g.state}
}
