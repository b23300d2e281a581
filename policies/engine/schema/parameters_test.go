package schema_test

import (
	"encoding/json"
	"testing"
)

func TestParameters(t *testing.T) {
	const closed = `"type": "object", "additionalProperties": false`
	tests := []struct {
		name   string
		schema string
		body   string
		passes bool
	}{
		{"declared", `{` + closed + `, "properties": {"a": {"type": "string"}}}`, `input.parameters.a == "x"`, true},
		{"undeclared", `{` + closed + `, "properties": {"a": {"type": "string"}}}`, `input.parameters.b == "x"`, false},
		{"of another type", `{` + closed + `, "properties": {"a": {"type": "string"}}}`, `input.parameters.a == 1`, false},
		{"undeclared, silent about others", `{"properties": {"a": {"type": "string"}}}`, `input.parameters.b == "x"`, false},
		{"others allowed", `{"properties": {"a": {}}, "additionalProperties": true}`, `input.parameters.b == "x"`, true},
		{"others have a schema", `{"properties": {"a": {}}, "additionalProperties": {"type": "string"}}`, `input.parameters.b == "x"`, true},
		{"others have a pattern", `{"properties": {"a": {}}, "patternProperties": {"^x-": {}}}`, `input.parameters["x-b"] == "x"`, true},
		{"unknown fields preserved", `{"properties": {"a": {}}, "x-kubernetes-preserve-unknown-fields": true}`, `input.parameters.b == "x"`, true},
		{"no fields at all", `{` + closed + `}`, `input.parameters.a`, false},
		{"any object", `{"type": "object"}`, `input.parameters.a`, true},
		{"any value", `true`, `input.parameters.a`, true},
		{"map", `{"properties": {"m": {"type": "object", "additionalProperties": {"type": "string"}}}}`, `input.parameters.m.k == "x"`, true},
		{"list of objects", `{"properties": {"l": {"type": "array", "items": {"properties": {"a": {}}}}}}`, `input.parameters.l[_].a`, true},
		{"list of objects, typo", `{"properties": {"l": {"type": "array", "items": {"properties": {"a": {}}}}}}`, `input.parameters.l[_].b`, false},
		{"several types", `{"properties": {"a": {"type": ["string", "integer"]}}}`, `input.parameters.a == 1`, true},
		{"none of several types", `{"properties": {"a": {"type": ["string", "integer"]}}}`, `input.parameters.a == true`, false},
		{"nullable", `{"properties": {"a": {"type": ["string", "null"]}}}`, `input.parameters.a == null`, true},
		{"int or string", `{"properties": {"a": {"x-kubernetes-int-or-string": true}}}`, `input.parameters.a == "http"`, true},
		{"oneOf", `{"properties": {"a": {"oneOf": [{"properties": {"b": {}}}, {"type": "string"}]}}}`, `input.parameters.a.b`, true},
		{"oneOf, typo", `{"properties": {"a": {"oneOf": [{"properties": {"b": {}}}, {"type": "string"}]}}}`, `input.parameters.a.c`, false},
		{"allOf isn't followed", `{"properties": {"a": {"allOf": [{"type": "string"}, {"type": "object"}]}}}`, `input.parameters.a.c`, true},
		{"reference isn't followed", `{"properties": {"a": {"$ref": "#/definitions/missing"}}}`, `input.parameters.a.c`, true},
		{"constraints", `{"properties": {"a": {"type": "string", "pattern": "(?<n>bad", "default": 1, "enum": ["x"]}}}`, `input.parameters.a == "x"`, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var decoded any
			if err := json.Unmarshal([]byte(test.schema), &decoded); err != nil {
				t.Fatal(err)
			}
			err := compile(t, kindsOf(ingress), decoded, test.body)
			if passes := err == nil; passes != test.passes {
				t.Errorf("passes = %t, want %t: %v", passes, test.passes, err)
			}
		})
	}
}
