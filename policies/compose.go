package policies

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sluice-gate/sluice/policies/engine"
)

// Compose is the request that an API server would send for an object that comes from elsewhere: a file, or
// the cluster's own state. On DELETE object is the one that goes; old is for UPDATE only. There is no user.
func Compose(operation engine.Operation, object, old engine.Document) (Request, error) {
	gv, err := schema.ParseGroupVersion(object.Get("apiVersion").Text())
	if err != nil {
		return Request{}, fmt.Errorf("apiVersion: %w", err)
	}
	gvk := gv.WithKind(object.Get("kind").Text())
	resource, _ := meta.UnsafeGuessKindToResource(gvk)
	namespace, name := object.Get("metadata", "namespace").Text(), object.Get("metadata", "name").Text()
	if gvk.Group == "" && gvk.Kind == "Namespace" {
		namespace = name
	}
	kind := map[string]any{"group": gvk.Group, "version": gvk.Version, "kind": gvk.Kind}
	names := map[string]any{"group": resource.Group, "version": resource.Version, "resource": resource.Resource}
	fields := map[string]any{
		"uid": strings.Join([]string{string(operation), gvk.Kind, namespace, name}, "-"), "kind": kind, "requestKind": kind,
		"resource": names, "requestResource": names, "name": name, "namespace": namespace,
		"operation": operation, "userInfo": map[string]any{}, "dryRun": false, "object": nil, "oldObject": nil,
	}
	if operation == engine.Delete {
		fields["oldObject"] = object
	} else {
		fields["object"] = object
	}
	if operation == engine.Update {
		fields["oldObject"] = old
	}
	raw, err := engine.FromGo(fields)
	if err != nil {
		return Request{}, err
	}
	return NewRequest(raw)
}
