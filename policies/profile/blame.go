package profile

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/manifest"
)

func compareProblems(a, b manifest.Problem) int {
	return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
		cmp.Compare(a.Field, b.Field), cmp.Compare(a.Message, b.Message))
}

// blame puts each thing that is wrong with a gate to the file it was read from.
func (s *Set) blame(err error) Problems {
	var out Problems
	for _, leaf := range leaves(err) {
		out = append(out, s.blameOne(leaf))
	}
	slices.SortStableFunc(out, compareProblems)
	return slices.CompactFunc(out, func(a, b manifest.Problem) bool { return a == b })
}

// fieldPrefix is the field path that an error about a policy begins with.
var fieldPrefix = regexp.MustCompile(`^((?:spec|metadata)[^\s:]*): `)

func (s *Set) blameOne(leaf leafError) manifest.Problem {
	about, reason := leaf.subject()
	at, known := s.places[about]
	switch {
	case leaf.fault != nil && known && at.object != nil && moduleField(about.name, leaf.fault.File) != "":
		return at.inline(moduleField(about.name, leaf.fault.File), leaf.fault)
	case leaf.fault != nil:
		return faultProblem(leaf.fault)
	case !known:
		return manifest.Problem{Message: leaf.text}
	case at.object == nil:
		return manifest.Problem{File: at.file, Line: 1, Column: 1, Message: reason}
	}
	field := ""
	if match := fieldPrefix.FindStringSubmatch(reason); match != nil {
		field, reason = match[1], reason[len(match[0]):]
	}
	return at.object.Problem(field, reason)
}

// moduleField is the field that holds the module of an inline policy that engine names by file; "" if none does.
func moduleField(policy, file string) string {
	name, _ := strings.CutPrefix(file, policy+".")
	switch {
	case name == "rego":
		return "spec.rego"
	case name != file && libFile.MatchString(name):
		return "spec." + strings.TrimSuffix(name, ".rego")
	}
	return ""
}

var libFile = regexp.MustCompile(`^libs\[\d+\]\.rego$`)

// inline places a fault in the module that a field holds: at its own line where the module is a block scalar, else
// at the field.
func (p place) inline(field string, fault *engine.Fault) manifest.Problem {
	line, _ := p.object.Position(field)
	lines := bytes.Split(p.text, []byte("\n"))
	if line <= len(lines) && blockScalar.Match(lines[line-1]) && line+fault.Line <= len(lines) {
		content := lines[line]
		for _, l := range lines[line:] {
			if content = l; len(bytes.TrimSpace(l)) > 0 {
				break
			}
		}
		indent := len(content) - len(bytes.TrimLeft(content, " "))
		return manifest.Problem{File: p.file, Line: line + fault.Line, Column: indent + fault.Column, Field: field, Message: faultMessage(fault)}
	}
	return p.object.Problem(field, fmt.Sprintf("line %d, column %d: %s", fault.Line, fault.Column, faultMessage(fault)))
}

var blockScalar = regexp.MustCompile(`(\brego:|-)\s*\|[-+]?\s*(#.*)?$`)

// Faults is an error of engine.Load or engine.Test as Problems.
func Faults(err error, files RegoFiles) error {
	problems := Problems(faultProblems(err, files))
	slices.SortStableFunc(problems, compareProblems)
	return problems
}

func faultProblems(err error, files RegoFiles) []manifest.Problem {
	var out []manifest.Problem
	for _, leaf := range leaves(err) {
		if leaf.fault == nil {
			out = append(out, manifest.Problem{Message: leaf.text})
			continue
		}
		problem := faultProblem(leaf.fault)
		problem.File = files.Display(problem.File)
		if other := leaf.fault.Other; other != "" {
			problem.Message = strings.Replace(problem.Message, other, files.Display(other), 1)
		}
		out = append(out, problem)
	}
	return out
}

func faultProblem(f *engine.Fault) manifest.Problem {
	return manifest.Problem{File: f.File, Line: f.Line, Column: max(f.Column, 1), Message: faultMessage(f)}
}

// faultMessage shows the line of source, unless it is only the head of a comment.
func faultMessage(f *engine.Fault) string {
	excerpt := f.Excerpt()
	if excerpt == "" || strings.HasPrefix(strings.TrimSpace(f.Source), "#") {
		return f.Reason
	}
	return f.Reason + "\n" + excerpt
}

// leafError is one of the errors that were joined, with what was wrapped around the join in front.
type leafError struct {
	text  string
	fault *engine.Fault // if it is one
}

// subject is the policy or exception that the error names, and the rest of its text.
func (l leafError) subject() (subject, string) {
	for prefix, kind := range map[string]string{"policy ": policyKind, "exception ": exceptionKind} {
		rest, ok := strings.CutPrefix(l.text, prefix)
		if !ok {
			continue
		}
		quoted, err := strconv.QuotedPrefix(rest)
		if err != nil {
			continue
		}
		name, err := strconv.Unquote(quoted)
		if err == nil {
			return subject{kind, name}, strings.TrimPrefix(rest[len(quoted):], ": ")
		}
	}
	return subject{}, l.text
}

// leaves takes joined errors apart.
func leaves(err error) []leafError {
	var fault *engine.Fault
	if f, ok := err.(*engine.Fault); ok { //nolint:errorlint // what wraps a fault is kept as text
		return []leafError{{f.Error(), f}}
	}
	switch e := err.(type) { //nolint:errorlint // taken apart layer by layer
	case interface{ Unwrap() []error }:
		var out []leafError
		for _, inner := range e.Unwrap() {
			out = append(out, leaves(inner)...)
		}
		return out
	case interface{ Unwrap() error }:
		inner := e.Unwrap()
		prefix, ok := strings.CutSuffix(err.Error(), errorText(inner))
		if inner == nil || !ok {
			break
		}
		out := leaves(inner)
		for i := range out {
			out[i].text = prefix + out[i].text
		}
		return out
	}
	errors.As(err, &fault)
	return []leafError{{err.Error(), fault}}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
