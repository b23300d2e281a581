package report

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/jstemmer/go-junit-report/v2/junit"
	"github.com/pmezard/go-difflib/difflib"

	"github.com/sluice-gate/sluice/policies/engine"
)

// The statuses a Test can have.
const (
	TestPassed  = "passed"
	TestFailed  = "failed"
	TestSkipped = "skipped"
	TestError   = "error" // it could not be run
)

// Test is one test that was run: a Rego test, or a case of a corpus. Its JSON keys are a stable interface.
type Test struct {
	Suite   string  `json:"suite"` // a Rego package, or the folder of a case
	Name    string  `json:"name"`
	Title   string  `json:"title,omitempty"`
	File    string  `json:"file"`
	Line    int     `json:"line,omitempty"`
	Status  string  `json:"status"`
	Seconds float64 `json:"seconds"`
	// Reason is why it failed or was skipped; several lines.
	Reason string `json:"reason,omitempty"`
	// Output is what the test printed; several lines.
	Output string `json:"output,omitempty"`
}

// Coverage is what Rego tests reached of one file.
type Coverage struct {
	File      string      `json:"file"`
	Percent   float64     `json:"percent"`
	Uncovered []LineRange `json:"uncovered"`
}

// LineRange is from its first to its last line, with the text of each.
type LineRange struct {
	First int      `json:"first"`
	Last  int      `json:"last"`
	Text  []string `json:"text"`
}

// Tests is the outcome of one run of `sluice test`.
type Tests struct {
	Tests    []Test        `json:"tests"`
	Coverage []Coverage    `json:"coverage"`
	Lint     []LintFinding `json:"lint"`
}

// Count is how many tests have a status.
func (t Tests) Count(status string) int {
	n := 0
	for _, test := range t.Tests {
		if test.Status == status {
			n++
		}
	}
	return n
}

// Summary are the last lines: scripts read the very last.
func (t Tests) Summary() string {
	var lines []string
	if n := len(t.Lint); n > 0 {
		lines = append(lines, count(n, "lint finding"))
	}
	if n := t.Count(TestSkipped); n > 0 {
		lines = append(lines, fmt.Sprintf("%d skipped", n))
	}
	lines = append(lines, fmt.Sprintf("%d passed, %d failed", t.Count(TestPassed), t.Count(TestFailed)))
	return strings.Join(lines, "\n") + "\n"
}

// TestFormats lists the formats that WriteTests knows.
func TestFormats() []string { return []string{FormatText, FormatJUnit, FormatJSON} }

// WriteTests prints what was run in one of TestFormats. Text ends with the Summary; the others are a document alone.
func WriteTests(w io.Writer, format string, t Tests) error {
	var out bytes.Buffer
	var err error
	switch format {
	case FormatText:
		writeTestText(&out, t)
	case FormatJUnit:
		err = writeTestJUnit(&out, t)
	case FormatJSON:
		err = writeTestJSON(&out, t)
	default:
		return fmt.Errorf("unknown output format %q: must be one of %s", format, strings.Join(TestFormats(), ", "))
	}
	if err != nil {
		return fmt.Errorf("report tests as %s: %w", format, err)
	}
	if _, err := w.Write(out.Bytes()); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

func writeTestText(out *bytes.Buffer, t Tests) {
	heads := map[string]string{TestSkipped: "SKIP ", TestFailed: "FAIL "}
	for _, test := range t.Tests {
		head, shown := heads[test.Status]
		if !shown && test.Output != "" {
			head, shown = "PASS ", true
		}
		if !shown {
			continue
		}
		head += oneLine(test.Name)
		title, reason := test.Title, test.Reason
		if test.Status == TestSkipped && reason != "" { // the reason is what there is to know
			title, reason = reason, ""
		}
		if title != "" {
			head += ": " + oneLine(title)
		}
		if test.Line > 0 {
			head += fmt.Sprintf(" (%s:%d)", oneLine(test.File), test.Line)
		}
		out.WriteString(head + "\n")
		if reason != "" {
			for _, line := range visibleLines(reason) {
				out.WriteString(strings.TrimRight(lineStart("    "+line), " ") + "\n")
			}
		}
		if test.Output != "" {
			for _, line := range visibleLines(strings.TrimRight(test.Output, "\n")) {
				out.WriteString(strings.TrimRight("    print "+line, " ") + "\n")
			}
		}
	}
	for _, c := range t.Coverage {
		fmt.Fprintf(out, "%5.1f%% %s\n", c.Percent, oneLine(c.File))
		for _, r := range c.Uncovered {
			writeUncovered(out, c.File, r)
		}
	}
	writeLintText(out, t.Lint)
	out.WriteString(t.Summary())
}

// maxSourceLine is how many characters of a line of source are shown.
const maxSourceLine = 200

func writeUncovered(out *bytes.Buffer, file string, r LineRange) {
	place := fmt.Sprintf("%s:%d", oneLine(file), r.First)
	if r.Last > r.First {
		place += fmt.Sprintf("-%d", r.Last)
	}
	fmt.Fprintf(out, "       %s is not reached\n", place)
	for i, line := range r.Text {
		text := []rune(strings.ReplaceAll(line, "\t", "    "))
		if len(text) > maxSourceLine {
			text = append(text[:maxSourceLine:maxSourceLine], '…')
		}
		fmt.Fprintf(out, "%11d | %s\n", r.First+i, oneLine(string(text)))
	}
}

func writeTestJSON(out *bytes.Buffer, t Tests) error {
	document := struct {
		Tests
		Summary map[string]int `json:"summary"`
	}{t, map[string]int{
		"passed": t.Count(TestPassed), "failed": t.Count(TestFailed), "skipped": t.Count(TestSkipped),
		"errors": t.Count(TestError), "lint": len(t.Lint),
	}}
	// A list without entries is a list, not null.
	document.Tests.Tests = append([]Test{}, t.Tests...)
	document.Coverage = append([]Coverage{}, t.Coverage...)
	for i := range document.Coverage {
		document.Coverage[i].Uncovered = append([]LineRange{}, document.Coverage[i].Uncovered...)
	}
	document.Lint = append([]LintFinding{}, t.Lint...)
	return encodeJSON(out, document)
}

// writeTestJUnit prints a test suite per Rego package or folder of cases, and one for lint with a failure per finding.
func writeTestJUnit(out *bytes.Buffer, t Tests) error {
	suites := junit.Testsuites{Name: "sluice test"}
	var names []string
	bySuite := map[string][]Test{}
	for _, test := range t.Tests {
		if _, there := bySuite[test.Suite]; !there {
			names = append(names, test.Suite)
		}
		bySuite[test.Suite] = append(bySuite[test.Suite], test)
	}
	slices.Sort(names)
	for _, name := range names {
		suite := junit.Testsuite{Name: oneLine(name), File: oneLine(bySuite[name][0].File), ID: len(suites.Suites)}
		total := 0.0
		for _, test := range bySuite[name] {
			total += test.Seconds
			suite.AddTestcase(junitTest(test))
		}
		suite.Time = fmt.Sprintf("%.3f", total)
		suites.AddSuite(suite)
	}
	if len(t.Lint) > 0 {
		suite := junit.Testsuite{Name: "sluice lint", ID: len(suites.Suites), Time: "0.000"}
		for _, f := range t.Lint {
			place := strings.TrimSuffix(place(f.File, f.Line, f.Column), ": ")
			suite.AddTestcase(junit.Testcase{Name: place + " " + oneLine(f.ID), Classname: "sluice." + oneLine(f.ID), Time: "0.000",
				Failure: &junit.Result{Message: oneLine(f.Reason), Type: oneLine(f.ID), Data: strings.Join(lintLines(f), "\n")}})
		}
		suites.AddSuite(suite)
	}
	out.WriteString(xml.Header)
	return suites.WriteXML(out)
}

func junitTest(test Test) junit.Testcase {
	tc := junit.Testcase{Name: oneLine(test.Name), Classname: oneLine(test.Suite), Time: fmt.Sprintf("%.3f", test.Seconds)}
	reason := visibleLines(test.Reason)
	result := &junit.Result{Message: reason[0], Type: test.Status, Data: strings.Join(reason, "\n")}
	if result.Message == "" {
		result.Message = oneLine(test.Name) + " " + test.Status
	}
	if test.Line > 0 {
		result.Data = strings.TrimRight(fmt.Sprintf("%s:%d\n%s", oneLine(test.File), test.Line, result.Data), "\n")
	}
	if test.Output != "" {
		tc.SystemOut = &junit.Output{Data: strings.Join(visibleLines(strings.TrimRight(test.Output, "\n")), "\n")}
	}
	switch test.Status {
	case TestPassed:
	case TestSkipped:
		tc.Skipped = result
	case TestFailed:
		tc.Failure = result
	default:
		tc.Error = result
	}
	return tc
}

// maxDiffLines bounds what is shown of a failure.
const maxDiffLines = 200

// FailureText says what a Rego test failed at, over several lines: the place, the line of source, and expected and got
// as a diff or the values. file is the name of its file to a person.
func FailureText(f engine.Failure, file string) string {
	lines := []string{fmt.Sprintf("%s:%d: %s", file, f.Line, f.Source)}
	if f.Case != "" {
		lines = append([]string{"case " + f.Case}, lines...)
	}
	if f.Note != "" {
		lines = append(lines, "    "+f.Note)
	}
	for _, value := range f.Values {
		lines = append(lines, "    value "+value)
	}
	if f.Expected != "" || f.Got != "" {
		lines = append(lines, diffLines(f.Expected, f.Got)...)
	}
	return strings.Join(lines, "\n")
}

func diffLines(expected, got string) []string {
	text, err := difflib.GetUnifiedDiffString(difflib.UnifiedDiff{
		A: splitLines(expected), B: splitLines(got), FromFile: "expected", ToFile: "got", Context: 3,
	})
	if err != nil || text == "" { // equal when written out; difflib fails for a writer that fails only
		return []string{"    expected " + expected, "    got      " + got}
	}
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if more := len(lines) - maxDiffLines; more > 0 {
		lines = append(lines[:maxDiffLines], fmt.Sprintf("and %d more lines", more))
	}
	for i := range lines {
		lines[i] = "    " + strings.TrimRight(lines[i], " \n")
	}
	return lines
}

func splitLines(text string) []string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] += "\n"
	}
	return lines
}
