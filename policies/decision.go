package policies

import (
	"cmp"
	"slices"
	"time"

	"github.com/maruel/natural"

	"github.com/sluice-gate/sluice/policies/engine"
)

// Effect is what a finding does to the request, the strongest first.
type Effect string

// The effects. An unknown effect counts as EffectDeny.
const (
	EffectDeny  Effect = "deny"
	EffectWarn  Effect = "warn"
	EffectAudit Effect = "audit"
)

// Finding is one result of one policy.
type Finding struct {
	Policy   string // the policy's name
	Rule     string // the rule's id; "" for an inline rule
	Severity string
	Effect   Effect
	// Failed tells that the policy could not be evaluated; Message is why.
	Failed bool
	// Ratcheted tells that this would be a denial had the update changed what the rule judges.
	Ratcheted bool
	// Excused is the reason of the GateException that takes the finding's effect; "" if none does.
	Excused string
	Message string
	Field   string // a Kubernetes field path; may be empty
	Fix     string // may be empty
}

// Patch is a change that a policy makes.
type Patch struct {
	Policy string
	engine.Operation6902
}

// Decision is the outcome of one review. Its zero value denies.
type Decision struct {
	// Judged tells that the gate came to a decision at all.
	Judged bool
	// Exempt is why nothing was judged; empty if policies were asked or none matched.
	Exempt string
	// Failure is why no decision was reached; it denies.
	Failure  string
	Findings []Finding // sorted by policy, field and message
	Patches  []Patch   // in the order in which they apply
	// BreakGlass tells that somebody did, by a break-glass group, what only Sluice may do.
	BreakGlass bool
	// RetryAfter is when a denied request is worth another try; 0 if it has to change.
	RetryAfter time.Duration
}

// Allowed tells whether the request may pass.
func (d Decision) Allowed() bool {
	return d.Judged && d.Failure == "" && len(d.Denials()) == 0
}

// Denials are the findings that refuse the request.
func (d Decision) Denials() []Finding {
	return d.withEffect(func(e Effect) bool { return e != EffectWarn && e != EffectAudit })
}

// Warnings are the findings that are shown to the client of an admitted request.
func (d Decision) Warnings() []Finding {
	return d.withEffect(func(e Effect) bool { return e == EffectWarn })
}

// Audits are the findings that are recorded only.
func (d Decision) Audits() []Finding {
	return d.withEffect(func(e Effect) bool { return e == EffectAudit })
}

func (d Decision) withEffect(wanted func(Effect) bool) []Finding {
	var out []Finding
	for _, f := range d.Findings {
		if wanted(f.Effect) {
			out = append(out, f)
		}
	}
	return out
}

func sortFindings(findings []Finding) {
	slices.SortStableFunc(findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Policy, b.Policy), compareFields(a.Field, b.Field), cmp.Compare(a.Message, b.Message))
	})
}

// compareFields sorts spec.rules[9] before spec.rules[10], and what is about the whole object last.
func compareFields(a, b string) int {
	if (a == "") != (b == "") {
		return len(b) - len(a)
	}
	return natural.Compare(a, b)
}
