package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/engine"
)

func served() meta.RESTMapper {
	m := meta.NewDefaultRESTMapper([]schema.GroupVersion{{Group: "networking.k8s.io", Version: "v1"}, {Version: "v1"}, {Group: "apps", Version: "v1"}})
	for _, k := range []struct {
		group, version, kind string
		scope                meta.RESTScope
	}{
		{"networking.k8s.io", "v1", "Ingress", meta.RESTScopeNamespace},
		{"", "v1", "Service", meta.RESTScopeNamespace},
		{"networking.k8s.io", "v1", "Widget", meta.RESTScopeNamespace},
		{"", "v1", "Namespace", meta.RESTScopeRoot},
		{"", "v1", "Pod", meta.RESTScopeNamespace},
		{"networking.k8s.io", "v1", "NetworkPolicy", meta.RESTScopeNamespace},
		{"apps", "v1", "Deployment", meta.RESTScopeNamespace},
	} {
		m.Add(schema.GroupVersionKind{Group: k.group, Version: k.version, Kind: k.kind}, k.scope)
	}
	return m
}

var (
	ingress    = schema.GroupKind{Group: "networking.k8s.io", Kind: "Ingress"}
	service    = schema.GroupKind{Kind: "Service"}
	widget     = schema.GroupKind{Group: "networking.k8s.io", Kind: "Widget"}
	pod        = schema.GroupKind{Kind: "Pod"}
	deployment = schema.GroupKind{Group: "apps", Kind: "Deployment"}
	gateway    = schema.GroupKind{Group: "gateway.networking.k8s.io", Kind: "Gateway"}
)

func judging(kinds []schema.GroupKind, operations ...engine.Operation) policies.Interest {
	return policies.Interest{Policy: "p", Kinds: kinds, Operations: operations, Judges: true}
}

// text writes rules as group/version resources operations scope, one a line.
func text(rules []admissionv1.RuleWithOperations) string {
	var lines []string
	for _, r := range rules {
		lines = append(lines, fmt.Sprintf("%s/%s %s %s %s", r.APIGroups, r.APIVersions, r.Resources, r.Operations, *r.Scope))
	}
	return strings.Join(lines, "\n")
}

func TestRulesSendWhatPoliciesWantAndNothingElse(t *testing.T) {
	patching := policies.Interest{Policy: "q", Kinds: []schema.GroupKind{ingress}, Operations: []engine.Operation{engine.Update, engine.Delete}, Patches: true}
	status := judging([]schema.GroupKind{service}, engine.Update)
	status.Subresources = []string{"status"}
	generating := policies.Interest{Policy: "g", Kinds: []schema.GroupKind{{Kind: "Namespace"}}, Operations: []engine.Operation{engine.Create},
		Generates: []schema.GroupKind{{Group: "networking.k8s.io", Kind: "NetworkPolicy"}}}
	rules, unserved, err := rulesFor([]policies.Interest{
		judging([]schema.GroupKind{ingress, service}, engine.Update, engine.Create), judging([]schema.GroupKind{ingress}, engine.Delete),
		patching, status, generating, judging([]schema.GroupKind{pod, deployment}, engine.Create), judging([]schema.GroupKind{gateway}, engine.Create),
	}, served())
	if err != nil {
		t.Fatal(err)
	}
	for h, want := range map[hook]string{
		{}:                               "[networking.k8s.io]/[v1] [ingresses] [CREATE DELETE UPDATE] Namespaced",
		{core: true}:                     "[]/[v1] [services services/status] [CREATE UPDATE] Namespaced",
		{workload: true}:                 "[]/[v1] [pods] [CREATE] Namespaced\n[apps]/[v1] [deployments] [CREATE] Namespaced",
		{mutating: true}:                 "[networking.k8s.io]/[v1] [ingresses] [UPDATE] Namespaced",
		{mutating: true, workload: true}: "",
	} {
		if got := text(rules[h]); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", h.name(), got, want)
		}
	}
	if !slices.Equal(unserved, []schema.GroupKind{gateway}) {
		t.Errorf("unserved %v", unserved)
	}
}

// What only some policies want part of is sent by the entry with the conditions, unless another policy wants all of it:
// then by the other entry alone, which sends it once.
func TestHostNetworkHasAnEntryOfItsOwn(t *testing.T) {
	narrow := judging([]schema.GroupKind{pod, deployment}, engine.Create, engine.Update)
	narrow.Only = engine.HostNetwork
	for name, c := range map[string]struct {
		others []policies.Interest
		want   map[hook]string
	}{
		"alone": {nil, map[hook]string{
			{workload: true, only: engine.HostNetwork}: "[]/[v1] [pods] [CREATE UPDATE] Namespaced\n[apps]/[v1] [deployments] [CREATE UPDATE] Namespaced",
		}},
		"beside a policy for all Deployments": {[]policies.Interest{judging([]schema.GroupKind{deployment}, engine.Delete)}, map[hook]string{
			{workload: true, only: engine.HostNetwork}: "[]/[v1] [pods] [CREATE UPDATE] Namespaced",
			{workload: true}: "[apps]/[v1] [deployments] [CREATE DELETE UPDATE] Namespaced",
		}},
		"beside a policy for Services": {[]policies.Interest{judging([]schema.GroupKind{service}, engine.Create)}, map[hook]string{
			{workload: true, only: engine.HostNetwork}: "[]/[v1] [pods] [CREATE UPDATE] Namespaced\n[apps]/[v1] [deployments] [CREATE UPDATE] Namespaced",
			{core: true}: "[]/[v1] [services] [CREATE] Namespaced",
		}},
	} {
		for _, interests := range [][]policies.Interest{append([]policies.Interest{narrow}, c.others...), append(slices.Clone(c.others), narrow)} {
			rules, _, err := rulesFor(interests, served())
			if err != nil {
				t.Fatal(err)
			}
			for _, h := range hooks() {
				if got := text(rules[h]); got != c.want[h] {
					t.Errorf("%s: %s:\n%s\nwant\n%s", name, h.name(), got, c.want[h])
				}
			}
		}
	}
	patching := narrow
	patching.Patches = true
	rules, _, _ := rulesFor([]policies.Interest{patching}, served())
	if got := text(rules[hook{mutating: true, workload: true}]); !strings.Contains(got, "pods") {
		t.Errorf("patches are not sent: %q", got)
	}
}

// Whoever asks for what leaves a namespaceSelector gets updates of Namespaces, and not what else happens to them.
func TestRulesSendWhatLeaves(t *testing.T) {
	leaving := judging([]schema.GroupKind{ingress}, engine.Update, engine.Delete)
	leaving.Leaving = true
	rules, _, err := rulesFor([]policies.Interest{leaving}, served())
	const want = "[]/[v1] [namespaces] [UPDATE] Cluster\n[networking.k8s.io]/[v1] [ingresses] [DELETE UPDATE] Namespaced"
	if got := text(rules[hook{core: true}]) + "\n" + text(rules[hook{}]); err != nil || got != want {
		t.Errorf("%s, %v\nwant\n%s", got, err, want)
	}
}

func TestNoPoliciesSendNothing(t *testing.T) {
	if rules, unserved, err := rulesFor(nil, served()); len(rules)+len(unserved) != 0 || err != nil {
		t.Errorf("%v, %v, %v", rules, unserved, err)
	}
}

func TestCovers(t *testing.T) {
	rules, _, _ := rulesFor([]policies.Interest{judging([]schema.GroupKind{ingress, {Group: ingress.Group, Kind: "NetworkPolicy"}}, engine.Create, engine.Update)}, served())
	present := rules[hook{}]
	for name, c := range map[string]struct {
		interest policies.Interest
		want     bool
	}{
		"the same":          {judging([]schema.GroupKind{ingress}, engine.Create, engine.Update), true},
		"less":              {judging([]schema.GroupKind{{Group: ingress.Group, Kind: "NetworkPolicy"}}, engine.Create), true},
		"another operation": {judging([]schema.GroupKind{ingress}, engine.Create, engine.Delete), false},
		"another kind":      {judging([]schema.GroupKind{widget}, engine.Create), false},
	} {
		wanted, _, _ := rulesFor([]policies.Interest{c.interest}, served())
		if got := covers(present, wanted[hook{}][0]); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	anything := admissionv1.AllScopes
	wide := admissionv1.RuleWithOperations{Operations: []admissionv1.OperationType{"*"},
		Rule: admissionv1.Rule{APIGroups: []string{"*"}, APIVersions: []string{"*"}, Resources: []string{"*"}, Scope: &anything}}
	if !covers([]admissionv1.RuleWithOperations{wide}, present[0]) {
		t.Error("a rule of wildcards covers everything")
	}
}

// unreachable is a RESTMapper whose API server does not answer.
type unreachable struct{ meta.RESTMapper }

var errUnreachable = errors.New("connection refused")

func (unreachable) RESTMapping(schema.GroupKind, ...string) (*meta.RESTMapping, error) {
	return nil, errUnreachable
}

func TestRulesAreUnknownWhileNobodySaysWhatIsServed(t *testing.T) {
	if rules, _, err := rulesFor([]policies.Interest{judging([]schema.GroupKind{ingress}, engine.Create)}, unreachable{}); !errors.Is(err, errUnreachable) {
		t.Errorf("rules %v, error %v", rules, err)
	}
}

// A rule without operations would be refused by the API server, and with it the rules of all other policies.
func TestPatchesOnDeletionSendNothing(t *testing.T) {
	patching := policies.Interest{Policy: "q", Kinds: []schema.GroupKind{ingress}, Operations: []engine.Operation{engine.Delete}, Judges: true, Patches: true}
	rules, _, err := rulesFor([]policies.Interest{patching}, served())
	if err != nil {
		t.Fatal(err)
	}
	if got := text(rules[hook{mutating: true}]); got != "" {
		t.Errorf("mutating: %s", got)
	}
	if got, want := text(rules[hook{}]), "[networking.k8s.io]/[v1] [ingresses] [DELETE] Namespaced"; got != want {
		t.Errorf("validating: %s, want %s", got, want)
	}
}

// What is kept is sent by entries of its own, and pods only where a policy holds them.
func TestRulesThatKeepWhatIsGenerated(t *testing.T) {
	generating := policies.Interest{Policy: "g", Kinds: []schema.GroupKind{namespaceKind}, Operations: []engine.Operation{engine.Create},
		Generates: []schema.GroupKind{{Group: "networking.k8s.io", Kind: "NetworkPolicy"}}}
	const guarded = "[networking.k8s.io]/[v1] [networkpolicies] [CREATE DELETE UPDATE] Namespaced"
	for _, c := range []struct {
		name   string
		change func(*policies.Interest)
		want   map[hook]string
	}{
		{"only told of", func(*policies.Interest) {}, map[hook]string{}},
		{"kept", func(i *policies.Interest) { i.Keeps = true }, map[hook]string{{keeps: guardGenerated}: guarded}},
		{"and pods wait", func(i *policies.Interest) { i.Keeps, i.HoldsPods = true, true }, map[hook]string{
			{keeps: guardGenerated}:  guarded,
			{keeps: guardNamespaces}: "[]/[v1] [namespaces namespaces/finalize namespaces/status] [CREATE UPDATE] Cluster",
			{keeps: guardPods}:       "[]/[v1] [pods] [UPDATE] Namespaced",
			holdHook():               "[]/[v1] [pods] [CREATE] Namespaced",
		}},
	} {
		i := generating
		c.change(&i)
		rules, _, err := rulesFor([]policies.Interest{i}, served())
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range hooks() {
			if got := text(rules[h]); got != c.want[h] {
				t.Errorf("%s: %s: got %q, want %q", c.name, h.name(), got, c.want[h])
			}
		}
	}
}

// The rules of the hook that holds pods come when all namespaces are marked, and stay while Sluice may let pods go.
func TestWhenPodsAreHeld(t *testing.T) {
	some := []admissionv1.RuleWithOperations{{}}
	failure := errors.New("not known")
	for _, c := range []struct {
		what              string
		isThere           bool
		unmarked, missing string
		markErr, rightErr error
		wantHeld          bool
		wantWaiting       string
		wantAgain         time.Duration
	}{
		{"a namespace is not marked", false, "shop", "", nil, nil, false, "namespace shop lacks", marksRetry},
		{"all are marked", false, "", "", nil, nil, true, "", readyCheck},
		{"there already", true, "shop", "", failure, nil, true, "", readyCheck},
		{"marks are not known", false, "", "", failure, nil, false, "", readyCheck},
		{"rights are missing", false, "", "patch pods", nil, nil, false, "Sluice may not patch pods, and so no pod waits", notReadyRetry},
		{"rights were taken away", true, "", "patch pods", nil, nil, false, "Sluice may not patch pods", notReadyRetry},
		{"rights are not known", false, "", "", nil, failure, false, "", readyCheck},
		{"rights are not known any more", true, "", "", nil, failure, true, "", 0},
	} {
		i := Interceptor{Unmarked: func() (string, error) { return c.unmarked, c.markErr }, MissingToHold: func(context.Context) (string, error) { return c.missing, c.rightErr }}
		present, wanted := map[hook][]admissionv1.RuleWithOperations{}, map[hook][]admissionv1.RuleWithOperations{holdHook(): some, {}: some}
		if c.isThere {
			present[holdHook()] = some
		}
		waiting, again, err := i.mayHold(t.Context(), present, wanted)
		if failed := c.rightErr != nil || c.markErr != nil && !c.isThere; (err != nil) != failed {
			t.Errorf("%s: %v", c.what, err)
		}
		if held := len(wanted[holdHook()]) > 0; held != c.wantHeld || !strings.Contains(waiting, c.wantWaiting) || (waiting == "") != (c.wantWaiting == "") || again != c.wantAgain {
			t.Errorf("%s: held %v, %q, again in %s", c.what, held, waiting, again)
		}
		if len(wanted[hook{}]) == 0 {
			t.Errorf("%s: another hook has lost its rules", c.what)
		}
	}
}
