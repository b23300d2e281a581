package policies_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

// names are the kinds, names and beginnings of the errors of what was rejected.
func names(rejected []policies.Rejected) []string {
	var out []string
	for _, r := range rejected {
		out = append(out, r.Kind+" "+r.Name)
	}
	return out
}

func namespace(name string) string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":%q}}`, name)
}

// A stored policy that is bad stops no other, and what it is meant for is answered by its failure.
func TestBadPoliciesFailClosed(t *testing.T) {
	lib := library(t, map[string]string{"good": denyNodePort, "limited": denyNodePort})
	judged := service("", `{"type":"ClusterIP"}`)
	cases := map[string]struct {
		spec    v1alpha1.GatePolicySpec
		request func(testing.TB) policies.Request // a ClusterIP Service if nil
		reason  string                            // of its failure; empty if it has nothing to say of the request
	}{
		"syntax error, kinds by match": {spec: v1alpha1.GatePolicySpec{Rego: "package x\n\ndeny contains", Match: v1alpha1.Match{Kinds: []string{"Service"}}},
			reason: "could not judge: policy does not compile: bad.rego:3:13: unexpected eof token"},
		"syntax error, kinds by METADATA": {spec: v1alpha1.GatePolicySpec{Rego: rule("x", "deny contains {")}, reason: "bad.rego:11:15: "},
		"type error, kinds by METADATA":   {spec: v1alpha1.GatePolicySpec{Rego: rule("x", "deny contains input.request.object.spec.tpye")}, reason: "undefined ref: input.request.object.spec.tpye"},
		"bad lib":                         {spec: v1alpha1.GatePolicySpec{Rego: rule("x", denyNodePort), Libs: []string{"package sluice.lib.x\n\nx :="}}, reason: "bad.libs[0].rego:3:"},
		"bad parameters":                  {spec: v1alpha1.GatePolicySpec{Rule: "test-limited", Parameters: &runtime.RawExtension{Raw: []byte(`{"n":1}`)}}, reason: "spec.parameters: additional properties 'n' not allowed"},
		"parameters are no object":        {spec: v1alpha1.GatePolicySpec{Rule: "test-limited", Parameters: &runtime.RawExtension{Raw: []byte(`[1]`)}}, reason: "spec.parameters: want an object"},
		"bad action":                      {spec: v1alpha1.GatePolicySpec{Rule: "test-limited", Action: "Refuse"}, reason: `spec.action: "Refuse"`},
		"unknown rule, kinds by match":    {spec: v1alpha1.GatePolicySpec{Rule: "test-limted", Match: v1alpha1.Match{Kinds: []string{"Service", "pods"}}}, reason: `there is no rule "test-limted"; did you mean "test-limited"?`},
		"unknown rule":                    {spec: v1alpha1.GatePolicySpec{Rule: "test-limted"}},
		"rule and rego":                   {spec: v1alpha1.GatePolicySpec{Rule: "test-limited", Rego: "package x"}, reason: "has both rule and rego"},
		"libs of a rule by id":            {spec: v1alpha1.GatePolicySpec{Rule: "test-limited", Libs: []string{"package sluice.lib.x\n\nx := 1"}}, reason: "spec.libs: libs are for rego"},
		"kind that is not the rule's":     {spec: v1alpha1.GatePolicySpec{Rule: "test-limited", Match: v1alpha1.Match{Kinds: []string{"Pod"}}}, reason: `"Pod": the rule test-limited does not judge it`},
		"bad selector":                    {spec: v1alpha1.GatePolicySpec{Rule: "test-limited", Match: v1alpha1.Match{ObjectSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Is"}}}}}, reason: "spec.match.objectSelector"},
		"bad subject":                     {spec: v1alpha1.GatePolicySpec{Rule: "test-limited", Match: v1alpha1.Match{ExcludedSubjects: []v1alpha1.Subject{{Kind: "User"}}}}, reason: "spec.match.excludedSubjects[0]"},
		"other operation":                 {spec: v1alpha1.GatePolicySpec{Rule: "test-limted", Match: v1alpha1.Match{Kinds: []string{"Service"}, Operations: []string{"DELETE"}}}},
		"other namespace":                 {spec: v1alpha1.GatePolicySpec{Rule: "test-limted", Match: v1alpha1.Match{Kinds: []string{"Service"}, Namespaces: []string{"other"}}}},
		"exempt namespace": {spec: v1alpha1.GatePolicySpec{Rule: "test-limted", Match: v1alpha1.Match{Kinds: []string{"Namespace"}}},
			request: func(t testing.TB) policies.Request { return create(t, namespace("kube-system")) }},
		"not exempt": {spec: v1alpha1.GatePolicySpec{Rule: "test-limted", Match: v1alpha1.Match{Kinds: []string{"Namespace"}}},
			request: func(t testing.TB) policies.Request { return create(t, namespace("shop")) }, reason: "there is no rule"},
		"housekeeping": {spec: v1alpha1.GatePolicySpec{Rule: "test-limted", Match: v1alpha1.Match{Kinds: []string{"Service"}}},
			request: func(t testing.TB) policies.Request {
				return update(t, judged, service(`,"finalizers":["x"]`, `{"type":"ClusterIP"}`))
			}, reason: "warn: could not judge"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			g, rejected := policies.Assemble(policies.Options{Library: lib, Policies: []v1alpha1.GatePolicy{
				{ObjectMeta: metav1.ObjectMeta{Name: "bad"}, Spec: c.spec}, gatePolicy("good", nil)}})
			if !slices.Equal(names(rejected), []string{"GatePolicy bad"}) || rejected[0].Err == nil || rejected[0].InForce {
				t.Fatalf("rejected: %+v", rejected)
			}
			request := create(t, judged)
			if c.request != nil {
				request = c.request(t)
			}
			findings := g.Review(context.Background(), request).Findings
			if c.reason == "" {
				if len(findings) != 0 {
					t.Errorf("findings: %+v", findings)
				}
			} else if len(findings) != 1 || !findings[0].Failed || findings[0].Policy != "bad" ||
				!strings.Contains(string(findings[0].Effect)+": "+findings[0].Message, c.reason) || strings.Contains(findings[0].Message, "\n") {
				t.Errorf("findings: %+v, want %s", findings, c.reason)
			}
			judgedByGood := g.Review(context.Background(), create(t, nodePort)).Findings
			if !slices.ContainsFunc(judgedByGood, func(f policies.Finding) bool { return f.Policy == "good" && f.Message == "node port" }) {
				t.Errorf("the good policy says %+v", judgedByGood)
			}
			if _, err := policies.NewGate(policies.Options{Library: lib, Policies: []v1alpha1.GatePolicy{{ObjectMeta: metav1.ObjectMeta{Name: "bad"}, Spec: c.spec}}}); err == nil {
				t.Error("NewGate takes it")
			}
		})
	}
}

// A bad policy's failure has the effect of its action, is answered for the verbs that its rule states, counts as a
// policy with its name, and makes its kinds intercepted, but none that nothing may match.
func TestBadPolicyInTheGate(t *testing.T) {
	bad := func(change func(*v1alpha1.GatePolicySpec)) v1alpha1.GatePolicy {
		return gatePolicy("bad", func(s *v1alpha1.GatePolicySpec) {
			s.Rule, s.Match.Kinds = "test-unknown", []string{"Service", "Lease", "coordination.k8s.io/Lease", "Node", "policy.sluice.dev/GatePolicy"}
			change(s)
		})
	}
	lib := library(t, map[string]string{"patches": `patch contains {"op": "add", "path": "/spec/a", "value": 1}`, "zoo": denyNodePort})
	assemble := func(p ...v1alpha1.GatePolicy) *policies.Gate {
		g, _ := policies.Assemble(policies.Options{Library: lib, Policies: p})
		return g
	}
	for action, want := range map[v1alpha1.Action]policies.Effect{"": policies.EffectDeny, "Deny": policies.EffectDeny, "Warn": policies.EffectWarn, "Audit": policies.EffectAudit, "Shout": policies.EffectDeny} {
		g := assemble(bad(func(s *v1alpha1.GatePolicySpec) { s.Action = action }))
		if f := g.Review(context.Background(), create(t, nodePort)).Findings; len(f) != 1 || f[0].Effect != want {
			t.Errorf("%q: %+v", action, f)
		}
	}
	g := assemble(gatePolicy("zoo", nil), bad(func(*v1alpha1.GatePolicySpec) {}))
	if want := []schema.GroupKind{{Kind: "Lease"}, {Kind: "Service"}}; !slices.Equal(g.Kinds(), want) {
		t.Errorf("kinds %v, want %v: only the heartbeat's own Lease is never matched", g.Kinds(), want)
	}
	if info := g.Policies(); len(info) != 2 || info[0].Name != "bad" || info[0].Err == nil || info[0].Rule == nil || info[1].Err != nil {
		t.Errorf("policies: %+v", info)
	}
	if d := g.Mutate(context.Background(), create(t, nodePort)); len(d.Findings) != 0 {
		t.Errorf("a rule of which nothing is known fails reviews only: %+v", d.Findings)
	}
	patches := gatePolicy("patches", func(s *v1alpha1.GatePolicySpec) { s.Parameters = &runtime.RawExtension{Raw: []byte(`{"n":1}`)} })
	g = assemble(patches)
	if d := g.Mutate(context.Background(), create(t, nodePort)); len(d.Findings) != 1 || !d.Findings[0].Failed {
		t.Errorf("mutate: %+v", d.Findings)
	}
	if d := g.Review(context.Background(), create(t, nodePort)); len(d.Findings) != 0 {
		t.Errorf("a rule that only patches has nothing to review: %+v", d.Findings)
	}
}

// An exception counts for the policies that it knows, and not at all if something else is wrong with it.
func TestBadExceptions(t *testing.T) {
	lib := library(t, map[string]string{"nodeport": denyNodePort})
	exception := func(name string, change func(*v1alpha1.GateExceptionSpec)) v1alpha1.GateException {
		e := v1alpha1.GateException{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.GateExceptionSpec{
			Policies: []string{"nodeport"}, Match: v1alpha1.ExceptionMatch{Names: []string{"web"}}, Reason: "why", Expires: metav1.NewTime(time.Now().Add(time.Hour))}}
		change(&e.Spec)
		return e
	}
	cases := map[string]struct {
		change            func(*v1alpha1.GateExceptionSpec)
		rejected, excuses bool
	}{
		"good":              {func(*v1alpha1.GateExceptionSpec) {}, false, true},
		"unknown and known": {func(s *v1alpha1.GateExceptionSpec) { s.Policies = []string{"later", "nodeport"} }, true, true},
		"unknown":           {func(s *v1alpha1.GateExceptionSpec) { s.Policies = []string{"later"} }, true, false},
		"no reason":         {func(s *v1alpha1.GateExceptionSpec) { s.Reason = "" }, true, false},
		"bad kind":          {func(s *v1alpha1.GateExceptionSpec) { s.Match.Kinds = []string{"Service", "services"} }, true, false},
		"bad and unknown":   {func(s *v1alpha1.GateExceptionSpec) { s.Reason, s.Policies = "", []string{"later", "nodeport"} }, true, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			o := policies.Options{Library: lib, Policies: []v1alpha1.GatePolicy{gatePolicy("nodeport", nil)}, Exceptions: []v1alpha1.GateException{exception("own", c.change)}}
			g, rejected := policies.Assemble(o)
			if (len(rejected) == 1 && rejected[0].Kind == policies.ExceptionKind && rejected[0].Name == "own" && rejected[0].InForce == c.excuses) != c.rejected {
				t.Errorf("rejected: %+v", rejected)
			}
			if d := g.Review(context.Background(), create(t, nodePort)); d.Allowed() != c.excuses {
				t.Errorf("%+v", d.Findings)
			}
			if _, err := policies.NewGate(o); (err != nil) != c.rejected {
				t.Errorf("NewGate: %v", err)
			}
		})
	}
	// An exception from a policy that is there but bad is no mistake, and excuses from its failure.
	g, rejected := policies.Assemble(policies.Options{Library: lib, Policies: []v1alpha1.GatePolicy{
		gatePolicy("nodeport", func(s *v1alpha1.GatePolicySpec) { s.Action = "Shout" })},
		Exceptions: []v1alpha1.GateException{exception("own", func(*v1alpha1.GateExceptionSpec) {})}})
	if !slices.Equal(names(rejected), []string{"GatePolicy nodeport"}) || !g.Review(context.Background(), create(t, nodePort)).Allowed() {
		t.Errorf("rejected: %+v", rejected)
	}
}

// What an exception is about, and what it can't be about, is said when it is written.
func TestVetException(t *testing.T) {
	o := policies.Options{Library: library(t, map[string]string{"nodeport": denyNodePort}), Policies: []v1alpha1.GatePolicy{
		gatePolicy("nodeport", nil),
		gatePolicy("unread", func(s *v1alpha1.GatePolicySpec) { s.Rule = "test-gone" }),
	}}
	for name, c := range map[string]struct {
		change       func(*v1alpha1.GateExceptionSpec)
		warning, err string
	}{
		"good":          {func(*v1alpha1.GateExceptionSpec) {}, "", ""},
		"its kind":      {func(s *v1alpha1.GateExceptionSpec) { s.Match.Kinds = []string{"Service"} }, "", ""},
		"misspelt":      {func(s *v1alpha1.GateExceptionSpec) { s.Policies = []string{"nodport"} }, "", `spec.policies[0]: there is no policy "nodport"; did you mean "nodeport"?`},
		"unlike others": {func(s *v1alpha1.GateExceptionSpec) { s.Policies = []string{"ingress-tls"} }, "", `spec.policies[0]: there is no policy "ingress-tls"`},
		"foreign kind": {func(s *v1alpha1.GateExceptionSpec) { s.Match.Kinds = []string{"Service", "Ingress"} },
			"spec.match.kinds[1]: Ingress is judged by none of spec.policies, which judge Service: the exception excuses nothing of this kind", ""},
		"a kind of a policy of which no kind is known": {func(s *v1alpha1.GateExceptionSpec) {
			s.Policies, s.Match.Kinds = []string{"nodeport", "unread"}, []string{"Ingress"}
		}, "", ""},
	} {
		e := v1alpha1.GateException{ObjectMeta: metav1.ObjectMeta{Name: "own"}, Spec: v1alpha1.GateExceptionSpec{
			Policies: []string{"nodeport"}, Match: v1alpha1.ExceptionMatch{Names: []string{"web"}}, Reason: "why", Expires: metav1.NewTime(time.Now().Add(time.Hour))}}
		c.change(&e.Spec)
		warning, err := policies.VetException(o, e)
		if err == nil {
			err = errors.New("")
		}
		if warning != c.warning || err.Error() != c.err {
			t.Errorf("%s: warning %q, error %q", name, warning, err)
		}
	}
}

func TestRejectedAreSorted(t *testing.T) {
	nothing := func(s *v1alpha1.GatePolicySpec) { s.Rule = "" }
	o := policies.Options{Library: library(t, map[string]string{"a": denyNodePort}),
		Policies:   []v1alpha1.GatePolicy{gatePolicy("z", nothing), gatePolicy("a", nil), gatePolicy("a", nil), gatePolicy("", nothing)},
		Exceptions: []v1alpha1.GateException{{ObjectMeta: metav1.ObjectMeta{Name: "y"}}, {ObjectMeta: metav1.ObjectMeta{Name: "b"}}}}
	g, rejected := policies.Assemble(o)
	if want := []string{"GatePolicy ", "GatePolicy a", "GatePolicy z", "GateException b", "GateException y"}; !slices.Equal(names(rejected), want) {
		t.Errorf("got %q, want %q", names(rejected), want)
	}
	if d := g.Review(context.Background(), create(t, nodePort)); len(d.Findings) != 2 {
		t.Errorf("%+v", d.Findings)
	}
	o.Library = nil
	if _, rejected := policies.Assemble(o); len(rejected) != 6 {
		t.Errorf("without a library: %q", names(rejected))
	}
}

// What a gate takes over from the one before changes nothing that it says.
func TestPreviousGate(t *testing.T) {
	lib := library(t, map[string]string{"a": denyNodePort, "b": `deny contains "b" if input.request.object.spec.type`})
	own := func(text string) v1alpha1.GatePolicy {
		return gatePolicy("own", func(s *v1alpha1.GatePolicySpec) {
			s.Rule, s.Rego, s.Libs = "", rule("own", "deny contains data.sluice.lib.own.text"), []string{"package sluice.lib.own\n\ntext := \"" + text + "\"\n"}
		})
	}
	says := func(g *policies.Gate) string {
		var out []string
		for _, f := range g.Review(context.Background(), create(t, nodePort)).Findings {
			out = append(out, string(f.Effect)+" "+f.Message)
		}
		return strings.Join(out, ", ")
	}
	ruleOf := func(g *policies.Gate, name string) *engine.Rule {
		for _, p := range g.Policies() {
			if p.Name == name {
				return p.Rule
			}
		}
		return nil
	}
	var previous *policies.Gate
	for _, step := range []struct {
		policies []v1alpha1.GatePolicy
		want     string
		reused   bool // the rule of own
	}{
		{[]v1alpha1.GatePolicy{own("one"), gatePolicy("a", nil)}, "deny node port, deny one", false},
		{[]v1alpha1.GatePolicy{gatePolicy("a", func(s *v1alpha1.GatePolicySpec) { s.Action = "Warn" }), own("one")}, "warn node port, deny one", true},
		{[]v1alpha1.GatePolicy{gatePolicy("a", func(s *v1alpha1.GatePolicySpec) { s.Rule = "test-b" }), own("one")}, "deny b, deny one", true},
		{[]v1alpha1.GatePolicy{gatePolicy("a", func(s *v1alpha1.GatePolicySpec) { s.Rule = "test-c" }), own("one")}, "deny one", true},
		{[]v1alpha1.GatePolicy{gatePolicy("a", nil), own("two")}, "deny node port, deny two", false},
		{[]v1alpha1.GatePolicy{own("two")}, "deny two", true},
	} {
		o := policies.Options{Library: lib, Policies: step.policies, Previous: previous}
		g, _ := policies.Assemble(o)
		if got := says(g); got != step.want {
			t.Errorf("got %q, want %q", got, step.want)
		}
		if previous != nil && (ruleOf(g, "own") == ruleOf(previous, "own")) != step.reused {
			t.Errorf("%s: the rule is reused: %t", step.want, !step.reused)
		}
		previous = g
	}
	other, err := engine.Load(fstest.MapFS{"a.rego": &fstest.MapFile{Data: []byte(rule("a", `deny contains "other library"`))}})
	if err != nil {
		t.Fatal(err)
	}
	g, _ := policies.Assemble(policies.Options{Library: other, Policies: []v1alpha1.GatePolicy{gatePolicy("a", nil), own("two")}, Previous: previous})
	if got := says(g); got != "deny other library, deny two" || ruleOf(g, "own") == ruleOf(previous, "own") {
		t.Errorf("another library: %q", got)
	}
}
