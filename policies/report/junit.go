package report

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"slices"
	"strings"

	"github.com/jstemmer/go-junit-report/v2/junit"
)

// judged is an object, or something that could not be read as one, with all its findings.
type judged struct {
	object  ObjectRef
	results []Result
}

// writeJUnit prints a test suite per file and a test case per object. An object with errors is an error, one with
// denials and no errors a failure, any other has passed; warnings and audit findings are its output. A test case has one
// outcome, so that a suite never counts more outcomes than tests: the denials beside an error are in the error's text.
func writeJUnit(out *bytes.Buffer, r Report) error {
	suites := junit.Testsuites{Name: "sluice"}
	var suite *junit.Testsuite
	for _, j := range judgedObjects(r) {
		file := j.object.File
		if suite == nil || suite.File != oneLine(file) {
			if suite != nil {
				suites.AddSuite(*suite)
			}
			suite = &junit.Testsuite{Name: suiteName(file), File: oneLine(file), ID: len(suites.Suites), Time: "0.000"}
		}
		suite.AddTestcase(testcase(j))
	}
	if suite != nil {
		suites.AddSuite(*suite)
	}
	out.WriteString(xml.Header)
	if err := suites.WriteXML(out); err != nil {
		return fmt.Errorf("encode XML: %w", err)
	}
	return nil
}

func suiteName(file string) string {
	if file == "" {
		return "sluice"
	}
	return oneLine(file)
}

func testcase(j judged) junit.Testcase {
	var errors, denials, others []Result
	for _, result := range j.results {
		switch result.Action {
		case ActionError:
			errors = append(errors, result)
		case ActionDeny:
			denials = append(denials, result)
		default:
			others = append(others, result)
		}
	}
	tc := junit.Testcase{
		Name:      objectName(j.object.Kind, j.object.Namespace, j.object.Name),
		Classname: "sluice." + oneLine(j.object.Kind),
	}
	if tc.Name == "" {
		tc.Name, tc.Classname = unjudged, "sluice"
	}
	switch {
	case len(errors) > 0:
		tc.Error = outcome(ActionError, errors, append(slices.Clone(errors), denials...))
	case len(denials) > 0:
		tc.Failure = outcome(ActionDeny, denials, denials)
	}
	if len(others) > 0 {
		tc.SystemOut = &junit.Output{Data: findingsText(others)}
	}
	return tc
}

// outcome says in an attribute what the first of its findings is and how many follow, and in its text all of shown.
func outcome(action string, findings, shown []Result) *junit.Result {
	first := findings[0]
	message := policyPrefix(first.Policy) + oneLine(first.Message)
	if more := len(findings) - 1; more > 0 {
		message += fmt.Sprintf(" (and %d more)", more)
	}
	return &junit.Result{Message: message, Type: action, Data: findingsText(shown)}
}

func findingsText(results []Result) string {
	var lines []string
	for _, result := range results {
		lines = append(lines, findingLines(result, painter(false))...)
	}
	return strings.Join(lines, "\n")
}

// judgedObjects joins objects and their findings, in the order of file and line. A finding on what is not among the
// objects gets an entry of its own, so that none is lost.
func judgedObjects(r Report) []judged {
	var all []judged
	index := map[ObjectRef][]int{}
	add := func(object ObjectRef) int {
		all = append(all, judged{object: object})
		key := withoutLine(object)
		index[key] = append(index[key], len(all)-1)
		return len(all) - 1
	}
	for _, object := range r.Objects {
		add(object)
	}
	for _, result := range r.Results {
		object := ObjectRef{
			File: result.File, Line: result.Line, APIVersion: result.APIVersion,
			Kind: result.Kind, Namespace: result.Namespace, Name: result.Name,
		}
		candidates := index[withoutLine(object)]
		at := -1
		// The objects of one name in one file are in the order of their lines: the last that starts no later is meant.
		for i, candidate := range candidates {
			if i == 0 || all[candidate].object.Line <= result.Line {
				at = candidate
			}
		}
		if at < 0 {
			at = add(object)
		}
		all[at].results = append(all[at].results, result)
	}
	slices.SortStableFunc(all, func(a, b judged) int { return compareObjects(a.object, b.object) })
	return all
}

func withoutLine(object ObjectRef) ObjectRef {
	object.Line = 0
	return object
}
