package policies_test

import (
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/profile"
	"github.com/sluice-gate/sluice/policies/state"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

// Who may claim which hosts can't be changed by whoever may edit a Namespace, and nothing else of a Namespace is guarded.
func TestGuardOfHostsAnnotation(t *testing.T) {
	set, err := profile.Load(profile.Options{Name: "baseline"})
	if err != nil {
		t.Fatal(err)
	}
	annotators := &runtime.RawExtension{Raw: []byte(`{"annotators": [{"kind": "Group", "name": "platform"}]}`)}
	known := state.NewFiles()
	gate, err := set.With([]v1alpha1.GatePolicy{{ObjectMeta: metav1.ObjectMeta{Name: "ingress-hosts-allowed"},
		Spec: v1alpha1.GatePolicySpec{Rule: "ingress-hosts-allowed", Parameters: annotators}}}).Gate(policies.Options{State: known, Namespaces: known})
	if err != nil {
		t.Fatal(err)
	}
	const plain, labelled, annotated = `{}`, `{"labels": {"a": "b"}}`, `{"annotations": {"policy.sluice.dev/hosts": "bank.example.com"}}`
	for _, c := range []struct {
		operation, before, after, group string
		denied                          bool
	}{
		{"UPDATE", plain, annotated, "shop", true},
		{"UPDATE", annotated, plain, "shop", true},
		{"UPDATE", plain, annotated, "platform", false},
		{"UPDATE", plain, labelled, "shop", false},
		{"UPDATE", annotated, annotated, "shop", false},
		{"CREATE", "", annotated, "shop", true},
		{"CREATE", "", annotated, "platform", false},
		{"CREATE", "", plain, "shop", false},
	} {
		object := func(metadata string) string {
			if metadata == "" {
				return "null"
			}
			return fmt.Sprintf(`{"apiVersion": "v1", "kind": "Namespace", "metadata": %s}`, metadata)
		}
		raw, err := engine.ParseJSON(fmt.Appendf(nil, `{"uid": "1", "kind": {"group": "", "version": "v1", "kind": "Namespace"}, "operation": %q,
			"name": "shop", "namespace": "shop", "userInfo": {"username": "ann", "groups": [%q]}, "object": %s, "oldObject": %s}`,
			c.operation, c.group, object(c.after), object(c.before)))
		if err != nil {
			t.Fatal(err)
		}
		r, err := policies.NewRequest(raw)
		if err != nil {
			t.Fatal(err)
		}
		findings := gate.Review(t.Context(), r).Findings
		if denied := len(findings) == 1 && findings[0].Effect == policies.EffectDeny; denied != c.denied || !denied && len(findings) > 0 {
			t.Errorf("%s %s to %s by %s: %+v", c.operation, c.before, c.after, c.group, findings)
		}
	}
}

// Classes are names. A glob would match none, and refuse every Ingress that it was to allow.
func TestAllowedClassIsNoGlob(t *testing.T) {
	set, err := profile.Load(profile.Options{Name: "baseline"})
	if err != nil {
		t.Fatal(err)
	}
	for class, good := range map[string]bool{"nginx": true, "*": false, "nginx-*": false, "": false} {
		parameters := &runtime.RawExtension{Raw: fmt.Appendf(nil, `{"classes": [{"classes": [%q]}]}`, class)}
		known := state.NewFiles()
		_, err := set.With([]v1alpha1.GatePolicy{{ObjectMeta: metav1.ObjectMeta{Name: "ingress-class-allowed"},
			Spec: v1alpha1.GatePolicySpec{Rule: "ingress-class-allowed", Parameters: parameters}}}).Gate(policies.Options{State: known, Namespaces: known})
		if (err == nil) != good {
			t.Errorf("class %q: %v", class, err)
		}
	}
}
