package policies_test

import (
	"context"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/state"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

const named = `# METADATA
# title: T
# description: D
# custom:
#   severity: high
#   kinds: [Service]
#   state: [Service]
#   parameters: {type: object, properties: {type: {type: string, default: ""}}, additionalProperties: false}
package sluice.test.named

deny contains {"msg": "named", "field": "spec.type"} if {
	input.parameters.type != ""
	input.request.object.spec.type == input.parameters.type
	count(sluice.state.list("Service", "shop")) == 0
}`

// What a policy has to be told first costs nothing until it is told: no review, no kind in the state.
func TestASilentPolicyIsAskedAboutNothing(t *testing.T) {
	for name, c := range map[string]struct {
		parameters string
		silent     bool
	}{
		"untold": {`{}`, true},
		"told":   {`{"type": "NodePort"}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			gate := silentGate(t, c.parameters)
			interest := gate.Interests()[0]
			if interest.Silent != c.silent || interest.Judges == c.silent || (len(interest.State) == 0) != c.silent {
				t.Errorf("got %+v", interest)
			}
			if (len(gate.Kinds()) == 0) != c.silent || (len(gate.StateKinds()) == 0) != c.silent {
				t.Errorf("judges %v, asks about %v", gate.Kinds(), gate.StateKinds())
			}
			request := create(t, `{"apiVersion":"v1","kind":"Service","metadata":{"name":"web","namespace":"shop"},"spec":{"type":"NodePort"}}`)
			if d := gate.Review(context.Background(), request); d.Allowed() != c.silent {
				t.Errorf("allowed: %t, findings %+v", d.Allowed(), d.Findings)
			}
		})
	}
}

func silentGate(t *testing.T, parameters string) *policies.Gate {
	t.Helper()
	gate, err := policies.NewGate(policies.Options{Library: library(t, nil), State: state.NewFiles(), Policies: []v1alpha1.GatePolicy{
		gatePolicy("named", func(s *v1alpha1.GatePolicySpec) {
			s.Rule, s.Rego, s.Parameters = "", named, &runtime.RawExtension{Raw: []byte(parameters)}
		})}})
	if err != nil {
		t.Fatal(err)
	}
	return gate
}
