package webhook

import (
	"fmt"
	"time"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/webhook/decisionlog"
)

// record tells everybody who is to know what a review came to. Nothing of it waits for anybody.
func (e *endpoint) record(current *snapshot, request policies.Request, decision policies.Decision, start time.Time) {
	e.metrics.count(e.name, current, request, decision)
	e.logDecision(request, decision)
	e.events.tell(request, decision)
	if e.decisions != nil {
		e.decisions.Add(e.entry(request, decision, start), request.Subject())
	}
}

// Bounds on what one review adds to the decision log beside its object.
const (
	maxEntryFindings = 100
	maxEntryMessage  = 4 << 10 // bytes
	maxEntryGroups   = 100
)

// entry is a review as the decision log has it.
func (e *endpoint) entry(request policies.Request, decision policies.Decision, start time.Time) decisionlog.Entry {
	entry := decisionlog.Entry{
		Time: start.UTC(), Handler: e.name, UID: request.UID, User: request.User.Name,
		Groups:    request.User.Groups[:min(len(request.User.Groups), maxEntryGroups)],
		Operation: string(request.Operation), Kind: engine.FormatGroupKind(request.Kind.GroupKind()), SubResource: request.SubResource,
		Namespace: request.Namespace, Name: request.Name, DryRun: request.DryRun,
		Decision: outcome(decision), Exempt: decision.Exempt, Failure: shorten(decision.Failure, maxEntryMessage),
	}
	for i, f := range decision.Findings {
		if i == maxEntryFindings {
			entry.Findings = append(entry.Findings, decisionlog.Finding{Message: fmt.Sprintf("and %d more findings", len(decision.Findings)-i)})
			break
		}
		entry.Findings = append(entry.Findings,
			decisionlog.Finding{Policy: f.Policy, Action: action(f), Message: shorten(f.Message, maxEntryMessage), Field: f.Field, Excused: f.Excused})
	}
	entry.DurationSeconds = time.Since(start).Seconds()
	return entry
}
