package schema_test

import (
	"encoding/json"
	"reflect"
	"testing"

	metaschema "k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sluice-gate/sluice/policies/engine/schema"
)

func load(t testing.TB) *schema.Schemas {
	t.Helper()
	schemas, err := schema.Load()
	if err != nil {
		t.Fatal(err)
	}
	return schemas
}

func TestKinds(t *testing.T) {
	want := []metaschema.GroupKind{
		{Kind: "Namespace"},
		{Kind: "Pod"},
		{Kind: "ReplicationController"},
		{Kind: "Service"},
		{Group: "apps", Kind: "DaemonSet"},
		{Group: "apps", Kind: "Deployment"},
		{Group: "apps", Kind: "ReplicaSet"},
		{Group: "apps", Kind: "StatefulSet"},
		{Group: "batch", Kind: "CronJob"},
		{Group: "batch", Kind: "Job"},
		{Group: "networking.k8s.io", Kind: "Ingress"},
		{Group: "networking.k8s.io", Kind: "IngressClass"},
		{Group: "networking.k8s.io", Kind: "NetworkPolicy"},
	}
	schemas := load(t)
	if got := schemas.Kinds(); !reflect.DeepEqual(got, want) {
		t.Errorf("Kinds() = %v, want %v", got, want)
	}
	for _, kind := range want {
		if !schemas.Known(kind) {
			t.Errorf("Known(%v) = false", kind)
		}
	}
	for _, kind := range []metaschema.GroupKind{gateway, {Kind: "Ingress"}, {Group: "core", Kind: "Pod"}, {}} {
		if schemas.Known(kind) {
			t.Errorf("Known(%v) = true", kind)
		}
	}
}

// TestInputIsSelfContained follows every reference of every kind's input.
func TestInputIsSelfContained(t *testing.T) {
	schemas := load(t)
	for _, kind := range schemas.Kinds() {
		input, err := schemas.Input(kindsOf(kind), nil)
		if err != nil {
			t.Fatal(err)
		}
		definitions := input["definitions"].(map[string]any)
		for name, definition := range definitions {
			if definition == nil {
				t.Errorf("%v refers to %s, which is missing", kind, name)
			}
		}
		if err := compileWith(t, input, `input.request.object.metadata.name == "a"`); err != nil {
			t.Errorf("%v: %v", kind, err)
		}
	}
}

// TestInputHoldsWhatItNeeds keeps a rule for NetworkPolicies from paying for the pod template.
func TestInputHoldsWhatItNeeds(t *testing.T) {
	input, err := load(t).Input(kindsOf(networkPolicy), nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(input)
	if err != nil {
		t.Fatal(err)
	}
	if len(text) > 10_000 {
		t.Errorf("the schema takes %d bytes", len(text))
	}
}

func TestInputRefuses(t *testing.T) {
	schemas := load(t)
	if _, err := schemas.Input(nil, nil); err == nil {
		t.Error("no kinds: no error")
	}
	if _, err := schemas.Input(kindsOf(ingress), "object"); err == nil {
		t.Error("parameters that are no schema: no error")
	}
}

func TestZeroSchemasKnowNothing(t *testing.T) {
	var schemas schema.Schemas
	input, err := schemas.Input(kindsOf(ingress), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := compileWith(t, input, `input.request.object.spec.tlss`); err != nil {
		t.Errorf("an unknown kind is checked: %v", err)
	}
}
