package engine_test

import (
	"context"
	"testing"

	"github.com/sluice-gate/sluice/policies/engine"
)

const withParameters = `# METADATA
# title: A title
# description: A description.
# custom:
#   severity: high
#   kinds: [networking.k8s.io/Ingress]
#   parameters:
#     type: object
#     properties: {names: {type: array, items: {type: string}, default: [a, b]}}
#     additionalProperties: false
package sluice.test.names

`

// Parameters and the rule's own package are bound wherever an author can write them.
func TestParametersAreBoundEverywhere(t *testing.T) {
	for _, body := range []string{
		`deny contains name if some name in input.parameters.names`,
		`deny contains name if some _, name in input.parameters.names`,
		`deny contains name if some name in {x | some x in input.parameters.names}`,
		`deny contains name if some name in [x | some x in [y | some y in input.parameters.names]]`,
		`deny contains name if some name in data.sluice.test.names.own

own := input.parameters.names`,
		`deny contains name if name := input.parameters.names[_]`,
		`deny contains name if {
	some name in ["a", "b"]
	every x in [name] {
		x in input.parameters.names
	}
}`,
	} {
		program := compile(t, load(t, map[string]string{"names": withParameters + body}), "names")
		got := program.Evaluate(context.Background(), input(t, `{}`), []int{0}, engine.Deny)
		if len(got) != 1 || got[0].Err != nil || len(got[0].Deny) != 2 || got[0].Deny[0].Message != "a" || got[0].Deny[1].Message != "b" {
			t.Errorf("%s\n%+v", body, got)
		}
	}
}
