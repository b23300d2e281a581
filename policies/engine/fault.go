package engine

import (
	"fmt"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// A Fault is one thing wrong with a rule's source: where, what, and the line it stands in.
type Fault struct {
	File   string
	Line   int
	Column int
	Reason string
	Source string // the line of source; may be empty
}

// Error is file:line:column: reason, and the line of source below it.
func (f *Fault) Error() string {
	text := fmt.Sprintf("%s:%d:%d: %s", f.File, f.Line, f.Column, f.Reason)
	if f.Source != "" {
		text += "\n\t" + f.Source
	}
	return text
}

func fault(at *ast.Location, format string, args ...any) error {
	f := &Fault{Reason: fmt.Sprintf(format, args...)}
	if at != nil {
		f.File, f.Line, f.Column = at.File, max(at.Row, 1), max(at.Col, 1) // OPA has 0 for the end of a file
		if source, _, _ := strings.Cut(strings.TrimSpace(string(at.Text)), "\n"); !strings.Contains(f.Reason, source) {
			f.Source = source
		}
	}
	return f
}

// compileFaults turns OPA's errors into faults. Of the details only what was found and what fits is kept:
// the rest repeats the place.
func compileFaults(errs ast.Errors) []error {
	out := make([]error, 0, len(errs))
	for _, e := range errs {
		reason := e.Message
		if e.Details != nil {
			for _, line := range e.Details.Lines() {
				if line = strings.TrimSpace(line); strings.HasPrefix(line, "have") || strings.HasPrefix(line, "want") {
					reason += ", " + line
				}
			}
		}
		out = append(out, fault(e.Location, "%s", reason))
	}
	return out
}
