package engine_test

import (
	"context"
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sluice-gate/sluice/policies/engine"
)

// stored is a state with NetworkPolicies.
type stored struct{ documents []engine.Document }

func (s stored) List(schema.GroupKind, string) ([]engine.Document, error) { return s.documents, nil }
func (s stored) Get(schema.GroupKind, string, string) (engine.Document, bool, error) {
	return engine.Document{}, false, nil
}

// indexed keeps them as facts read them, too.
type indexed struct {
	stored
	policies []engine.NetworkPolicy
}

func (i indexed) NetworkPolicies(string) (*engine.PolicyList, error) {
	return engine.NewPolicyList(i.policies, nil), nil
}

const widePolicy = `{"metadata":{"namespace":"shop","name":%q},"spec":{"policyTypes":["Egress"],"egress":[{"to":[{"ipBlock":{"cidr":%q}}]}]}}`

func parsed(t *testing.T, object string) engine.Document {
	t.Helper()
	document, err := engine.ParseJSON([]byte(object))
	if err != nil {
		t.Fatal(err)
	}
	return document
}

// What the state keeps is what facts read: the policies of the index differ from its documents to show it.
func TestFactsReadNetworkPoliciesThatTheStateKeeps(t *testing.T) {
	library := load(t, map[string]string{"wide": `# METADATA
# title: A title
# description: A description.
# custom:
#   severity: high
#   kinds: [networking.k8s.io/NetworkPolicy]
#   state: [networking.k8s.io/NetworkPolicy]
package sluice.test.wide

deny contains sprintf("%d with %v", [count(others), wide.with]) if {
	others := sluice.state.list("networking.k8s.io/NetworkPolicy", "shop")
	some wide in sluice.networkpolicy.wide_egress(input.request.object, others, {})
}
`})
	program := compile(t, library, "wide")
	documents := []engine.Document{parsed(t, fmt.Sprintf(widePolicy, "other", "52.0.0.0/8"))}
	other, err := engine.ReadNetworkPolicy(parsed(t, `{}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		state engine.State
		want  string
	}{
		"documents": {stored{documents}, `1 with ["other"]`},
		"an index":  {indexed{stored{documents}, []engine.NetworkPolicy{other}}, ""},
	} {
		in := input(t, fmt.Sprintf(widePolicy, "one", "20.0.0.0/8"))
		in.State = c.state
		got := ""
		for _, outcome := range program.Evaluate(context.Background(), in, []int{0}, engine.Deny) {
			if outcome.Err != nil {
				t.Fatal(outcome.Err)
			}
			for _, f := range outcome.Deny {
				got += f.Message
			}
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}
