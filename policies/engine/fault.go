package engine

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/open-policy-agent/opa/v1/ast"
)

// A Fault is one thing wrong with a rule's source: where, what, and the line it stands in.
type Fault struct {
	File   string
	Line   int
	Column int    // in characters, from 1
	Reason string // one line
	Source string // the whole line of source, tabs and all; empty where the text is not known
	Other  string // another file that Reason names
}

// Error is file:line:column: reason, in one line.
func (f *Fault) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", f.File, f.Line, f.Column, f.Reason)
}

// Detail is Error with the Excerpt below it.
func (f *Fault) Detail() string {
	if excerpt := f.Excerpt(); excerpt != "" {
		return f.Error() + "\n" + excerpt
	}
	return f.Error()
}

// Detail is an error for people who have the source before them: every Fault in it, however joined, with its Excerpt.
func Detail(err error) string {
	switch e := err.(type) { //nolint:errorlint // taken apart layer by layer
	case nil:
		return ""
	case *Fault:
		return e.Detail()
	case interface{ Unwrap() []error }:
		var lines []string
		for _, inner := range e.Unwrap() {
			lines = append(lines, Detail(inner))
		}
		return strings.Join(lines, "\n")
	}
	var f *Fault
	if excerpt := ""; errors.As(err, &f) && strings.HasSuffix(err.Error(), f.Error()) {
		if excerpt = f.Excerpt(); excerpt != "" {
			return err.Error() + "\n" + excerpt
		}
	}
	return err.Error()
}

// maxExcerpt is how many characters of a long line are shown to either side of the column.
const maxExcerpt = 100

// Excerpt is the line of source and a caret under the column, two lines that begin with a tab; "" where the line
// is not known or the column is not in it. Of a long line it is the part around the column.
func (f *Fault) Excerpt() string {
	line, column := []rune(f.Source), f.Column-1
	if strings.TrimSpace(f.Source) == "" || column < 0 || column > len(line) {
		return ""
	}
	before, after, dots := line[:column], line[column:], ""
	if len(before) > maxExcerpt {
		before, dots = before[len(before)-maxExcerpt:], "…"
	}
	end := ""
	if len(after) > maxExcerpt {
		after, end = after[:maxExcerpt], "…"
	}
	shown := dots + string(before)
	blank := strings.Map(func(r rune) rune {
		if r == '\t' {
			return r
		}
		return ' '
	}, shown)
	return "\t" + shown + string(after) + end + "\n\t" + blank + "^"
}

func fault(at *ast.Location, format string, args ...any) error {
	f := &Fault{Reason: strings.Join(strings.Split(fmt.Sprintf(format, args...), "\n"), " ")}
	if at != nil {
		f.File, f.Line, f.Column = at.File, max(at.Row, 1), max(at.Col, 1) // OPA has 0 for the end of a file
	}
	return f
}

// withSource gives every Fault in err, however it is joined or wrapped, its line of source. The texts are by file.
func withSource(err error, texts map[string]string) error {
	var f *Fault
	switch e := err.(type) { //nolint:errorlint // taken apart layer by layer
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			_ = withSource(inner, texts)
		}
	default:
		if errors.As(err, &f) && f.Source == "" {
			f.locate(texts[f.File])
		}
	}
	return err
}

// locate gives the fault its line of source. What is missing after the last line is missing at its end.
func (f *Fault) locate(text string) {
	text = strings.TrimRight(text, " \t\r\n")
	if last := 1 + strings.Count(text, "\n"); text != "" && f.Line > last {
		f.Line, f.Column = last, utf8.RuneCountInString(sourceLine(text, last)) // as OPA where no line end follows
	}
	f.Source = sourceLine(text, f.Line)
}

// sourceLine is a line of a text, counted from 1; "" if there is none.
func sourceLine(text string, number int) string {
	for line := range strings.Lines(text) {
		if number--; number == 0 {
			return strings.TrimRight(line, "\r\n")
		}
	}
	return ""
}

// distinct joins errors, each of those that they join once.
func distinct(errs ...error) error {
	var out []error
	seen := map[string]bool{}
	var add func(error)
	add = func(err error) {
		if joined, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // taken apart layer by layer
			for _, inner := range joined.Unwrap() {
				add(inner)
			}
			return
		}
		if err != nil && !seen[err.Error()] {
			seen[err.Error()] = true
			out = append(out, err)
		}
	}
	for _, err := range errs {
		add(err)
	}
	return errors.Join(out...)
}

// compileFaults turns OPA's errors into faults. Of the details only what was found and what fits is kept:
// the rest repeats the place.
func compileFaults(errs ast.Errors) []error {
	out := make([]error, 0, len(errs))
	for _, e := range errs {
		reason := e.Message
		if name, is := strings.CutPrefix(reason, "undefined function "); is && ast.BuiltinMap[name] != nil {
			reason += ": OPA has it, but rules may not call it; sluice capabilities prints what they may"
		}
		if e.Details != nil {
			for _, line := range e.Details.Lines() {
				reason += foundOrFitting(strings.TrimSpace(line))
			}
		}
		out = append(out, fault(e.Location, "%s", reason))
	}
	return out
}

// foundOrFitting is a line of details as it continues a reason; "" if it is about something else. A comparison that
// can't hold has "left  : " and "right : " with the types of its sides.
func foundOrFitting(line string) string {
	label, text, _ := strings.Cut(line, ":")
	switch label = strings.TrimSpace(label); {
	case label == "left", label == "right":
		return ", " + label + ":" + text
	case strings.HasPrefix(label, "have"), strings.HasPrefix(label, "want"):
		return ", " + line
	}
	return ""
}
