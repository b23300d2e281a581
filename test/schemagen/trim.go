package main

import (
	"fmt"
	"strings"
)

// kinds are the kinds whose rules are type-checked, each in the version the API server stores
// and sends to webhooks that ask for it.
var kinds = []groupVersionAndKind{
	{Group: "", Version: "v1", Kind: "Namespace"},
	{Group: "", Version: "v1", Kind: "Pod"},
	{Group: "", Version: "v1", Kind: "ReplicationController"},
	{Group: "", Version: "v1", Kind: "Service"},
	{Group: "apps", Version: "v1", Kind: "DaemonSet"},
	{Group: "apps", Version: "v1", Kind: "Deployment"},
	{Group: "apps", Version: "v1", Kind: "ReplicaSet"},
	{Group: "apps", Version: "v1", Kind: "StatefulSet"},
	{Group: "batch", Version: "v1", Kind: "CronJob"},
	{Group: "batch", Version: "v1", Kind: "Job"},
	{Group: "networking.k8s.io", Version: "v1", Kind: "Ingress"},
	{Group: "networking.k8s.io", Version: "v1", Kind: "IngressClass"},
	{Group: "networking.k8s.io", Version: "v1", Kind: "NetworkPolicy"},
}

// dropped are fields that rules can't see: the webhook's decoder skips managedFields.
var dropped = map[string]string{
	"io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta": "managedFields",
}

const refPrefix = "#/definitions/"

// schema is a JSON Schema in the subset that OPA's type checker reads: type, properties, items,
// anyOf and $ref to #/definitions. An object without properties is open; one with properties is
// closed.
type schema = map[string]any

// trimmer collects the definitions that trimmed schemas refer to.
type trimmer struct {
	spec        spec
	definitions map[string]schema
}

// node returns the schema of one node of the specification. It errs on a keyword whose meaning
// would be lost, so that a new kind of schema in Kubernetes is noticed.
func (t *trimmer) node(n node) (schema, error) {
	switch {
	case len(n.AllOf)+len(n.AnyOf)+len(n.OneOf) > 0:
		return nil, fmt.Errorf("allOf, anyOf and oneOf are not supported")
	case n.PreserveAll:
		return schema{}, nil
	case n.Ref != "":
		return t.ref(strings.TrimPrefix(n.Ref, refPrefix))
	case n.Format == "int-or-string":
		return schema{"anyOf": []any{schema{"type": "integer"}, schema{"type": "string"}}}, nil
	case n.Type == "array" && n.Items != nil:
		items, err := t.node(*n.Items)
		if err != nil {
			return nil, fmt.Errorf("items: %w", err)
		}
		return schema{"type": "array", "items": items}, nil
	case len(n.Properties) > 0:
		return t.object(n.Properties, "")
	case n.Type != "":
		return schema{"type": n.Type}, nil
	}
	return schema{}, nil
}

// object returns a closed object without the field named drop.
func (t *trimmer) object(properties map[string]node, drop string) (schema, error) {
	trimmed := schema{}
	for name, property := range properties {
		if name == drop {
			continue
		}
		child, err := t.node(property)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		trimmed[name] = child
	}
	return schema{"type": "object", "properties": trimmed}, nil
}

// ref returns a reference to a definition of closed objects, or what a scalar definition says in
// its place. A definition may refer to itself.
func (t *trimmer) ref(name string) (schema, error) {
	definition, ok := t.spec[name]
	if !ok {
		return nil, fmt.Errorf("definition %q is missing", name)
	}
	if len(definition.Properties) == 0 {
		return t.node(definition)
	}
	if _, done := t.definitions[name]; !done {
		t.definitions[name] = nil
		trimmed, err := t.object(definition.Properties, dropped[name])
		if err != nil {
			return nil, fmt.Errorf("definition %q: %w", name, err)
		}
		t.definitions[name] = trimmed
	}
	return schema{"$ref": refPrefix + name}, nil
}

// find returns the definition of a kind.
func (s spec) find(kind groupVersionAndKind) (node, error) {
	for _, definition := range s {
		for _, served := range definition.GroupVersion {
			// Types that every group serves, such as DeleteOptions, list many.
			if served == kind && len(definition.GroupVersion) == 1 {
				return definition, nil
			}
		}
	}
	return node{}, fmt.Errorf("no definition for %s/%s %s", kind.Group, kind.Version, kind.Kind)
}
