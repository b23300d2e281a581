package controllers

import (
	"encoding/json"
	"fmt"
	"reflect"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

// contentOf is what an object says, in a form that is the same for the same content: all fields but metadata, status and
// type, without those that are null or an empty list. An empty object stays: as a selector it selects everything.
func contentOf(object map[string]any) (string, error) {
	content := map[string]any{}
	for key, value := range object {
		switch key {
		case "apiVersion", "kind", "metadata", "status":
		default:
			content[key] = value
		}
	}
	encoded, err := json.Marshal(withoutEmpty(content))
	if err != nil {
		return "", fmt.Errorf("encode an object: %w", err)
	}
	return string(encoded), nil
}

func withoutEmpty(x any) any {
	switch value := x.(type) {
	case map[string]any:
		out := make(map[string]any, len(value))
		for key, inner := range value {
			if list, isList := inner.([]any); inner == nil || isList && len(list) == 0 {
				continue
			}
			out[key] = withoutEmpty(inner)
		}
		return out
	case []any:
		out := make([]any, len(value))
		for i, inner := range value {
			out[i] = withoutEmpty(inner)
		}
		return out
	}
	return x
}

// saysAll tells whether what the API server keeps says all that was asked for; it may add defaults to it. Both are in the form
// of contentOf.
func saysAll(kept, asked string) bool {
	var k, a any
	return json.Unmarshal([]byte(kept), &k) == nil && json.Unmarshal([]byte(asked), &a) == nil && saysAllOf(k, a)
}

func saysAllOf(kept, asked any) bool {
	switch a := asked.(type) {
	case map[string]any:
		k, ok := kept.(map[string]any)
		if !ok {
			return false
		}
		for key, inner := range a {
			if !saysAllOf(k[key], inner) {
				return false
			}
		}
		return true
	case []any:
		k, ok := kept.([]any)
		if !ok || len(k) != len(a) {
			return false
		}
		for i := range a {
			if !saysAllOf(k[i], a[i]) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(kept, asked)
}

// isMarked tells whether an object has the labels, annotations and owners that another one has. Further labels and annotations
// are no business of the policy; whose owner goes, goes too. The policy's generation is that at which the object was written
// last: a change of the policy that asks for the same writes nothing.
func isMarked(kept, asked *unstructured.Unstructured) bool {
	return hasAll(kept.GetLabels(), asked.GetLabels()) && hasAll(kept.GetAnnotations(), asked.GetAnnotations()) &&
		sameOwners(kept.GetOwnerReferences(), asked.GetOwnerReferences())
}

func hasAll(kept, asked map[string]string) bool {
	for key, value := range asked {
		if was, there := kept[key]; !there || was != value && key != v1alpha1.PolicyGenerationAnnotation {
			return false
		}
	}
	return true
}

func sameOwners(kept, asked []metav1.OwnerReference) bool {
	if len(kept) != len(asked) {
		return false
	}
	for i := range asked {
		if kept[i].UID != asked[i].UID || kept[i].Kind != asked[i].Kind || kept[i].Name != asked[i].Name {
			return false
		}
	}
	return true
}
