package webhook

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/engine"
)

// judge asks the reviewer. A panic in it is a decision that denies: who asked learns that it's an internal
// error, the log has the stack.
func (e *endpoint) judge(ctx context.Context, reviewer Reviewer, request policies.Request) (decision policies.Decision) {
	defer func() {
		if caught := recover(); caught != nil {
			decision = policies.Decision{Failure: "internal error; Sluice's log tells more about request " + request.UID}
			e.log.Error(fmt.Errorf("panic: %v", caught), "review panicked", append(logKeys(request), "stack", string(debug.Stack()))...)
		}
	}()
	return e.ask(reviewer, ctx, request)
}

// logDecision writes a denial, a policy that could not be judged, and what an exception excused, at Info; everything else at V(1).
// Nothing of the object but its name is logged.
func (e *endpoint) logDecision(request policies.Request, decision policies.Decision) {
	failed := namesOf(decision.Findings, func(f policies.Finding) bool { return f.Failed })
	excused := namesOf(decision.Findings, func(f policies.Finding) bool { return f.Excused != "" })
	switch {
	case !decision.Allowed():
		denials := namesOf(decision.Denials(), func(policies.Finding) bool { return true })
		keys := append(logKeys(request), "policy", denials)
		if excused != "" {
			keys = append(keys, "excused", excused)
		}
		if decision.Failure != "" {
			keys = append(keys, "failure", decision.Failure)
		}
		e.log.Info("request denied", keys...)
	case failed != "":
		e.log.Info("request allowed though policies could not be judged", append(logKeys(request), "policy", failed)...)
	case excused != "":
		e.log.Info("request allowed by an exception", append(logKeys(request), "excused", excused)...)
	default:
		if log := e.log.V(1); log.Enabled() {
			all := namesOf(decision.Findings, func(policies.Finding) bool { return true })
			log.Info("request allowed", append(logKeys(request), "policy", all, "exempt", decision.Exempt)...)
		}
	}
}

func logKeys(r policies.Request) []any {
	return []any{"kind", engine.FormatGroupKind(r.Kind.GroupKind()), "namespace", r.Namespace, "name", r.Name,
		"operation", string(r.Operation), "user", r.User.Name, "requestID", r.UID}
}

// namesOf lists the policies of some findings, each once.
func namesOf(findings []policies.Finding, which func(policies.Finding) bool) string {
	var names []string
	for _, f := range findings {
		if which(f) && (len(names) == 0 || names[len(names)-1] != f.Policy) {
			names = append(names, f.Policy)
		}
	}
	return strings.Join(names, ",")
}
