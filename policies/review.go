package policies

import (
	"context"

	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

// Review judges a request by the deny and warn of all policies that match it.
func (g *Gate) Review(ctx context.Context, r Request) Decision {
	if reason := g.exemption(r); reason != "" {
		return Decision{Judged: true, Exempt: reason}
	}
	namespace := &namespaceLookup{source: g.namespaces}
	active, findings := g.candidates(ctx, r, namespace, engine.Deny, engine.Warn)
	findings = append(findings, g.evaluate(ctx, r, namespace, active, engine.Deny, engine.Warn)...)
	g.excuse(ctx, r, namespace, findings)
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
	var findings []Finding
	for _, outcome := range g.program.Evaluate(ctx, g.input(r, namespace), active, verbs...) {
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
