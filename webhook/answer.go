package webhook

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/report"
)

// maxMessage bounds the text of a denial. It goes through the API server into a terminal, and into the
// audit log.
const maxMessage = 32 << 10

// newAnswer is what a decision looks like to the API server, and the decision that it stands for: patches
// that can't be written are a failure.
func newAnswer(request policies.Request, decision policies.Decision) (answer, policies.Decision) {
	patch, err := patchOf(decision)
	if err != nil {
		decision.Judged, decision.Failure = false, err.Error()
	}
	a := answer{allowed: decision.Allowed(), warnings: warnings(decision.Warnings()), audit: auditAnnotations(decision.Audits())}
	if a.allowed {
		a.patch = patch
	} else {
		a.status = denial(request, decision)
	}
	return a, decision
}

func patchOf(decision policies.Decision) ([]byte, error) {
	if len(decision.Patches) == 0 {
		return nil, nil
	}
	operations := make([]engine.Operation6902, len(decision.Patches))
	for i, patch := range decision.Patches {
		operations[i] = patch.Operation6902
	}
	data, err := json.Marshal(operations)
	if err != nil {
		return nil, fmt.Errorf("encode patches: %w", err)
	}
	return data, nil
}

// denial tells a person in its message, and a program in its causes, why the request is refused: 403 by
// policies, 429 if clients should try again, 500 if no decision was reached. The API server puts `admission webhook "…" denied the
// request: ` in front of the message, hence the newline.
func denial(request policies.Request, decision policies.Decision) *status {
	s := &status{code: http.StatusForbidden, reason: "Forbidden",
		name: request.Name, group: request.Kind.Group, kind: request.Kind.Kind}
	if decision.RetryAfter > 0 {
		s.code, s.reason, s.retryAfter = http.StatusTooManyRequests, "TooManyRequests", int(math.Ceil(decision.RetryAfter.Seconds()))
	}
	var text []string
	if !decision.Judged || decision.Failure != "" {
		s.code, s.reason = http.StatusInternalServerError, "InternalError"
		failure := decision.Failure
		if failure == "" {
			failure = "the gate reached no decision"
		}
		text = append(text, shorten(report.Message(report.Result{Message: "could not judge: " + failure}), maxMessage))
	}
	size := 0
	findings := decision.Denials()
	for i, f := range findings {
		entry := report.Message(report.Result{Policy: f.Policy, Message: f.Message, Field: f.Field, Fix: f.Fix})
		if i == 0 {
			entry = shorten(entry, maxMessage)
		}
		if size += len(entry) + 1; i > 0 && size > maxMessage {
			text = append(text, fmt.Sprintf("and %d more findings", len(findings)-i))
			break
		}
		text = append(text, entry)
		s.causes = append(s.causes, cause{f.Policy, shorten(f.Message, maxMessage), f.Field})
	}
	s.message = "\n" + strings.Join(text, "\n")
	return s
}

// shorten cuts text to at most size bytes, on a rune boundary and with an ellipsis.
func shorten(text string, size int) string {
	if len(text) <= size {
		return text
	}
	end := size - len("…")
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}
