package engine_test

import (
	"context"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/sluice-gate/sluice/policies/engine"
)

func examples(tests string) (map[string][]engine.Example, error) {
	return engine.Examples(context.Background(), fstest.MapFS{
		"x.rego": {Data: []byte(module("x", `deny contains {"msg": msg} if {
	input.request.object.spec.bad == input.parameters.bad
	msg := "bad"
}`))},
		"x_test.rego": {Data: []byte("package sluice.test.x_test\n\nimport data.sluice.test.x\n\n" + tests)},
	})
}

const note = "# METADATA\n# title: a title\n# custom: {example: %s}\n"

// Objects come from what the rule is asked, however the test writes it; the first with which it happens counts.
func TestExamplesAreEvaluated(t *testing.T) {
	got, err := examples(`
spec(bad) := {"spec": {"bad": bad}}

denied(object) := found if {
	found := x.deny with input.request.object as object with input.parameters as {"bad": 1}
}

` + strings.ReplaceAll(note, "%s", "admitted") + `test_good if denied(spec(2)) == set()

` + strings.ReplaceAll(note, "%s", "refused") + `test_bad if {
	every n, count_of in {0: 0, 1: 1} {
		count(denied(spec(n))) == count_of
	}
}

test_no_example if denied(spec(1)) != set()
`)
	all := got["test-x"]
	if err != nil || len(all) != 2 {
		t.Fatalf("%v, %+v", err, got)
	}
	refused, admitted := all[0], all[1]
	if refused.Shows != engine.ShowsRefused || refused.Title != "a title" || refused.Request.String() != `{"object":{"spec":{"bad":1}}}` ||
		refused.Parameters.String() != `{"bad":1}` || len(refused.Outcome.Deny) != 1 || refused.Outcome.Deny[0].Message != "bad" {
		t.Errorf("refused: %+v", refused)
	}
	if admitted.Shows != engine.ShowsAdmitted || admitted.Request.String() != `{"object":{"spec":{"bad":2}}}` || len(admitted.Outcome.Deny) > 0 {
		t.Errorf("admitted: %+v", admitted)
	}
}

// Tests have the defaults of parameters, whether or not they are examples.
func TestExamplesHaveDefaults(t *testing.T) {
	rule := strings.Replace(module("x", "deny contains \"bad\" if input.request.object.spec.bad == input.parameters.bad\n"), "#   kinds",
		"#   parameters: {type: object, additionalProperties: false, properties: {bad: {type: integer, default: 1}}}\n#   kinds", 1)
	got, err := engine.Examples(t.Context(), fstest.MapFS{
		"x.rego": {Data: []byte(rule)},
		"x_test.rego": {Data: []byte("package sluice.test.x_test\n\nimport data.sluice.test.x\n\n" + strings.ReplaceAll(note, "%s", "refused") +
			`test_bad if count(x.deny) == 1 with input.request.object as {"spec": {"bad": 1}}`)},
	})
	if err != nil || len(got["test-x"]) != 1 || len(got["test-x"][0].Outcome.Deny) != 1 || got["test-x"][0].Parameters.Exists() {
		t.Errorf("%v, %+v", err, got)
	}
}

func TestExamplesThatShowNothing(t *testing.T) {
	for tests, want := range map[string]string{
		strings.ReplaceAll(note, "%s", "refused") + `test_a if x.deny == set() with input.request.object as {}`:  "x_test.rego:8:1: METADATA custom.example says refused, but",
		strings.ReplaceAll(note, "%s", "admitted") + `test_a if count(x.deny) == 0`:                              "x_test.rego:8:1: METADATA custom.example says admitted, but",
		strings.ReplaceAll(note, "%s", "refuse") + `test_a if x.deny == set() with input.request.object as {}`:   `x_test.rego:8:1: METADATA custom.example: "refuse": want refused,`,
		strings.ReplaceAll(note, "%s", "admitted") + `test_a if x.deny != set() with input.request.object as {}`: "x_test.rego:8:1: the test fails",
		strings.ReplaceAll(note, "%s", "admitted") + `test_a if to_number("x") == count(x.deny)`:                 "x_test.rego:8:1: the example can't be evaluated",
		`test_a if y.deny == set()`: "x_test.rego:5:11: ",
		`test_a if {`:               "x_test.rego:",
	} {
		if _, err := examples(tests); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\ngot  %v\nwant %s", tests, err, want)
		}
	}
}
