package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/check"
	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/profile"
	"github.com/sluice-gate/sluice/policies/report"
)

// runExplain runs a check that shows how one policy judges one object.
func (f *checkFlags) runExplain(command *cobra.Command, set *profile.Set, o check.Options) error {
	if f.output != report.FormatText {
		return fmt.Errorf("--explain prints text; it can't be combined with -o %s", f.output)
	}
	e, err := check.Explain(command.Context(), o, f.explain, f.object)
	var problems profile.Problems
	switch {
	case errors.As(err, &problems):
		return unjudged(err)
	case err != nil:
		return err
	}
	stdout := command.OutOrStdout()
	var out bytes.Buffer
	if e.Policy.Rule != nil { // else the report says why
		printExplained(&out, e, set.Display)
		out.WriteByte('\n')
	}
	if _, err := io.WriteString(stdout, printable(out.String())); err != nil {
		return unjudged(err)
	}
	if err := f.print(stdout, e.Report); err != nil {
		return unjudged(err)
	}
	return exit(check.ExitCode(e.Report, check.FailOn(f.failOn)))
}

// printExplained prints all but the findings, which check prints. display names files as the user does.
func printExplained(w io.Writer, e check.Explained, display func(string) string) {
	rule := e.Policy.Rule
	fmt.Fprintf(w, "policy %s: rule %s in %s, action %s\n", e.Policy.Name, rule.ID, display(rule.File), e.Policy.Action)
	fmt.Fprintf(w, "object %s in %s:%d", objectText(e), e.Object.File, e.Object.Line)
	if e.Operation != "" {
		fmt.Fprintf(w, ", %s", e.Operation)
	}
	fmt.Fprintln(w)
	switch {
	case e.Exempt != "":
		fmt.Fprintf(w, "\nNo policy is asked: %s.\n", e.Exempt)
	case len(e.Unmatched) > 0:
		fmt.Fprintf(w, "\nThe policy is not asked, because the object is not what it matches:\n    %s\n", strings.Join(e.Unmatched, "\n    "))
	case e.Unknown != nil:
		fmt.Fprintf(w, "\nNobody can tell whether the policy matches, or what it asks: %s.\n", e.Unknown)
	}
	for _, reason := range e.Unasked {
		fmt.Fprintf(w, "\n%s.\n", reason)
	}
	for _, verb := range e.Verbs {
		for _, d := range verb.Definitions {
			fmt.Fprintln(w)
			explainText{w, display}.definition(d, "")
		}
		if verb.Err != nil {
			fmt.Fprintf(w, "\n%s could not be evaluated to its end: %s\n", verb.Verb, verb.Err)
		}
	}
	for _, note := range effects(e.Findings, rule) {
		fmt.Fprintf(w, "\n%s.\n", note)
	}
}

func objectText(e check.Explained) string {
	if e.Namespace == "" {
		return e.Object.Kind + " " + e.Object.Name
	}
	return e.Object.Kind + " " + e.Namespace + "/" + e.Object.Name
}

// effects are why findings have another effect than the policy's action.
func effects(findings []policies.Finding, rule *engine.Rule) []string {
	var ratcheted, excused int
	reason := ""
	for _, f := range findings {
		if f.Ratcheted {
			ratcheted++
		}
		if f.Excused != "" {
			excused++
			reason = f.Excused
		}
	}
	var out []string
	if ratcheted > 0 {
		out = append(out, fmt.Sprintf("%s only a warning: the update changes nothing that the rule judges (%s)",
			counted(ratcheted, "denial is", "denials are"), strings.Join(rule.JudgedPaths(), ", ")))
	}
	if excused > 0 {
		out = append(out, fmt.Sprintf("%s excused by the exception %s", counted(excused, "finding is", "findings are"), reason))
	}
	return out
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// explainText prints definitions.
type explainText struct {
	w       io.Writer
	display func(string) string
}

func (t explainText) definition(d engine.Definition, indent string) {
	head := d.Head
	if head == "" {
		head = "for"
	}
	fmt.Fprintf(t.w, "%s%s:%d: %s", indent, t.display(d.File), d.Line, head)
	if d.Value != "" {
		fmt.Fprintf(t.w, " is %s", d.Value)
	}
	fmt.Fprintln(t.w)
	t.values(d.Arguments, indent+"        ")
	if len(d.Endings) == 0 {
		fmt.Fprintf(t.w, "%s    not evaluated\n", indent)
	}
	for i, e := range d.Endings {
		if i > 0 || indent == "" {
			t.summary(e, indent)
		}
		if i < maxDetailed {
			t.steps(e, indent+"    ")
		}
	}
}

// maxDetailed is how many endings of a definition are shown step by step; those behind came less far.
const maxDetailed = 2

// summary says how often the body ended like this, and at which expression.
func (t explainText) summary(e engine.Ending, indent string) {
	times := counted(e.Count, "time", "times")
	if e.Held {
		fmt.Fprintf(t.w, "%s  held %s\n", indent, times)
		return
	}
	for _, s := range e.Steps {
		if s.Mark == engine.StepFailed {
			fmt.Fprintf(t.w, "%s  failed %s at line %d\n", indent, times, s.Line)
		}
	}
}

func (t explainText) steps(e engine.Ending, indent string) {
	for _, s := range e.Steps {
		lines := strings.Split(strings.TrimSpace(s.Source), "\n")
		fmt.Fprintf(t.w, "%s%s %4d  %s\n", indent, mark(s.Mark), s.Line, strings.TrimSpace(lines[0]))
		for i, line := range lines[1:] {
			if i == maxSourceLines {
				fmt.Fprintf(t.w, "%s         …\n", indent)
				break
			}
			fmt.Fprintf(t.w, "%s%s %4d  %s\n", indent, " ", s.Line+i+1, strings.ReplaceAll(line, "\t", "  "))
		}
		t.values(s.Values, indent+"            ")
		for _, d := range s.Within {
			t.definition(d, indent+"        ")
		}
		if s.Elsewhere > 0 {
			fmt.Fprintf(t.w, "%s        %s\n", indent, counted(s.Elsewhere, "other definition does not apply", "other definitions do not apply"))
		}
	}
}

// maxSourceLines bounds what is shown of an expression beside its first line.
const maxSourceLines = 6

func mark(m engine.Mark) string {
	switch m {
	case engine.StepHeld:
		return "✓"
	case engine.StepFailed:
		return "✗"
	}
	return "·"
}

func (t explainText) values(all []engine.Variable, indent string) {
	for _, v := range all {
		if v.Value == "undefined" {
			fmt.Fprintf(t.w, "%s%s is undefined\n", indent, v.Name)
		} else {
			fmt.Fprintf(t.w, "%s%s = %s\n", indent, v.Name, v.Value)
		}
	}
}
