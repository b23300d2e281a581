package state

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/sluice-gate/sluice/policies/engine"
)

// readLarge reads as much of an Ingress as tells its hosts. There may be Ingresses with more in them than a review may have, and
// because of one nobody's hosts could be judged. What can't be read is no document, whose hosts are unknown.
func readLarge(ingress *unstructured.Unstructured) engine.Document {
	document, err := engine.FromGo(withoutPaths(ingress))
	if err != nil {
		return engine.Document{}
	}
	return document
}

// withoutPaths is an Ingress less its paths and backends, of which no host depends, and less its certificates. What is
// not as the API has it stays.
func withoutPaths(ingress *unstructured.Unstructured) map[string]any {
	metadata := map[string]any{"namespace": ingress.GetNamespace(), "name": ingress.GetName(), "uid": string(ingress.GetUID()),
		"generation": ingress.GetGeneration(), "resourceVersion": ingress.GetResourceVersion(), "annotations": ingress.GetAnnotations()}
	spec, _ := ingress.Object["spec"].(map[string]any)
	kept := map[string]any{}
	for _, field := range []string{"ingressClassName", "rules"} {
		if value, is := spec[field]; is {
			kept[field] = value
		}
	}
	if _, is := spec["defaultBackend"].(map[string]any); is {
		kept["defaultBackend"] = map[string]any{}
	}
	if rules, are := spec["rules"].([]any); are {
		hosts := make([]any, len(rules))
		for i, rule := range rules {
			hosts[i] = rule
			if fields, is := rule.(map[string]any); is {
				hosts[i] = map[string]any{"host": fields["host"]}
			}
		}
		kept["rules"] = hosts
	}
	return map[string]any{"apiVersion": ingress.GetAPIVersion(), "kind": ingress.GetKind(), "metadata": metadata, "spec": kept}
}
