package schema

import "fmt"

// parametersOf returns the schema to check input.parameters against, or nil for no parameters:
// any reference to them is then an error. OPA has no schema for an object without fields, hence
// the absence.
func parametersOf(schema any) (object, error) {
	switch schema := schema.(type) {
	case nil:
		return nil, nil
	case object:
		properties, _ := schema["properties"].(object)
		if len(properties) == 0 && schema["additionalProperties"] == false {
			return nil, nil
		}
		return checkable(schema), nil
	case bool:
		return checkable(schema), nil
	}
	return nil, fmt.Errorf("parameters: a JSON Schema is an object, not %T", schema)
}

// checkable returns what OPA's type checker can use of a JSON Schema, and never less than the
// schema allows, with one exception: an object that lists properties and is silent about
// additionalProperties is closed, because reading a parameter that nobody listed is a mistake.
//
// Constraints on values (enum, pattern, minimum, default) are the business of whoever validates
// parameters and are left out, so that OPA doesn't reject a schema for them. $ref, allOf and not
// aren't followed: they allow any value. So do null and what is no schema.
func checkable(schema any) object {
	node, ok := schema.(object)
	if !ok {
		return object{}
	}
	for _, keyword := range []string{"$ref", "allOf", "not"} {
		if _, used := node[keyword]; used {
			return object{}
		}
	}
	for _, keyword := range []string{"anyOf", "oneOf"} {
		if alternatives, ok := node[keyword].([]any); ok {
			return anyOf(alternatives)
		}
	}
	if node["x-kubernetes-int-or-string"] == true {
		return anyOf([]any{object{"type": "integer"}, object{"type": "string"}})
	}
	switch types := node["type"].(type) {
	case string:
		return typed(types, node)
	case []any:
		alternatives := make([]any, 0, len(types))
		for _, name := range types {
			name, _ := name.(string)
			alternatives = append(alternatives, typed(name, node))
		}
		return anyOf(alternatives)
	}
	if _, ok := node["properties"]; ok {
		return typed("object", node)
	}
	return object{}
}

// anyOf returns the union of the alternatives, or any value if there are none.
func anyOf(alternatives []any) object {
	if len(alternatives) == 0 {
		return object{}
	}
	union := make([]any, 0, len(alternatives))
	for _, alternative := range alternatives {
		union = append(union, checkable(alternative))
	}
	return object{"anyOf": union}
}

// typed returns the schema of the values of one JSON type that node describes.
func typed(name string, node object) object {
	switch name {
	case "string", "boolean", "integer", "number":
		return object{"type": name}
	case "array":
		return list(checkable(node["items"]))
	case "object":
		properties, _ := node["properties"].(object)
		if len(properties) == 0 || isOpen(node) {
			return open()
		}
		fields := make(object, len(properties))
		for field, schema := range properties {
			fields[field] = checkable(schema)
		}
		return closed(fields)
	}
	return object{}
}

// isOpen reports whether an object says that it has fields beside its properties.
func isOpen(node object) bool {
	if node["x-kubernetes-preserve-unknown-fields"] == true || node["patternProperties"] != nil {
		return true
	}
	additional, stated := node["additionalProperties"]
	return stated && additional != false
}
