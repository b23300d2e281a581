package policies

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
	"github.com/sluice-gate/sluice/rego"
)

// owner labels every Ingress with a value that is a parameter.
const owner = `# METADATA
# title: Label
# description: Label.
# custom:
#   severity: low
#   kinds: [networking.k8s.io/Ingress, Service]
#   judges: [metadata.labels]
#   parameters: {type: object, properties: {team: {type: string, default: web}}, additionalProperties: false}
package example.owner

patch contains {"op": "add", "path": "/metadata/labels/team", "value": input.parameters.team} if {
	not input.request.object.metadata.labels.team
}
`

func labelling(name, team string, match v1alpha1.Match) v1alpha1.GatePolicy {
	return v1alpha1.GatePolicy{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.GatePolicySpec{
		Rego: owner, Match: match, Parameters: &runtime.RawExtension{Raw: []byte(`{"team": "` + team + `"}`)}}}
}

func TestPatchesThatAreBoundToCollideAreRefused(t *testing.T) {
	library, err := engine.Load(rego.Rules)
	if err != nil {
		t.Fatal(err)
	}
	selecting := func(value string) v1alpha1.Match {
		return v1alpha1.Match{ObjectSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"tier": value}}}
	}
	for name, c := range map[string]struct {
		a, b     v1alpha1.GatePolicy
		collides bool
	}{
		"everywhere":                   {labelling("a", "web", v1alpha1.Match{}), labelling("b", "db", v1alpha1.Match{}), true},
		"the same value":               {labelling("a", "web", v1alpha1.Match{}), labelling("b", "web", v1alpha1.Match{}), false},
		"a shared namespace":           {labelling("a", "web", v1alpha1.Match{Namespaces: []string{"shop", "blog"}}), labelling("b", "db", v1alpha1.Match{Namespaces: []string{"b*"}}), true},
		"other namespaces":             {labelling("a", "web", v1alpha1.Match{Namespaces: []string{"shop"}}), labelling("b", "db", v1alpha1.Match{Namespaces: []string{"blog"}}), false},
		"all but the other's":          {labelling("a", "web", v1alpha1.Match{ExcludedNamespaces: []string{"blog"}}), labelling("b", "db", v1alpha1.Match{Namespaces: []string{"blog"}}), false},
		"exclusions that leave some":   {labelling("a", "web", v1alpha1.Match{ExcludedNamespaces: []string{"blog"}}), labelling("b", "db", v1alpha1.Match{}), true},
		"other kinds":                  {labelling("a", "web", v1alpha1.Match{Kinds: []string{"Service"}}), labelling("b", "db", v1alpha1.Match{Kinds: []string{"networking.k8s.io/Ingress"}}), false},
		"selectors nobody can compare": {labelling("a", "web", selecting("front")), labelling("b", "db", selecting("back")), false},
	} {
		o := Options{Library: library, Policies: []v1alpha1.GatePolicy{c.a}}
		err := VetPolicy(t.Context(), o, c.b)
		if collides := err != nil; collides != c.collides {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && !strings.Contains(err.Error(), `it disagrees with policy "a" about /metadata/labels/team: "db" against "web"`) {
			t.Errorf("%s: %v", name, err)
		}
		o.Policies = append(o.Policies, c.b)
		if _, err := NewGate(o); (err != nil) != c.collides {
			t.Errorf("%s: a gate of both: %v", name, err)
		}
	}
	warn := labelling("b", "db", v1alpha1.Match{})
	warn.Spec.Action = v1alpha1.ActionWarn
	if err := VetPolicy(t.Context(), Options{Library: library, Policies: []v1alpha1.GatePolicy{labelling("a", "web", v1alpha1.Match{})}}, warn); err != nil {
		t.Errorf("a policy that only warns patches nothing: %v", err)
	}
}
