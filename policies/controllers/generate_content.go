package controllers

import (
	"encoding/json"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

// contentOf is what an object says, in a form that is the same for the same content: all fields but metadata, status and
// type, without those that are null or an empty list. An empty object stays: as a selector it selects everything.
func contentOf(object map[string]any) (string, error) {
	content := map[string]any{}
	for _, key := range contentKeys(object) {
		content[key] = object[key]
	}
	encoded, err := json.Marshal(withoutEmpty(content))
	if err != nil {
		return "", fmt.Errorf("encode an object: %w", err)
	}
	return string(encoded), nil
}

// contentKeys are the fields of an object that say something: all but its type, metadata and status.
func contentKeys(object map[string]any) []string {
	var out []string
	for key := range object {
		if !slices.Contains([]string{"apiVersion", "kind", "metadata", "status"}, key) {
			out = append(out, key)
		}
	}
	return out
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

// saysAll tells whether what the API server keeps says all that was sent, and lists nothing that was not; it may add fields, as
// defaults do.
func saysAll(kept, sent map[string]any) bool {
	for _, key := range contentKeys(sent) {
		if !saysAllOf(kept[key], sent[key]) {
			return false
		}
	}
	return true
}

func saysAllOf(kept, sent any) bool {
	switch s := sent.(type) {
	case nil:
		return isEmptyList(kept)
	case map[string]any:
		k, ok := kept.(map[string]any)
		if !ok {
			return false
		}
		for key, inner := range s {
			if !saysAllOf(k[key], inner) {
				return false
			}
		}
		return true
	case []any:
		k, ok := kept.([]any)
		if len(s) == 0 {
			return isEmptyList(kept)
		}
		if !ok || len(k) != len(s) {
			return false
		}
		for i := range s {
			if !saysAllOf(k[i], s[i]) {
				return false
			}
		}
		return true
	}
	return fmt.Sprint(kept) == fmt.Sprint(sent) // a number may be of another type
}

func isEmptyList(x any) bool {
	list, isList := x.([]any)
	return x == nil || isList && len(list) == 0
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
