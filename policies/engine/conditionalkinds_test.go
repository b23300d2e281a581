package engine_test

import (
	"reflect"
	"strings"
	"testing"
	"testing/fstest"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sluice-gate/sluice/policies/engine"
)

// asking is a rule that looks for a DaemonSet when told to.
func asking(state string) fstest.MapFS {
	return fstest.MapFS{"asks.rego": {Data: []byte(`# METADATA
# title: T
# description: D
# custom:
#   severity: low
#   kinds: [Service]
#   state: ` + state + `
#   parameters:
#     type: object
#     properties: {mode: {type: string, default: ""}, deep: {type: boolean, default: false}, n: {type: integer, default: 0}}
#     additionalProperties: false
package sluice.test.asks

deny contains "x" if {
	input.parameters.mode == "auto"
	sluice.state.get("apps/DaemonSet", "kube-system", "x")
}
`)}}
}

func TestStateUnderParameters(t *testing.T) {
	library, err := engine.Load(asking(`[{kind: apps/DaemonSet, if: {mode: auto, deep: true}}, Namespace]`))
	if err != nil {
		t.Fatal(err)
	}
	rule, _ := library.Rule("test-asks")
	daemonSet, namespace := schema.GroupKind{Group: "apps", Kind: "DaemonSet"}, schema.GroupKind{Kind: "Namespace"}
	if all := []schema.GroupKind{namespace, daemonSet}; !reflect.DeepEqual(rule.State, all) {
		t.Errorf("a rule asks about %v, want %v", rule.State, all)
	}
	for _, c := range []struct {
		given map[string]any
		want  []schema.GroupKind
	}{
		{nil, []schema.GroupKind{namespace}},
		{map[string]any{"mode": "auto"}, []schema.GroupKind{namespace}},
		{map[string]any{"deep": true}, []schema.GroupKind{namespace}},
		{map[string]any{"mode": "auto", "deep": true}, []schema.GroupKind{namespace, daemonSet}},
	} {
		complete, err := rule.CompleteParameters(c.given)
		if err != nil {
			t.Fatal(err)
		}
		for range 20 { // conditions have no order
			if got := rule.StateUnder(complete); !reflect.DeepEqual(got, c.want) {
				t.Fatalf("%v: %v, want %v", c.given, got, c.want)
			}
		}
	}
}

func TestBadConditionsOfState(t *testing.T) {
	for state, want := range map[string]string{
		`apps/DaemonSet`:                   "custom.state: want a list",
		`[daemonsets]`:                     `custom.state: "daemonsets": want group/Kind`,
		`[{if: {mode: a}}]`:                "custom.state: want group/Kind, or {kind",
		`[{kind: apps/DaemonSet}]`:         "custom.state: want group/Kind, or {kind",
		`[{kind: apps/DaemonSet, if: {}}]`: "custom.state: want group/Kind, or {kind",
		`[{kind: apps/DaemonSet, if: {mode: a}, unless: x}]`:                                     "custom.state: want group/Kind, or {kind",
		`[{kind: apps/DaemonSet, if: {n: 1}}]`:                                                   "custom.state: want group/Kind, or {kind",
		`[{kind: apps/DaemonSet, if: {mood: auto}}]`:                                             "custom.state: apps/DaemonSet: there is no parameter mood",
		`[{kind: daemonsets, if: {mode: auto}}]`:                                                 `custom.state: "daemonsets": want group/Kind`,
		`[{kind: apps/DaemonSet, if: {mode: auto}}, {kind: apps/DaemonSet, if: {mode: always}}]`: "apps/DaemonSet is named twice",
		`[apps/DaemonSet, {kind: apps/DaemonSet, if: {mode: auto}}]`:                             "apps/DaemonSet is named twice",
		`[{kind: apps/DaemonSet, if: {mode: auto}}, apps/DaemonSet]`:                             "apps/DaemonSet is named twice",

		`[{kind: apps/StatefulSet, if: {mode: auto}}, Service]`: "name apps/DaemonSet under custom.state",
	} {
		if _, err := engine.Load(asking(state)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: want an error with %q, got %v", state, want, err)
		}
	}
}

// making is a rule that looks for a DaemonSet and generates kinds, each when told to.
func making(generates string) fstest.MapFS {
	return fstest.MapFS{"makes.rego": {Data: []byte(`# METADATA
# title: T
# description: D
# custom:
#   severity: low
#   kinds: [Namespace]
#   state: [{kind: apps/DaemonSet, if: {deep: true}}]
#   generates: ` + generates + `
#   parameters:
#     type: object
#     properties: {flavour: {type: string, default: NetworkPolicy}, deep: {type: boolean, default: false}}
#     additionalProperties: false
package sluice.test.makes

generate contains {} if {
	input.parameters.deep
	sluice.state.get("apps/DaemonSet", "kube-system", "x")
}
`)}}
}

func TestGeneratesUnderParameters(t *testing.T) {
	library, err := engine.Load(making(`[{kind: cilium.io/CiliumNetworkPolicy, if: {flavour: Cilium}}, ConfigMap,
#     {kind: networking.k8s.io/NetworkPolicy, if: {flavour: NetworkPolicy}}]`))
	if err != nil {
		t.Fatal(err)
	}
	rule, _ := library.Rule("test-makes")
	cilium, configMap := schema.GroupKind{Group: "cilium.io", Kind: "CiliumNetworkPolicy"}, schema.GroupKind{Kind: "ConfigMap"}
	networkPolicy, daemonSet := schema.GroupKind{Group: "networking.k8s.io", Kind: "NetworkPolicy"}, schema.GroupKind{Group: "apps", Kind: "DaemonSet"}
	if all := []schema.GroupKind{cilium, configMap, networkPolicy}; !reflect.DeepEqual(rule.Generates, all) {
		t.Errorf("a rule generates %v, want %v", rule.Generates, all)
	}
	for _, c := range []struct {
		given            map[string]any
		generates, state []schema.GroupKind
	}{
		{nil, []schema.GroupKind{configMap, networkPolicy}, nil},
		{map[string]any{"flavour": "Cilium"}, []schema.GroupKind{cilium, configMap}, nil},
		{map[string]any{"flavour": "Cilium", "deep": true}, []schema.GroupKind{cilium, configMap}, []schema.GroupKind{daemonSet}},
		{map[string]any{"flavour": "Calico", "deep": true}, []schema.GroupKind{configMap}, []schema.GroupKind{daemonSet}},
	} {
		complete, err := rule.CompleteParameters(c.given)
		if err != nil {
			t.Fatal(err)
		}
		if got := rule.GeneratesUnder(complete); !reflect.DeepEqual(got, c.generates) {
			t.Errorf("%v: generates %v, want %v", c.given, got, c.generates)
		}
		if got := rule.StateUnder(complete); !reflect.DeepEqual(got, c.state) {
			t.Errorf("%v: asks about %v, want %v", c.given, got, c.state)
		}
	}
}

func TestBadConditionsOfGenerates(t *testing.T) {
	for generates, want := range map[string]string{
		`ConfigMap`:                   "custom.generates: want a list",
		`[configmaps]`:                `custom.generates: "configmaps": want group/Kind`,
		`[{kind: ConfigMap, if: {}}]`: "custom.generates: want group/Kind, or {kind",
		`[{kind: ConfigMap, if: {flavor: Cilium}}]`:        "custom.generates: ConfigMap: there is no parameter flavor",
		`[ConfigMap, {kind: ConfigMap, if: {deep: true}}]`: "custom.generates: ConfigMap is named twice",
		`[{kind: Secret, if: {deep: true}}]`:               "custom.generates: Secret can't be generated",
	} {
		if _, err := engine.Load(making(generates)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: want an error with %q, got %v", generates, want, err)
		} else if strings.Contains(err.Error(), "custom.state") {
			t.Errorf("%s: the error is not about the state: %v", generates, err)
		}
	}
}
