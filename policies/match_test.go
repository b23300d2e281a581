package policies_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

// aboutNamespaces says of a Namespace whether it leaves, and what is generated for it.
const aboutNamespaces = `# METADATA
# title: T
# description: D
# custom:
#   severity: high
#   kinds: [Namespace]
#   operations: [CREATE, UPDATE, DELETE]
#   judges: [metadata]
#   generates: [networking.k8s.io/NetworkPolicy]
package sluice.test.namespaces

deny contains sprintf("judged, leaves is %v", [input.leaves])

generate contains {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "x"}, "spec": {"podSelector": {}}}
`

// A label is no way out of a policy about Namespaces, and none into an exception; what leaves gets nothing more.
func TestLabelsOfNamespaces(t *testing.T) {
	loaded, err := engine.Load(fstest.MapFS{"namespaces.rego": &fstest.MapFile{Data: []byte(aboutNamespaces)}})
	if err != nil {
		t.Fatal(err)
	}
	prod := &metav1.LabelSelector{MatchLabels: map[string]string{"env": "prod"}}
	policy := v1alpha1.GatePolicy{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: v1alpha1.GatePolicySpec{Rule: "test-namespaces", Match: v1alpha1.Match{NamespaceSelector: prod}}}
	everywhere := policy
	everywhere.Spec.Match = v1alpha1.Match{}
	exception := v1alpha1.GateException{ObjectMeta: metav1.ObjectMeta{Name: "e"}, Spec: v1alpha1.GateExceptionSpec{Policies: []string{"p"}, Reason: "why",
		Expires: metav1.NewTime(time.Now().Add(time.Hour)), Match: v1alpha1.ExceptionMatch{NamespaceSelector: prod}}}
	in, still, out := home(`"env":"prod"`), home(`"env":"prod","a":"b"`), home(`"env":"test"`)
	for _, c := range []struct {
		what       string
		policy     v1alpha1.GatePolicy
		exceptions []v1alpha1.GateException
		request    policies.Request
		want       string
		generated  int
	}{
		{"created in it", policy, nil, create(t, in), "judged, leaves is false", 1},
		{"created outside", policy, nil, create(t, out), "", 0},
		{"stays in it", policy, nil, update(t, still, in), "judged, leaves is false", 1},
		{"comes in", policy, nil, update(t, in, out), "judged, leaves is false", 1},
		{"leaves", policy, nil, update(t, out, in), "judged, leaves is true", 0},
		{"stays outside", policy, nil, update(t, home(``), out), "", 0},
		{"deleted in it", policy, nil, deletion(t, in), "judged, leaves is false", 0},
		{"no selector to leave", everywhere, nil, update(t, out, in), "judged, leaves is false", 1},
		{"excused", everywhere, []v1alpha1.GateException{exception}, update(t, still, in), "", 0},
		{"excused no more", everywhere, []v1alpha1.GateException{exception}, update(t, out, in), "judged, leaves is false", 1},
	} {
		g, err := policies.NewGate(policies.Options{Library: loaded, Policies: []v1alpha1.GatePolicy{c.policy}, Exceptions: c.exceptions})
		if err != nil {
			t.Fatal(err)
		}
		var said []string
		for _, f := range g.Review(t.Context(), c.request).Denials() {
			said = append(said, f.Message)
		}
		generated, _ := g.Generate(t.Context(), c.request)
		if got := strings.Join(said, "; "); got != c.want || len(generated) != c.generated {
			t.Errorf("%s: %q, %d generated, want %q, %d", c.what, got, len(generated), c.want, c.generated)
		}
	}
}

// Two policies of one request may differ in whether it leaves them.
func TestLeavingIsOfEachPolicy(t *testing.T) {
	const body = `deny contains sprintf("leaves is %v", [input.leaves])`
	labelled := func(value string) func(*v1alpha1.GatePolicySpec) {
		return func(s *v1alpha1.GatePolicySpec) {
			s.Match.ObjectSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": value}}
		}
	}
	g := newGate(t, map[string]string{"a": body, "b": body, "c": body}, policies.Options{},
		gatePolicy("a", labelled("old")), gatePolicy("b", labelled("new")), gatePolicy("c", nil))
	d := g.Review(t.Context(), update(t, service(`,"labels":{"app":"new"}`, `{"type":"NodePort"}`), service(`,"labels":{"app":"old"}`, `{}`)))
	const want = "a deny false: leaves is true at \nb deny false: leaves is false at \nc deny false: leaves is false at "
	if got := findingsOf(d); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// A rule that never ratchets refuses updates of what was there before.
func TestNeverRatchets(t *testing.T) {
	for _, ratchet := range []bool{true, false} {
		source := strings.Replace(rule("labels", `deny contains "no team" if not input.request.object.metadata.labels.team`),
			"judges: [spec, metadata.annotations]", fmt.Sprintf("judges: [spec]\n#   ratchet: %v", ratchet), 1)
		loaded, err := engine.Load(fstest.MapFS{"labels.rego": &fstest.MapFile{Data: []byte(source)}})
		if err != nil {
			t.Fatal(err)
		}
		g, err := policies.NewGate(policies.Options{Library: loaded, Policies: []v1alpha1.GatePolicy{gatePolicy("labels", nil)}})
		if err != nil {
			t.Fatal(err)
		}
		leaving := service(`,"deletionTimestamp":"2026-01-02T03:04:05Z"`, `{}`)
		for _, r := range []policies.Request{update(t, nodePort, nodePort), update(t, leaving, leaving)} {
			if d := g.Review(t.Context(), r); d.Allowed() != ratchet || len(d.Findings) != 1 {
				t.Errorf("ratchet %v: %s", ratchet, findingsOf(d))
			}
		}
	}
}
