// Package corpus runs case files: a request, what exists at that time, and the outcome that it has to have.
package corpus

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/manifest"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

// The outcomes, the strongest first.
const (
	Deny  = "deny"
	Warn  = "warn"
	Allow = "allow"
)

// Case is one case, ready to be run.
type Case struct {
	File   string
	ID     string
	Title  string
	Expect string // Deny, Warn or Allow
	// About are the rules that have to report a finding of that strength, or for Allow none at all. Only an Allow may
	// name none.
	About   []string
	Request policies.Request
	// Raw tells that the object is as a person writes it: a new Ingress has still to get the default class.
	Raw   bool
	State []engine.Document
	// Policies are beside those of the profile, in the place of one of the same name.
	Policies []v1alpha1.GatePolicy
}

// source is a case as it is written.
type source struct {
	ID        string         `json:"id"`
	Title     string         `json:"title"`
	Expect    string         `json:"expect"`
	About     []string       `json:"about"`
	Operation string         `json:"operation"`
	Raw       bool           `json:"raw"`
	Policies  []any          `json:"policies"`
	State     []any          `json:"state"`
	OldObject map[string]any `json:"oldObject"`
	Object    map[string]any `json:"object"`
	Why       string         `json:"why"`
}

// ReadCases reads the cases of a file, one per document. A document with a problem is no case.
func ReadCases(name string, data []byte) ([]Case, []manifest.Problem) {
	documents, problems := manifest.Documents(name, data)
	var cases []Case
	for _, d := range documents {
		c, found := readCase(d)
		if problems = append(problems, found...); len(found) == 0 {
			cases = append(cases, c)
		}
	}
	return cases, problems
}

func readCase(d *manifest.Document) (Case, []manifest.Problem) {
	r := &caseReader{document: d}
	s := r.source()
	if len(r.problems) > 0 {
		return Case{}, r.problems
	}
	c := Case{File: d.File, ID: s.ID, Title: s.Title, Expect: s.Expect, About: s.About, Raw: s.Raw}
	r.oneOf("expect", s.Expect, Deny, Warn, Allow)
	r.oneOf("operation", s.Operation, string(engine.Create), string(engine.Update), string(engine.Delete))
	for field, text := range map[string]string{"id": s.ID, "title": s.Title, "why": s.Why} {
		if strings.TrimSpace(text) == "" {
			r.bad(field, field+" is missing")
		}
	}
	if len(s.About) == 0 && s.Expect != Allow { // what is allowed may be near to no rule
		r.bad("about", "about is missing: name the rules that the case is about")
	}
	for i := range s.Policies {
		c.Policies = append(c.Policies, r.policy(fmt.Sprintf("policies[%d]", i)))
	}
	for i := range s.State {
		c.State = append(c.State, r.object(fmt.Sprintf("state[%d]", i), false))
	}
	object := r.object("object", s.Raw)
	var old engine.Document
	switch update := s.Operation == string(engine.Update); {
	case update:
		old = r.object("oldObject", false)
	case s.OldObject != nil:
		r.bad("oldObject", "only an UPDATE has an oldObject; the object of a DELETE is under object")
	}
	if len(r.problems) > 0 {
		slices.SortFunc(r.problems, func(a, b manifest.Problem) int { return strings.Compare(a.String(), b.String()) })
		return Case{}, r.problems
	}
	request, err := policies.Compose(engine.Operation(s.Operation), object, old)
	if err != nil {
		r.bad("object", err.Error())
	}
	c.Request = request
	return c, r.problems
}

// caseReader collects what is wrong with one case.
type caseReader struct {
	document *manifest.Document
	problems []manifest.Problem
}

func (r *caseReader) bad(field, message string) {
	line, column := r.document.Position(field)
	r.problems = append(r.problems, manifest.Problem{File: r.document.File, Line: line, Column: column, Field: field, Message: message})
}

// source reads the keys of a case, all of which have to be known.
func (r *caseReader) source() source {
	var s source
	keys := map[string]json.RawMessage{}
	if err := json.Unmarshal(r.document.JSON, &keys); err != nil {
		r.bad("", "expected a mapping: a case with "+strings.Join(caseKeys(), ", "))
		return s
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if !slices.Contains(caseKeys(), key) {
			r.bad(key, fmt.Sprintf("unknown key %q; the keys are %s", key, strings.Join(caseKeys(), ", ")))
		}
	}
	var wrong *json.UnmarshalTypeError
	switch err := json.Unmarshal(r.document.JSON, &s); {
	case errors.As(err, &wrong):
		r.bad(wrong.Field, fmt.Sprintf("expected %s, found a %s", wrong.Type, wrong.Value))
	case err != nil:
		r.bad("", err.Error())
	}
	return s
}

func caseKeys() []string {
	return []string{"id", "title", "expect", "about", "operation", "raw", "policies", "state", "oldObject", "object", "why"}
}

func (r *caseReader) oneOf(field, value string, wanted ...string) {
	switch {
	case value == "":
		r.bad(field, field+" is missing: want "+strings.Join(wanted, ", "))
	case !slices.Contains(wanted, value):
		r.bad(field, fmt.Sprintf("%q: want %s", value, strings.Join(wanted, ", ")))
	}
}

// object reads the object at a field. A raw one gets the API server's defaults; any other is taken as it is.
func (r *caseReader) object(field string, raw bool) engine.Document {
	object, problems := r.document.Object(field)
	if len(problems) > 0 {
		r.problems = append(r.problems, problems...)
		return engine.Document{}
	}
	text := object.JSON
	if raw {
		decoded, problems := manifest.Decode(object, manifest.Options{})
		r.problems = append(r.problems, problems...)
		text = decoded.JSON
		if len(problems) > 0 {
			return engine.Document{}
		}
	}
	document, err := engine.ParseJSON(text)
	if err != nil {
		r.bad(field, err.Error())
	}
	return document
}

// policy reads the GatePolicy at a field.
func (r *caseReader) policy(field string) v1alpha1.GatePolicy {
	var policy v1alpha1.GatePolicy
	object, problems := r.document.Object(field)
	if len(problems) == 0 && object.Kind != "GatePolicy" {
		r.bad(field+".kind", "expected a GatePolicy, found "+object.Kind)
		return policy
	}
	if len(problems) == 0 {
		problems = manifest.DecodeInto(object, &policy)
	}
	r.problems = append(r.problems, problems...)
	return policy
}
