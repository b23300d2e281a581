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
