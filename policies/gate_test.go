package policies_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
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

// rule is a rule for Services around a body.
func rule(name, body string) string {
	return `# METADATA
# title: T
# description: D
# custom:
#   severity: high
#   kinds: [Service]
#   state: [Service]
#   judges: [spec, metadata.annotations]
package sluice.test.` + name + "\n\n" + body
}

const denyNodePort = `deny contains {"msg": "node port", "field": "spec.type"} if input.request.object.spec.type == "NodePort"`

func library(t testing.TB, bodies map[string]string) *engine.Library {
	t.Helper()
	folder := fstest.MapFS{}
	for name, body := range bodies {
		folder[name+".rego"] = &fstest.MapFile{Data: []byte(rule(name, body))}
	}
	l, err := engine.Load(folder)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func gatePolicy(name string, change func(*v1alpha1.GatePolicySpec)) v1alpha1.GatePolicy {
	p := v1alpha1.GatePolicy{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.GatePolicySpec{Rule: "test-" + name}}
	if change != nil {
		change(&p.Spec)
	}
	return p
}

func newGate(t testing.TB, bodies map[string]string, o policies.Options, specs ...v1alpha1.GatePolicy) *policies.Gate {
	t.Helper()
	o.Library, o.Policies = library(t, bodies), specs
	g, err := policies.NewGate(o)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func document(t testing.TB, text string) engine.Document {
	t.Helper()
	d, err := engine.ParseJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func service(metadata, spec string) string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"Service","metadata":{"name":"web","namespace":"shop"%s},"spec":%s}`, metadata, spec)
}

func create(t testing.TB, object string) policies.Request {
	t.Helper()
	r, err := policies.Compose(engine.Create, document(t, object), engine.Document{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func update(t testing.TB, object, old string) policies.Request {
	t.Helper()
	r, err := policies.Compose(engine.Update, document(t, object), document(t, old))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var nodePort = service("", `{"type":"NodePort"}`)

// Forgetting is safe: nothing decided is a denial.
func TestZeroDecisionDenies(t *testing.T) {
	if (policies.Decision{}).Allowed() {
		t.Error("the zero Decision allows")
	}
	if (policies.Decision{Judged: true, Failure: "x"}).Allowed() {
		t.Error("a failure allows")
	}
	if (policies.Decision{Judged: true, Findings: []policies.Finding{{}}}).Allowed() {
		t.Error("a finding without effect allows")
	}
	if !(policies.Decision{Judged: true, Findings: []policies.Finding{{Effect: policies.EffectWarn}, {Effect: policies.EffectAudit}}}).Allowed() {
		t.Error("warnings deny")
	}
}

func TestActions(t *testing.T) {
	bodies := map[string]string{"nodeport": denyNodePort + "\nwarn contains \"look\" if input.request.object.spec.type == \"NodePort\""}
	for action, want := range map[v1alpha1.Action][2]policies.Effect{ // of deny, which names a field, and of warn
		"":                   {policies.EffectDeny, policies.EffectWarn},
		v1alpha1.ActionDeny:  {policies.EffectDeny, policies.EffectWarn},
		v1alpha1.ActionWarn:  {policies.EffectWarn, policies.EffectWarn},
		v1alpha1.ActionAudit: {policies.EffectAudit, policies.EffectAudit},
	} {
		g := newGate(t, bodies, policies.Options{}, gatePolicy("nodeport", func(s *v1alpha1.GatePolicySpec) { s.Action = action }))
		d := g.Review(context.Background(), create(t, nodePort))
		if len(d.Findings) != 2 || d.Findings[0].Effect != want[0] || d.Findings[1].Effect != want[1] {
			t.Errorf("action %q: %+v", action, d.Findings)
		}
		if d.Allowed() == (want[0] == policies.EffectDeny) {
			t.Errorf("action %q: allowed is %t", action, d.Allowed())
		}
	}
}

func TestMatch(t *testing.T) {
	labelled := func(pairs ...string) *metav1.LabelSelector {
		return &metav1.LabelSelector{MatchLabels: map[string]string{pairs[0]: pairs[1]}}
	}
	cases := map[string]struct {
		match   v1alpha1.Match
		request func(testing.TB) policies.Request
		want    bool
	}{
		"everything":             {v1alpha1.Match{}, nil, true},
		"kind":                   {v1alpha1.Match{Kinds: []string{"Service"}}, nil, true},
		"other operation":        {v1alpha1.Match{Operations: []string{"UPDATE"}}, nil, false},
		"namespace":              {v1alpha1.Match{Namespaces: []string{"shop"}}, nil, true},
		"namespace glob":         {v1alpha1.Match{Namespaces: []string{"a", "s*p"}}, nil, true},
		"namespace prefix only":  {v1alpha1.Match{Namespaces: []string{"sho"}}, nil, false},
		"excluded wins":          {v1alpha1.Match{Namespaces: []string{"shop"}, ExcludedNamespaces: []string{"*"}}, nil, false},
		"namespace labels":       {v1alpha1.Match{NamespaceSelector: labelled("team", "web")}, nil, true},
		"other namespace labels": {v1alpha1.Match{NamespaceSelector: labelled("team", "db")}, nil, false},
		"object labels": {v1alpha1.Match{ObjectSelector: labelled("app", "web")}, func(t testing.TB) policies.Request {
			return create(t, service(`,"labels":{"app":"web"}`, `{"type":"NodePort"}`))
		}, true},
		"no object labels": {v1alpha1.Match{ObjectSelector: labelled("app", "web")}, nil, false},
		"label taken off": {v1alpha1.Match{ObjectSelector: labelled("app", "web")}, func(t testing.TB) policies.Request {
			return update(t, nodePort, service(`,"labels":{"app":"web"}`, `{}`))
		}, true},
		"excluded user":           {v1alpha1.Match{ExcludedSubjects: []v1alpha1.Subject{{Kind: "User", Name: "ann"}}}, as("ann"), false},
		"other user":              {v1alpha1.Match{ExcludedSubjects: []v1alpha1.Subject{{Kind: "User", Name: "anna"}}}, as("ann"), true},
		"excluded group":          {v1alpha1.Match{ExcludedSubjects: []v1alpha1.Subject{{Kind: "Group", Name: "ops"}}}, as("ann", "dev", "ops"), false},
		"excluded ServiceAccount": {v1alpha1.Match{ExcludedSubjects: []v1alpha1.Subject{{Kind: "ServiceAccount", Namespace: "ci", Name: "bot"}}}, as("system:serviceaccount:ci:bot"), false},
		"same name elsewhere":     {v1alpha1.Match{ExcludedSubjects: []v1alpha1.Subject{{Kind: "ServiceAccount", Namespace: "ci", Name: "bot"}}}, as("system:serviceaccount:cd:bot"), true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			g := newGate(t, map[string]string{"nodeport": denyNodePort}, policies.Options{Namespaces: namespaces{"shop": `{"metadata":{"name":"shop","labels":{"team":"web"}}}`}},
				gatePolicy("nodeport", func(s *v1alpha1.GatePolicySpec) { s.Match = c.match }))
			request := create(t, nodePort)
			if c.request != nil {
				request = c.request(t)
			}
			if d := g.Review(context.Background(), request); d.Allowed() == c.want {
				t.Errorf("judged is %t: %+v", !c.want, d)
			}
		})
	}
}

// namespaces are Namespace objects by name.
type namespaces map[string]string

func (n namespaces) Namespace(_ context.Context, name string) (engine.Document, error) {
	text, ok := n[name]
	if !ok {
		return engine.Document{}, errors.New("namespace " + name + " is gone")
	}
	return engine.ParseJSON([]byte(text))
}

func as(user string, groups ...string) func(testing.TB) policies.Request {
	return func(t testing.TB) policies.Request {
		r := create(t, nodePort)
		r.User = policies.User{Name: user, Groups: groups}
		return r
	}
}

// What nobody can tell is not "allowed": the policy's action counts.
func TestUnresolvedNamespace(t *testing.T) {
	for action, allowed := range map[v1alpha1.Action]bool{v1alpha1.ActionDeny: false, v1alpha1.ActionWarn: true} {
		g := newGate(t, map[string]string{"nodeport": denyNodePort}, policies.Options{Namespaces: namespaces{}},
			gatePolicy("nodeport", func(s *v1alpha1.GatePolicySpec) {
				s.Action, s.Match.NamespaceSelector = action, &metav1.LabelSelector{}
			}))
		d := g.Review(context.Background(), create(t, nodePort))
		if d.Allowed() != allowed || len(d.Findings) != 1 || !d.Findings[0].Failed || !strings.Contains(d.Findings[0].Message, "namespace shop is gone") {
			t.Errorf("%s: %+v", action, d)
		}
	}
}

func TestExempt(t *testing.T) {
	g := newGate(t, map[string]string{"nodeport": denyNodePort}, policies.Options{ExemptNamespaces: []string{"sluice-system", "cilium-*"}}, gatePolicy("nodeport", nil))
	for namespace, exempt := range map[string]bool{"kube-system": true, "kube-public": true, "kube-node-lease": true, "sluice-system": true,
		"cilium-secrets": true, "kube-systems": false, "shop": false} {
		d := g.Review(context.Background(), create(t, strings.Replace(nodePort, "shop", namespace, 1)))
		if d.Allowed() != exempt || (d.Exempt != "") != exempt {
			t.Errorf("%s: %+v", namespace, d)
		}
	}
	apiServer := strings.NewReplacer(`"shop"`, `"default"`, `"web"`, `"kubernetes"`)
	if d := g.Review(context.Background(), create(t, apiServer.Replace(nodePort))); !d.Allowed() {
		t.Errorf("default/kubernetes: %+v", d)
	}
}

// An update that changes nothing a rule judges only warns; any change is judged in full, also of an object
// that is being deleted.
func TestRatchet(t *testing.T) {
	g := newGate(t, map[string]string{"nodeport": denyNodePort, "broken": `deny contains "x" if to_number(input.request.object.metadata.name) > 1`},
		policies.Options{}, gatePolicy("nodeport", nil), gatePolicy("broken", nil))
	deleted := `,"deletionTimestamp":"2026-01-01T00:00:00Z","finalizers":["a/b"]`
	cases := map[string]struct {
		object, old string
		allowed     bool
	}{
		"labels":              {service(`,"labels":{"a":"b"}`, `{"type":"NodePort"}`), nodePort, true},
		"finalizer comes off": {service(`,"deletionTimestamp":"2026-01-01T00:00:00Z"`, `{"type":"NodePort"}`), service(deleted, `{"type":"NodePort"}`), true},
		"spec":                {service("", `{"type":"NodePort","ports":[]}`), nodePort, false},
		"spec while deleted":  {service(deleted, `{"type":"NodePort"}`), service(deleted, `{"type":"ClusterIP"}`), false},
	}
	for name, c := range cases {
		d := g.Review(context.Background(), update(t, c.object, c.old))
		if d.Allowed() != c.allowed || len(d.Findings) != 2 {
			t.Errorf("%s: %+v", name, d)
		}
		for _, f := range d.Findings {
			if f.Ratcheted != c.allowed {
				t.Errorf("%s: ratcheted is %t: %+v", name, f.Ratcheted, f)
			}
		}
	}
}

// A label that brings an old object under a policy is no way around it.
func TestRatchetOfSelectedObjects(t *testing.T) {
	g := newGate(t, map[string]string{"nodeport": denyNodePort}, policies.Options{}, gatePolicy("nodeport", func(s *v1alpha1.GatePolicySpec) {
		s.Match.ObjectSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"env": "prod"}}
	}))
	prod, other := service(`,"labels":{"env":"prod"}`, `{"type":"NodePort"}`), service(`,"labels":{"env":"prod","a":"b"}`, `{"type":"NodePort"}`)
	if d := g.Review(context.Background(), update(t, prod, nodePort)); d.Allowed() {
		t.Errorf("labelled: %+v", d)
	}
	if d := g.Review(context.Background(), update(t, other, prod)); !d.Allowed() || len(d.Warnings()) != 1 {
		t.Errorf("labelled before: %+v", d)
	}
}

// A patch policy that fails takes nothing from the others, and denies only if that is its action.
func TestFailingPatches(t *testing.T) {
	bodies := map[string]string{
		"good":   `patch contains {"op": "add", "path": "/spec/externalName", "value": "x"} if not input.request.object.spec.externalName`,
		"broken": `patch contains {"op": "add", "path": "/spec/clusterIP", "value": to_number("abc")} if input.request.object.spec`,
		"halves": `patch contains op if {
			some op in [{"op": "add", "path": "/spec/a", "value": 1}, {"op": "remove", "path": "/spec/nothing"}]
			input.request.object.spec
		}`,
	}
	for action, allowed := range map[v1alpha1.Action]bool{v1alpha1.ActionDeny: false, v1alpha1.ActionWarn: true, v1alpha1.ActionAudit: true} {
		for _, failing := range []string{"broken", "halves"} {
			g := newGate(t, bodies, policies.Options{}, gatePolicy("good", nil),
				gatePolicy(failing, func(s *v1alpha1.GatePolicySpec) { s.Action = action }))
			d := g.Mutate(context.Background(), create(t, nodePort))
			if failing == "halves" && action != v1alpha1.ActionDeny {
				continue // it only reports what it would do
			}
			if d.Allowed() != allowed || len(d.Findings) != 1 || !d.Findings[0].Failed || len(d.Patches) != 1 || d.Patches[0].Policy != "good" {
				t.Errorf("%s %s: %+v", failing, action, d)
			}
		}
	}
}

func TestPatches(t *testing.T) {
	annotate := func(key, value string) string {
		return fmt.Sprintf(`patch contains {"op": "add", "path": "/metadata/annotations/example.com~1%s", "value": %q} if {
			input.request.object.spec
			not input.request.object.metadata.annotations["example.com/%s"]
		}`, key, value, key)
	}
	cases := map[string]struct {
		bodies map[string]string
		want   string // the patches, or part of the error
	}{
		"parents":        {map[string]string{"a": annotate("x", "1")}, `[{"op":"add","path":"/metadata/annotations","value":{}},{"op":"add","path":"/metadata/annotations/example.com~1x","value":"1"}]`},
		"ordered":        {map[string]string{"b": annotate("y", "2"), "a": annotate("x", "1")}, `[{"op":"add","path":"/metadata/annotations","value":{}},{"op":"add","path":"/metadata/annotations/example.com~1x","value":"1"},{"op":"add","path":"/metadata/annotations/example.com~1y","value":"2"}]`},
		"agree":          {map[string]string{"b": annotate("x", "1"), "a": annotate("x", "1")}, `[{"op":"add","path":"/metadata/annotations","value":{}},{"op":"add","path":"/metadata/annotations/example.com~1x","value":"1"}]`},
		"disagree":       {map[string]string{"b": annotate("x", "2"), "a": annotate("x", "1")}, `could not judge: it disagrees with policy "a" about /metadata/annotations/example.com~1x`},
		"not idempotent": {map[string]string{"a": `patch contains {"op": "add", "path": "/spec/ports/-", "value": {"port": 1}} if input.request.object.spec`}, "not idempotent"},
		"removes twice":  {map[string]string{"a": `patch contains {"op": "remove", "path": "/spec/type"} if input.request.operation == "CREATE"`}, "not idempotent: applied to its own result it fails: remove /spec/type"},
		"removes once":   {map[string]string{"a": `patch contains {"op": "remove", "path": "/spec/type"} if input.request.object.spec.type`}, `[{"op":"remove","path":"/spec/type"}]`},
		"no change":      {map[string]string{"a": `patch contains {"op": "replace", "path": "/spec/type", "value": "NodePort"} if input.request.object.spec`}, `[]`},
		"impossible":     {map[string]string{"a": `patch contains {"op": "remove", "path": "/spec/nothing"} if input.request.object.spec`}, "could not judge: remove /spec/nothing: apply patch"},
		"builds on another": {map[string]string{"a": annotate("x", "1"), "b": `patch contains {"op": "add", "path": "/metadata/labels/seen", "value": "yes"} if {
			input.request.object.metadata.annotations["example.com/x"] == "1"
			not input.request.object.metadata.labels.seen
		}`}, `[{"op":"add","path":"/metadata/annotations","value":{}},{"op":"add","path":"/metadata/annotations/example.com~1x","value":"1"},{"op":"add","path":"/metadata/labels","value":{}},{"op":"add","path":"/metadata/labels/seen","value":"yes"}]`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var specs []v1alpha1.GatePolicy
			for policy := range c.bodies {
				specs = append(specs, gatePolicy(policy, nil))
			}
			d := newGate(t, c.bodies, policies.Options{}, specs...).Mutate(context.Background(), create(t, nodePort))
			if strings.HasPrefix(c.want, "[") {
				operations := []engine.Operation6902{}
				for _, p := range d.Patches {
					operations = append(operations, p.Operation6902)
				}
				got, _ := json.Marshal(operations)
				var a, b any
				_ = json.Unmarshal(got, &a)
				_ = json.Unmarshal([]byte(c.want), &b)
				if !d.Allowed() || !reflect.DeepEqual(a, b) {
					t.Errorf("got  %s %+v\nwant %s", got, d.Findings, c.want)
				}
				return
			}
			if d.Allowed() || len(d.Findings) != 1 || !strings.Contains(d.Findings[0].Message, c.want) {
				t.Errorf("got  %+v\nwant %s", d, c.want)
			}
		})
	}
}

// A patch runs on CREATE, and on UPDATE only if something its rule judges changed; with action Warn it only
// says what it would do.
func TestWhenPatchesRun(t *testing.T) {
	body := map[string]string{"a": `patch contains {"op": "add", "path": "/spec/externalName", "value": "x"} if not input.request.object.spec.externalName`}
	g := newGate(t, body, policies.Options{}, gatePolicy("a", nil))
	if d := g.Mutate(context.Background(), update(t, service(`,"labels":{"a":"b"}`, `{}`), service("", `{}`))); len(d.Patches) != 0 {
		t.Errorf("an update of labels was patched: %+v", d)
	}
	if d := g.Mutate(context.Background(), update(t, service("", `{"type":"ClusterIP"}`), service("", `{}`))); len(d.Patches) != 1 {
		t.Errorf("an update of the spec was not patched: %+v", d)
	}
	warn := newGate(t, body, policies.Options{}, gatePolicy("a", func(s *v1alpha1.GatePolicySpec) { s.Action = v1alpha1.ActionWarn }))
	d := warn.Mutate(context.Background(), create(t, service("", `{}`)))
	if len(d.Patches) != 0 || !d.Allowed() || len(d.Findings) != 1 || d.Findings[0].Message != `would add /spec/externalName: "x"` || d.Findings[0].Field != "spec.externalName" {
		t.Errorf("Warn: %+v", d)
	}
}

func TestExceptions(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	exception := func(change func(*v1alpha1.GateExceptionSpec)) v1alpha1.GateException {
		e := v1alpha1.GateException{ObjectMeta: metav1.ObjectMeta{Name: "legacy"}, Spec: v1alpha1.GateExceptionSpec{
			Policies: []string{"nodeport"}, Reason: "moves in June", Expires: metav1.NewTime(now.Add(time.Minute)),
			Match: v1alpha1.ExceptionMatch{Namespaces: []string{"shop"}, Names: []string{"web"}}}}
		change(&e.Spec)
		return e
	}
	cases := map[string]struct {
		change  func(*v1alpha1.GateExceptionSpec)
		excused bool
	}{
		"excused": {func(*v1alpha1.GateExceptionSpec) {}, true},
		"expired": {func(s *v1alpha1.GateExceptionSpec) { s.Expires = metav1.NewTime(now) }, false},
		"expired, of another policy": {func(s *v1alpha1.GateExceptionSpec) {
			s.Expires, s.Policies = metav1.NewTime(now), []string{"another"}
		}, false},
		"expired, another name": {func(s *v1alpha1.GateExceptionSpec) { s.Expires, s.Match.Names = metav1.NewTime(now), []string{"we"} }, false},
		"another name":          {func(s *v1alpha1.GateExceptionSpec) { s.Match.Names = []string{"we"} }, false},
		"another kind":          {func(s *v1alpha1.GateExceptionSpec) { s.Match.Kinds = []string{"Pod"} }, false},
		"without label": {func(s *v1alpha1.GateExceptionSpec) {
			s.Match.ObjectSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}
		}, false},
		"unknown namespace": {func(s *v1alpha1.GateExceptionSpec) { s.Match.NamespaceSelector = &metav1.LabelSelector{} }, false},
	}
	for name, c := range cases {
		g := newGate(t, map[string]string{"nodeport": denyNodePort}, policies.Options{Now: func() time.Time { return now },
			Exceptions: []v1alpha1.GateException{exception(c.change)}}, gatePolicy("nodeport", nil), gatePolicy("another", func(s *v1alpha1.GatePolicySpec) {
			s.Rule, s.Match.ExcludedNamespaces = "test-nodeport", []string{"shop"}
		}))
		d := g.Review(context.Background(), create(t, nodePort))
		if said := strings.HasSuffix(d.Findings[0].Message, "; exception legacy excused it until 2026-05-01T12:00:00Z"); said != (name == "expired") {
			t.Errorf("%s: an expired exception is named: %t", name, said)
		}
		if len(d.Findings) != 1 || d.Allowed() != c.excused || (d.Findings[0].Excused == "legacy: moves in June") != c.excused {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

// What is in no namespace is in none that an exception selects.
func TestNamespaceSelectorExcusesNothingClusterScoped(t *testing.T) {
	clusterScoped := create(t, `{"apiVersion":"v1","kind":"Service","metadata":{"name":"web"},"spec":{"type":"NodePort"}}`)
	for name, c := range map[string]struct {
		match   v1alpha1.ExceptionMatch
		excused bool
	}{
		"by selector": {v1alpha1.ExceptionMatch{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"team": "a"}}}, false},
		"by name":     {v1alpha1.ExceptionMatch{Names: []string{"web"}}, true},
	} {
		g := newGate(t, map[string]string{"nodeport": denyNodePort}, policies.Options{Exceptions: []v1alpha1.GateException{{
			ObjectMeta: metav1.ObjectMeta{Name: "own"}, Spec: v1alpha1.GateExceptionSpec{
				Policies: []string{"nodeport"}, Reason: "why", Expires: metav1.NewTime(time.Now().Add(time.Hour)), Match: c.match}}}}, gatePolicy("nodeport", nil))
		if d := g.Review(context.Background(), clusterScoped); d.Allowed() != c.excused {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

// There is no gate with fewer policies than asked for.
func TestBadPolicies(t *testing.T) {
	cases := map[string]struct {
		policy v1alpha1.GatePolicy
		want   string
	}{
		"both":           {gatePolicy("nodeport", func(s *v1alpha1.GatePolicySpec) { s.Rego = "package x" }), "both rule and rego"},
		"neither":        {gatePolicy("nodeport", func(s *v1alpha1.GatePolicySpec) { s.Rule = "" }), "neither rule nor rego"},
		"unknown rule":   {gatePolicy("nodeport", func(s *v1alpha1.GatePolicySpec) { s.Rule = "test-nodport" }), `there is no rule "test-nodport"; did you mean "test-nodeport"?`},
		"unknown action": {gatePolicy("nodeport", func(s *v1alpha1.GatePolicySpec) { s.Action = "deny" }), `spec.action: "deny", want Deny, Warn or Audit`},
		"bad parameter":  {gatePolicy("nodeport", func(s *v1alpha1.GatePolicySpec) { s.Parameters = &runtime.RawExtension{Raw: []byte(`{"x":1}`)} }), "spec.parameters: additional properties 'x' not allowed"},
		"foreign kind":   {gatePolicy("nodeport", func(s *v1alpha1.GatePolicySpec) { s.Match.Kinds = []string{"Pod"} }), `spec.match.kinds[0]: "Pod": the rule test-nodeport does not judge it`},
		"foreign operation": {gatePolicy("nodeport", func(s *v1alpha1.GatePolicySpec) { s.Match.Operations = []string{"DELETE"} }),
			`spec.match.operations[0]: "DELETE": the rule test-nodeport is for CREATE, UPDATE`},
		"kind that nothing may match": {gatePolicy("nodeport", func(s *v1alpha1.GatePolicySpec) {
			s.Rule, s.Rego = "", strings.Replace(rule("x", denyNodePort), "kinds: [Service]", "kinds: [Service, coordination.k8s.io/Lease]", 1)
		}), `policy "nodeport": METADATA custom.kinds: coordination.k8s.io/Lease can't be matched: it is the cluster's heartbeat`},
		"match of a kind that nothing may match": {gatePolicy("nodeport", func(s *v1alpha1.GatePolicySpec) {
			s.Rule, s.Rego = "", strings.Replace(rule("x", denyNodePort), "kinds: [Service]", "kinds: [Service, coordination.k8s.io/Lease]", 1)
			s.Match.Kinds = []string{"Service", "coordination.k8s.io/Lease"}
		}), `policy "nodeport": spec.match.kinds[1]: coordination.k8s.io/Lease can't be matched: it is the cluster's heartbeat`},
		"bad selector": {gatePolicy("nodeport", func(s *v1alpha1.GatePolicySpec) {
			s.Match.ObjectSelector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Is"}}}
		}), "spec.match.objectSelector"},
		"bad subject": {gatePolicy("nodeport", func(s *v1alpha1.GatePolicySpec) {
			s.Match.ExcludedSubjects = []v1alpha1.Subject{{Kind: "ServiceAccount", Name: "x"}}
		}), "spec.match.excludedSubjects[0]: a ServiceAccount needs a namespace"},
	}
	for name, c := range cases {
		_, err := policies.NewGate(policies.Options{Library: library(t, map[string]string{"nodeport": denyNodePort}), Policies: []v1alpha1.GatePolicy{c.policy}})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
	}
}

// notSynced is a state that can't answer yet.
type notSynced struct{}

var errNotSynced = errors.New("not synced yet")

func (notSynced) Get(schema.GroupKind, string, string) (engine.Document, bool, error) {
	return engine.Document{}, false, errNotSynced
}

func (notSynced) List(schema.GroupKind, string) ([]engine.Document, error) { return nil, errNotSynced }

// A policy that can't be evaluated has its own action: Deny denies, Warn warns; the others keep their findings.
func TestStateThatIsNotSynced(t *testing.T) {
	bodies := map[string]string{"nodeport": denyNodePort, "asks": `deny contains "x" if count(sluice.state.list("Service", "shop")) > 100`}
	for action, want := range map[v1alpha1.Action]policies.Effect{v1alpha1.ActionDeny: policies.EffectDeny, v1alpha1.ActionWarn: policies.EffectWarn,
		v1alpha1.ActionAudit: policies.EffectAudit} {
		g := newGate(t, bodies, policies.Options{State: notSynced{}}, gatePolicy("nodeport", func(s *v1alpha1.GatePolicySpec) { s.Action = v1alpha1.ActionWarn }),
			gatePolicy("asks", func(s *v1alpha1.GatePolicySpec) { s.Action = action }))
		d := g.Review(context.Background(), create(t, nodePort))
		if len(d.Findings) != 2 || d.Findings[0].Effect != want || !d.Findings[0].Failed || !strings.Contains(d.Findings[0].Message, "not synced yet") {
			t.Errorf("%s: %+v", action, d.Findings)
		}
		if d.Findings[1].Failed || d.Findings[1].Message != "node port" {
			t.Errorf("%s: the other policy: %+v", action, d.Findings[1])
		}
		if d.Allowed() != (action != v1alpha1.ActionDeny) {
			t.Errorf("%s: allowed is %t", action, d.Allowed())
		}
	}
}

func TestGenerate(t *testing.T) {
	source := func(object string) string {
		return strings.Replace(strings.Replace(rule("gen", "generate contains "+object+" if input.request.object.metadata.name"), "[Service]", "[Namespace]", 1),
			"#   kinds", "#   generates: [networking.k8s.io/NetworkPolicy]\n#   kinds", 1)
	}
	cases := map[string]struct{ object, want string }{
		"good":            {`{"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "deny", "namespace": "shop"}}`, ""},
		"other kind":      {`{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "deny", "namespace": "shop"}}`, "does not name the kind"},
		"other namespace": {`{"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "deny", "namespace": "kube-system"}}`, "only namespace \"shop\""},
		"no name":         {`{"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {}}`, "no metadata.name"},
		"no object":       {`"x"`, "want a Kubernetes object"},
	}
	for name, c := range cases {
		l, err := engine.Load(fstest.MapFS{"gen.rego": &fstest.MapFile{Data: []byte(source(c.object))}})
		if err != nil {
			t.Fatal(err)
		}
		g, err := policies.NewGate(policies.Options{Library: l, Policies: []v1alpha1.GatePolicy{gatePolicy("gen", nil)}})
		if err != nil {
			t.Fatal(err)
		}
		objects, findings := g.Generate(context.Background(), create(t, `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"shop"}}`))
		switch {
		case c.want == "" && (len(objects) != 1 || len(findings) != 0):
			t.Errorf("%s: %v %+v", name, objects, findings)
		case c.want != "" && (len(objects) != 0 || len(findings) != 1 || !findings[0].Failed || !strings.Contains(findings[0].Message, c.want)):
			t.Errorf("%s: %v %+v", name, objects, findings)
		}
		if objects, _ := g.Generate(context.Background(), create(t, `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"kube-system"}}`)); len(objects) != 0 {
			t.Errorf("%s: an exempt namespace got %v", name, objects)
		}
	}
}

// One gate answers many requests at once, whatever set of policies each of them needs.
func TestConcurrentReviews(t *testing.T) {
	bodies := map[string]string{}
	var specs []v1alpha1.GatePolicy
	for i := range 6 {
		name := fmt.Sprintf("p%d", i)
		bodies[name] = fmt.Sprintf(`deny contains sprintf("%s says %%s", [input.request.namespace]) if input.request.object.spec.type == "NodePort"`, name)
		specs = append(specs, gatePolicy(name, func(s *v1alpha1.GatePolicySpec) { s.Match.Namespaces = []string{fmt.Sprintf("*%d*", i)} }))
	}
	g := newGate(t, bodies, policies.Options{}, specs...)
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			for n := range 64 {
				set := (n + worker*7) % 64 // a bit for each policy
				namespace := "ns"
				var want []string
				for i := range 6 {
					if set>>i&1 == 1 {
						namespace += strconv.Itoa(i)
						want = append(want, fmt.Sprintf("p%d", i))
					}
				}
				d := g.Review(context.Background(), create(t, strings.Replace(nodePort, "shop", namespace, 1)))
				var got []string
				for _, f := range d.Findings {
					if f.Message != f.Policy+" says "+namespace {
						t.Errorf("%s: %+v", namespace, f)
					}
					got = append(got, f.Policy)
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s: got %v", namespace, got)
				}
			}
		})
	}
	group.Wait()
}
