package policies_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/profile"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

// inlineModule is a rule of a policy's own that uses what Sluice ships for rules, as a platform team would write it.
func inlineModule(i int) string {
	return fmt.Sprintf(`# METADATA
# title: Team %[1]d's hosts
# description: The hosts of team %[1]d end in its domain and are not redirected.
# custom:
#   severity: medium
#   kinds: [networking.k8s.io/Ingress]
#   judges: [spec, metadata]
#   parameters: {type: object, additionalProperties: false, properties: {domain: {type: string, default: team-%[1]d.example.com}}}
package sluice.team.hosts

import data.sluice.lib.acme
import data.sluice.lib.redirect

deny contains {"msg": msg, "field": field, "fix": fix} if {
	some i, rule in input.request.object.spec.rules
	not endswith(rule.host, input.parameters.domain)
	not acme.sends_solver(input.request, ["ci-%[1]d"])
	msg := sprintf("host %%q is not below %%q", [rule.host, input.parameters.domain])
	field := sprintf("spec.rules[%%d].host", [i])
	fix := sprintf("write a name such as shop.%%s", [input.parameters.domain])
}

warn contains msg if {
	value := input.request.object.metadata.annotations["nginx.ingress.kubernetes.io/ssl-redirect"]
	value in redirect.false_words
	msg := sprintf("team %[1]d: ssl-redirect is %%q", [value])
}
`, i)
}

// thousand are 700 policies over shipped rules, each with a match and where it can with parameters of its own, and 300 with
// a rule of their own.
func thousand(t testing.TB, library *engine.Library) []v1alpha1.GatePolicy {
	t.Helper()
	rules := library.Rules()
	var out []v1alpha1.GatePolicy
	for i := range 1000 {
		p := v1alpha1.GatePolicy{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("policy-%03d", i)}}
		p.Spec.Match.Namespaces = []string{fmt.Sprintf("team-%d-*", i)}
		if i%10 < 3 {
			p.Spec.Rego = inlineModule(i)
		} else {
			rule := rules[i%len(rules)]
			p.Spec.Rule = rule.ID
			if properties, _ := rule.Parameters["properties"].(map[string]any); properties["acmeSolvers"] != nil {
				p.Spec.Parameters = &runtime.RawExtension{Raw: fmt.Appendf(nil, `{"acmeSolvers":["solver-%d"]}`, i)}
			}
		}
		out = append(out, p)
	}
	return out
}

func shipped(t testing.TB) *engine.Library {
	t.Helper()
	library, err := profile.ShippedRules()
	if err != nil {
		t.Fatal(err)
	}
	return library
}

// Of a thousand policies every one is judged and keeps its own parameters, and a change to one compiles a few: it is to
// take a fifth of the time that all take, which BenchmarkGate tells. It takes a fiftieth.
func TestThousandPolicies(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	library := shipped(t)
	specs := thousand(t, library)
	start := time.Now()
	gate, err := policies.NewGate(policies.Options{Library: library, Policies: specs})
	if err != nil {
		t.Fatal(err)
	}
	all := time.Since(start)
	says := func(gate *policies.Gate, i int) []string {
		var out []string
		request := create(t, fmt.Sprintf(`{"apiVersion":"networking.k8s.io/v1","kind":"Ingress","metadata":{"name":"web","namespace":"team-%d-web"},"spec":{"rules":[{"host":"a.other.org"}]}}`, i))
		for _, f := range gate.Review(context.Background(), request).Findings {
			out = append(out, f.Policy+": "+f.Message)
		}
		return out
	}
	want := func(i int, domain string) []string {
		return []string{fmt.Sprintf("policy-%03d: host \"a.other.org\" is not below %q", i, domain)}
	}
	for _, i := range []int{0, 1, 2, 10, 501, 502, 990, 992} {
		if got := says(gate, i); !slices.Equal(got, want(i, fmt.Sprintf("team-%d.example.com", i))) {
			t.Errorf("team %d: %q", i, got)
		}
	}
	specs = slices.Clone(specs)
	specs[502].Spec.Parameters = &runtime.RawExtension{Raw: []byte(`{"domain":"changed.org"}`)}
	start = time.Now()
	if gate, err = policies.NewGate(policies.Options{Library: library, Policies: specs, Previous: gate}); err != nil {
		t.Fatal(err)
	}
	one := time.Since(start)
	t.Logf("1,000 policies: %v, a change to one: %v", all, one)
	if one > all/5 {
		t.Errorf("a change to one of 1,000 policies took %v, and all of them %v", one, all)
	}
	if got := says(gate, 502); !slices.Equal(got, want(502, "changed.org")) {
		t.Errorf("changed: %q", got)
	}
	if got := says(gate, 501); !slices.Equal(got, want(501, "team-501.example.com")) {
		t.Errorf("beside the changed one: %q", got)
	}
}

// BenchmarkGate says what 1,000 policies cost: all of them anew, and their parts.
func BenchmarkGate(b *testing.B) {
	library := shipped(b)
	specs := thousand(b, library)
	build := func(b *testing.B, o policies.Options) *policies.Gate {
		o.Library = library
		gate, err := policies.NewGate(o)
		if err != nil {
			b.Fatal(err)
		}
		return gate
	}
	b.Run("load", func(b *testing.B) {
		for b.Loop() {
			shipped(b)
		}
	})
	b.Run("inline", func(b *testing.B) {
		for b.Loop() {
			if _, err := library.Inline("own.rego", inlineModule(1)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("new", func(b *testing.B) {
		for b.Loop() {
			build(b, policies.Options{Policies: specs})
		}
	})
	b.Run("change one", func(b *testing.B) {
		gate := build(b, policies.Options{Policies: specs})
		changed := slices.Clone(specs)
		for i := 0; b.Loop(); i++ {
			changed[502].Spec.Rego = inlineModule(2000 + i)
			gate = build(b, policies.Options{Policies: changed, Previous: gate})
		}
	})
	b.Run("review", func(b *testing.B) {
		gate := build(b, policies.Options{Policies: specs})
		request := create(b, `{"apiVersion":"networking.k8s.io/v1","kind":"Ingress","metadata":{"name":"web","namespace":"team-502-web"},"spec":{"rules":[{"host":"a.example.com"}]}}`)
		b.ReportAllocs()
		for b.Loop() {
			if gate.Review(context.Background(), request).Allowed() {
				b.Fatal("allowed")
			}
		}
	})
}

// To vet one more of a thousand policies takes a fraction of a compilation, so that many can be applied at once.
func TestVettingOneMore(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	library := shipped(t)
	specs := thousand(t, library)
	start := time.Now()
	gate, err := policies.NewGate(policies.Options{Library: library, Policies: specs[:999]})
	if err != nil {
		t.Fatal(err)
	}
	all := time.Since(start)
	const times = 20
	start = time.Now()
	for range times {
		if err := policies.VetPolicy(context.Background(), policies.Options{Library: library, Policies: specs[:999], Previous: gate}, specs[999]); err != nil {
			t.Fatal(err)
		}
	}
	took := time.Since(start) / times
	t.Logf("%v each", took)
	if took > all/10 {
		t.Errorf("vetting one policy took %v, and compiling 999 %v", took, all)
	}
}
