package check

import (
	"slices"
	"testing"

	"github.com/sluice-gate/sluice/policies/engine"
)

// Applied is what server-side apply of the generator does.
func TestApplied(t *testing.T) {
	const np = `"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "x", "namespace": "shop"}`
	for _, c := range []struct {
		name, existing, generated string
		spec                      string // afterwards
		fields                    []string
	}{
		{"the same", `{` + np + `, "spec": {"podSelector": {}, "policyTypes": ["Ingress"]}}`,
			`{` + np + `, "spec": {"podSelector": {}, "policyTypes": ["Ingress"]}}`, `{"podSelector": {}, "policyTypes": ["Ingress"]}`, nil},
		{"an empty list is no list", `{` + np + `, "spec": {"podSelector": {}, "policyTypes": ["Ingress"]}}`,
			`{` + np + `, "spec": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": []}}`, `{"podSelector": {}, "policyTypes": ["Ingress"]}`, nil},
		{"an empty list takes away", `{` + np + `, "spec": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{}]}}`,
			`{` + np + `, "spec": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": []}}`, `{"podSelector": {}, "policyTypes": ["Ingress"]}`, []string{"spec.ingress"}},
		{"what is not named stays", `{` + np + `, "spec": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{}]}}`,
			`{` + np + `, "spec": {"podSelector": {}}}`, `{"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{}]}`, nil},
		{"lists are replaced", `{` + np + `, "spec": {"podSelector": {}, "policyTypes": ["Ingress"]}}`,
			`{` + np + `, "spec": {"podSelector": {}, "policyTypes": ["Egress"]}}`, `{"podSelector": {}, "policyTypes": ["Egress"]}`, []string{"spec.policyTypes"}},
		{"selectors are replaced", `{` + np + `, "spec": {"podSelector": {"matchLabels": {"a": "b"}}, "policyTypes": ["Ingress"]}}`,
			`{` + np + `, "spec": {"podSelector": {}}}`, `{"podSelector": {}, "policyTypes": ["Ingress"]}`, []string{"spec.podSelector"}},
		{"labels are added", `{"apiVersion": "example.com/v1", "kind": "Own", "metadata": {"name": "x", "labels": {"a/1": "b", "c": "d"}}, "spec": {"x": 1}}`,
			`{"apiVersion": "example.com/v1", "kind": "Own", "metadata": {"name": "x", "labels": {"a/1": "c"}}}`, `{"x": 1}`, []string{`metadata.labels["a/1"]`}},
		{"a value becomes a map", `{"apiVersion": "example.com/v1", "kind": "Own", "metadata": {"name": "x"}, "spec": 1}`,
			`{"apiVersion": "example.com/v1", "kind": "Own", "metadata": {"name": "x"}, "spec": {"x": {"y": [1]}}}`, `{"x": {"y": [1]}}`, []string{"spec"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			after, fields, err := Applied(parsed(t, c.existing), parsed(t, c.generated))
			if err != nil || !slices.Equal(fields, c.fields) || !after.Get("spec").Equal(parsed(t, c.spec)) {
				t.Errorf("got %v, %q, %v", after, fields, err)
			}
			again, fields, err := Applied(after, parsed(t, c.generated))
			if err != nil || len(fields) > 0 || !again.Equal(after) {
				t.Errorf("once more: %v, %q, %v", again, fields, err)
			}
		})
	}
	if _, _, err := Applied(parsed(t, `{`+np+`}`), parsed(t, `{`+np+`, "spec": {"podSelektor": {}}}`)); err == nil {
		t.Error("what is generated has to be valid")
	}
}

func parsed(t *testing.T, text string) engine.Document {
	t.Helper()
	d, err := engine.ParseJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}
