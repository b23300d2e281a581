package main

import (
	"encoding/json"
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// suites are what a CI system reads of JUnit XML.
type suites struct {
	Tests    int `xml:"tests,attr"`
	Failures int `xml:"failures,attr"`
	Errors   int `xml:"errors,attr"`
	Skipped  int `xml:"skipped,attr"`
	Suites   []struct {
		Name  string `xml:"name,attr"`
		File  string `xml:"file,attr"`
		Cases []struct {
			Name      string `xml:"name,attr"`
			Classname string `xml:"classname,attr"`
			Failure   *struct {
				Message string `xml:"message,attr"`
				Text    string `xml:",chardata"`
			} `xml:"failure"`
		} `xml:"testcase"`
	} `xml:"testsuite"`
}

const mixedTests = `package x_test

test_good if 1 == 1

test_bad if {"a": "b"} == {"a": "]]>\u001b[2J"}

todo_test_later if 1 == 1
`

// With -o junit the document stands alone on stdout, and the counts add up.
func TestJUnitOfRegoTests(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "x_test.rego", mixedTests)
	write(t, "y.rego", "package sluice.lib.y\n\ny := 1\n")
	stdout, stderr, code := sluice(t, "", "test", "-o", "junit", ".")
	if code != 1 || stderr != "2 lint findings\n1 skipped\n1 passed, 1 failed\n" {
		t.Errorf("exit %d, %q", code, stderr)
	}
	var got suites
	if err := xml.Unmarshal([]byte(stdout), &got); err != nil {
		t.Fatalf("%v in\n%s", err, stdout)
	}
	if got.Tests != 5 || got.Failures != 3 || got.Errors != 0 || got.Skipped != 1 || len(got.Suites) != 2 {
		t.Fatalf("%+v", got)
	}
	tests, lint := got.Suites[0], got.Suites[1]
	if tests.Name != "x_test" || tests.File != "x_test.rego" || tests.Cases[0].Name != "data.x_test.test_bad" || tests.Cases[0].Classname != "x_test" {
		t.Errorf("%+v", tests)
	}
	if text := tests.Cases[0].Failure.Text; !strings.Contains(text, "x_test.rego:5") || !strings.Contains(text, "+++ got") || strings.Contains(text, "\x1b") {
		t.Errorf("%q", text)
	}
	if lint.Name != "sluice lint" || lint.Cases[0].Name != "y.rego:1:1 lint/untested" || lint.Cases[0].Failure.Message != "no test reads data.sluice.lib.y" {
		t.Errorf("%+v", lint)
	}
}

func TestJSONOfRegoTests(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "x_test.rego", mixedTests)
	stdout, stderr, code := sluice(t, "", "test", "-o", "json", "x_test.rego")
	var got struct {
		Tests []struct {
			Suite, Name, File, Status, Reason string
			Line                              int
		}
		Coverage, Lint []any
		Summary        map[string]int
	}
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || code != 1 || stderr != "1 skipped\n1 passed, 1 failed\n" {
		t.Fatalf("%v, exit %d, %q", err, code, stderr)
	}
	if got.Summary["passed"] != 1 || got.Summary["failed"] != 1 || got.Summary["skipped"] != 1 || got.Coverage == nil || got.Lint == nil {
		t.Errorf("%+v", got)
	}
	if bad := got.Tests[0]; bad.Name != "data.x_test.test_bad" || bad.Status != "failed" || bad.File != "x_test.rego" || bad.Line != 5 || !strings.Contains(bad.Reason, "+++ got") {
		t.Errorf("%+v", bad)
	}
}

// Rules elsewhere may import the shared library, and a package of their own beside it.
func TestOwnLibBesideTheSharedOne(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.MkdirAll("lib", 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join("lib", "words.rego"), "package sluice.lib.words\n\nwords := {\"a\"}\n")
	write(t, filepath.Join("lib", "words_test.rego"), `package sluice.lib.words_test

import data.sluice.lib.testing.service
import data.sluice.lib.words

test_words if words.words == {service({}).spec.a, "a"} with service as given

given(_) := {"spec": {"a": "a"}}
`)
	stdout, stderr, code := sluice(t, "", "test", ".")
	if code != 0 || stdout != "100.0% lib/words.rego\n1 passed, 0 failed\n" || stderr != "" {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
}

// A package of the shared library that a folder holds itself is the folder's alone.
func TestOwnCopyOfTheSharedLib(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "acme.rego", "package sluice.lib.acme\n\nis_solver(_) := \"own\"\n")
	write(t, "acme_test.rego", `package sluice.lib.acme_test

import data.sluice.lib.acme

test_own if {
	acme.is_solver({
		"metadata": {"labels": {"acme.cert-manager.io/http01-solver": "true"}},
		"spec": {"rules": [{"http": {"paths": [{"path": "/.well-known/acme-challenge/a", "pathType": "Exact"}]}}]},
	}) == "own"
}
`)
	stdout, stderr, code := sluice(t, "", "test", ".")
	if code != 0 || stdout != "100.0% acme.rego\n1 passed, 0 failed\n" || stderr != "" {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
}

// What is for tests can't get into a rule.
func TestRulesCannotImportTestHelpers(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "x.rego", `# METADATA
# title: T
# description: D
# custom:
#   severity: low
#   kinds: [Service]
package sluice.team.x

import data.sluice.lib.testing

deny contains "x" if testing.service({}) == input.request.object
`)
	for _, args := range [][]string{{"rules", "--policies", "x.rego"}, {"lint", "x.rego"}} {
		stdout, stderr, code := sluice(t, "", args...)
		if code == 0 || !strings.Contains(stdout+stderr, "undefined function data.sluice.lib.testing.service") {
			t.Errorf("%v: exit %d: %s%s", args, code, stdout, stderr)
		}
	}
}
