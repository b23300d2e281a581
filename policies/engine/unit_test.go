package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

const unitRule = `# METADATA
# title: T
# description: D
# custom:
#   severity: low
#   kinds: [Service]
#   parameters: {type: object, additionalProperties: false, properties: {text: {type: string, default: none}, loop: {type: boolean, default: false}}}
package sluice.test.say

deny contains input.parameters.text if not input.parameters.loop

deny contains "looped" if {
	input.parameters.loop
	some i in numbers.range(1, 90000)
	some j in numbers.range(1, 90000)
	i + j == -1
}
`

func sayRule(t *testing.T) *Rule {
	t.Helper()
	library, err := Load(fstest.MapFS{"say.rego": &fstest.MapFile{Data: []byte(unitRule)}})
	if err != nil {
		t.Fatal(err)
	}
	rule, _ := library.Rule("test-say")
	return rule
}

// say are n policies that each say their name.
func say(rule *Rule, n int) []Policy {
	out := make([]Policy, n)
	for i := range out {
		name := fmt.Sprintf("p%03d", i)
		out[i] = Policy{Name: name, Rule: rule, Parameters: map[string]any{"text": name}}
	}
	return out
}

func mustCompile(t *testing.T, policies []Policy, previous *Program) *Program {
	t.Helper()
	p, err := Compile(policies, DefaultBudget(), previous)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func unitOf(p *Program, name string) *unit {
	return p.seats[slices.IndexFunc(p.policies, func(p Policy) bool { return p.Name == name })].unit
}

// said are what policies say, in the order of active.
func said(t *testing.T, p *Program, active []int) []string {
	t.Helper()
	request, err := ParseJSON([]byte(`{"operation":"CREATE","object":{"spec":{}}}`))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for i, o := range p.Evaluate(context.Background(), Input{Request: request}, active, Deny, Warn) {
		switch {
		case o.Policy != active[i]:
			t.Fatalf("outcome %d is of policy %d, want %d", i, o.Policy, active[i])
		case o.Err != nil:
			out = append(out, "error")
		default:
			for _, f := range o.Deny {
				out = append(out, f.Message)
			}
		}
	}
	return out
}

// A change leaves the units of all other policies as they are, compiler and plans included.
func TestUnitsAreTakenOver(t *testing.T) {
	rule := sayRule(t)
	policies := say(rule, 3*unitSize)
	before := mustCompile(t, policies, nil)
	if len(before.units) != 3 {
		t.Fatalf("%d units, want 3", len(before.units))
	}
	first, last := policies[0].Name, policies[len(policies)-1].Name
	said(t, before, []int{0, 1})
	cases := map[string]func([]Policy) []Policy{
		"parameters": func(p []Policy) []Policy { p[0].Parameters = map[string]any{"text": "new"}; return p },
		"rule":       func(p []Policy) []Policy { p[0].Rule = sayRule(t); return p },
		"deleted":    func(p []Policy) []Policy { return p[1:] },
		"renamed":    func(p []Policy) []Policy { p[0].Name = "renamed"; return p },
		"added":      func(p []Policy) []Policy { return append([]Policy{{Name: "added", Rule: rule}}, p...) },
		"reordered":  func(p []Policy) []Policy { slices.Reverse(p); return p },
		"equal": func(p []Policy) []Policy {
			p[0].Parameters = map[string]any{"text": p[0].Name} // another map of the same content
			return p
		},
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			changed := change(slices.Clone(policies))
			after := mustCompile(t, changed, before)
			for _, untouched := range []string{policies[unitSize].Name, last} {
				if unitOf(after, untouched) != unitOf(before, untouched) {
					t.Errorf("the unit of %s was compiled again", untouched)
				}
			}
			if index := slices.IndexFunc(changed, func(p Policy) bool { return p.Name == first }); index >= 0 {
				same := unitOf(after, first) == unitOf(before, first)
				if want := slices.Contains([]string{"added", "reordered", "equal"}, name); same != want {
					t.Errorf("the unit of %s is the same: %t, want %t", first, same, want)
				}
			}
			var want []string
			all := make([]int, len(changed))
			for i, p := range changed {
				all[i] = i
				text, given := p.Parameters["text"].(string)
				if !given {
					text = "none"
				}
				want = append(want, text)
			}
			if got := said(t, after, all); !slices.Equal(got, want) {
				t.Errorf("got %v\nwant %v", got, want)
			}
		})
	}
	if got := said(t, before, []int{0}); got[0] != first {
		t.Errorf("the old program says %v", got)
	}
}

// Policies that come one by one end up in few units, and those that go leave few.
func TestUnitsStayFew(t *testing.T) {
	rule := sayRule(t)
	policies := say(rule, 2*unitSize)
	var p *Program
	for n := range len(policies) {
		p = mustCompile(t, policies[:n+1], p)
	}
	if len(p.units) != 2 {
		t.Errorf("%d units for %d policies that came one by one", len(p.units), len(policies))
	}
	p = mustCompile(t, append(slices.Clone(policies[:10]), policies[len(policies)-10:]...), p)
	if len(p.units) != 1 {
		t.Errorf("%d units for what is left", len(p.units))
	}
}

// A policy that runs over its budget is alone in its error, and what others say comes in the order they were asked.
func TestUnitsAnswerInOrder(t *testing.T) {
	policies := say(sayRule(t), 2*unitSize)
	policies[3].Parameters = map[string]any{"loop": true}
	p := mustCompile(t, policies, nil)
	got := said(t, p, []int{unitSize + 1, 3, 0, unitSize, 1})
	if want := []string{"p065", "error", "p000", "p064", "p001"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// What only the compilation of policies finds is blamed on its policy, and the others compile without it.
func TestCompileBlames(t *testing.T) {
	rule := sayRule(t)
	broken := *rule
	source := strings.Replace(unitRule, "input.parameters.text if", "nobody(input.parameters.text) if", 1)
	module, err := parse("broken.rego", source)
	if err != nil {
		t.Fatal(err)
	}
	broken.module, broken.texts = module, map[string]string{"broken.rego": source}
	policies := say(rule, 20)
	policies[7].Rule = &broken
	policies[11].Rule = Outline("outline.rego", unitRule)
	_, err = Compile(policies, DefaultBudget(), nil)
	var names []string
	for _, one := range err.(interface{ Unwrap() []error }).Unwrap() { //nolint:errorlint // the join itself
		var blamed *PolicyError
		if !errors.As(one, &blamed) {
			t.Fatalf("no PolicyError: %v", one)
		}
		names = append(names, blamed.Policy)
	}
	if !slices.Equal(names, []string{"p007", "p011"}) || !strings.Contains(err.Error(), "broken.rego:10:15: undefined function") {
		t.Errorf("%v: %v", names, err)
	}
	mustCompile(t, slices.Delete(slices.Delete(policies, 11, 12), 7, 8), nil)

	twice := say(rule, 2)
	twice[1].Name = twice[0].Name
	if _, err := Compile(twice, DefaultBudget(), nil); err == nil {
		t.Error("two policies of one name would merge")
	}
}

// Rules of two libraries may have different libs in files of one name.
func TestLibrariesNeverMerge(t *testing.T) {
	var policies []Policy
	for _, word := range []string{"one", "two"} {
		library, err := Load(fstest.MapFS{
			"lib.rego": &fstest.MapFile{Data: fmt.Appendf(nil, "package sluice.lib.word\n\nword := %q\n", word)},
			"say.rego": &fstest.MapFile{Data: []byte(strings.Replace(unitRule, "contains input.parameters.text", "contains data.sluice.lib.word.word", 1))}})
		if err != nil {
			t.Fatal(err)
		}
		rule, _ := library.Rule("test-say")
		policies = append(policies, Policy{Name: word, Rule: rule})
	}
	if got := said(t, mustCompile(t, policies, nil), []int{0, 1}); !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("got %v", got)
	}
}
