// Package schema says which fields a rule may read, so that a misspelt one is a compile error.
//
// The schemas of Kubernetes kinds are generated from the OpenAPI specification of the
// k8s.io/kubernetes release that test/schemagen/go.mod requires, in the subset of JSON Schema that
// OPA's type checker reads (github.com/open-policy-agent/opa v1.22, v1/ast/compile.go,
// schemaParser): type, properties, items, anyOf, and $ref within one document. To OPA an object
// with properties is closed, whatever additionalProperties says, and one without is open.
package schema

//go:generate go run -C ../../../test/schemagen . -out ../../policies/engine/schema

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	metaschema "k8s.io/apimachinery/pkg/runtime/schema"
)

//go:embed definitions.json kinds/*.json
var files embed.FS

const (
	definitionsFile = "definitions.json"
	kindsDir        = "kinds"
	// coreGroup stands for the empty group in file names and definitions.
	coreGroup = "core"
	refPrefix = "#/definitions/"
)

// object is a decoded JSON Schema.
type object = map[string]any

// Schemas holds the schema of every known kind. It is immutable and safe for concurrent use; its
// zero value knows no kind.
type Schemas struct {
	kinds       map[metaschema.GroupKind]object
	definitions object
}

// Load decodes the embedded schemas, about 90 KB. Callers keep the result.
func Load() (*Schemas, error) {
	s := &Schemas{kinds: map[metaschema.GroupKind]object{}}
	if err := decode(definitionsFile, &s.definitions); err != nil {
		return nil, err
	}
	entries, err := files.ReadDir(kindsDir)
	if err != nil {
		return nil, fmt.Errorf("list schemas: %w", err)
	}
	for _, entry := range entries {
		group, kind, ok := strings.Cut(strings.TrimSuffix(entry.Name(), ".json"), "_")
		if !ok {
			return nil, fmt.Errorf("schema %s: want <group>_<Kind>.json", entry.Name())
		}
		if group == coreGroup {
			group = ""
		}
		var decoded object
		if err := decode(path.Join(kindsDir, entry.Name()), &decoded); err != nil {
			return nil, err
		}
		s.kinds[metaschema.GroupKind{Group: group, Kind: kind}] = decoded
	}
	return s, nil
}

func decode(name string, into *object) error {
	text, err := files.ReadFile(name)
	if err != nil {
		return fmt.Errorf("read schema: %w", err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("decode schema %s: %w", name, err)
	}
	return nil
}

// Known reports whether objects of the kind are type-checked.
func (s *Schemas) Known(kind metaschema.GroupKind) bool {
	_, ok := s.kinds[kind]
	return ok
}

// Kinds returns the known kinds, sorted by group and kind.
func (s *Schemas) Kinds() []metaschema.GroupKind {
	return slices.SortedFunc(maps.Keys(s.kinds), func(a, b metaschema.GroupKind) int {
		if a.Group != b.Group {
			return strings.Compare(a.Group, b.Group)
		}
		return strings.Compare(a.Kind, b.Kind)
	})
}

// Input returns the schema of the whole input of a rule for the kinds: {request, namespace,
// leaves, parameters}. It goes to a compiler that checks this rule alone, as the root schema
// (ast.SchemaRootRef); no annotation in the rule is needed. Genuine sorts the compiler's errors.
//
// request.object and request.oldObject have the fields of any of the kinds; if one of the kinds is
// unknown (a custom resource, or the body of a subresource such as Scale), they have any field.
// parameters is the rule's JSON Schema for parameters, decoded, or nil for a rule that takes none;
// see checkable for what is read of it. Input errs when kinds is empty or parameters is not a
// schema.
//
// The result is the caller's to pass on, not to modify: it shares parts with s.
func (s *Schemas) Input(kinds []metaschema.GroupKind, parameters any) (map[string]any, error) {
	if len(kinds) == 0 {
		return nil, errors.New("input schema: no kinds")
	}
	parametersSchema, err := parametersOf(parameters)
	if err != nil {
		return nil, fmt.Errorf("input schema: %w", err)
	}

	definitions := object{}
	body := s.union(kinds, definitions)
	properties := object{
		"request":   request(body),
		"namespace": s.kind(metaschema.GroupKind{Kind: "Namespace"}, definitions),
		"leaves":    object{"type": "boolean"},
	}
	if parametersSchema != nil {
		properties["parameters"] = parametersSchema
	}
	return object{
		"type":        "object",
		"properties":  properties,
		"definitions": definitions,
	}, nil
}

// union returns the schema of an object of one of the kinds.
func (s *Schemas) union(kinds []metaschema.GroupKind, definitions object) object {
	alternatives := make([]any, 0, len(kinds))
	for _, kind := range kinds {
		if !s.Known(kind) {
			return object{}
		}
		alternatives = append(alternatives, s.kind(kind, definitions))
	}
	if len(alternatives) == 1 {
		return alternatives[0].(object)
	}
	return object{"anyOf": alternatives}
}

// kind returns a reference to the schema of a kind, which it adds to definitions with all that
// it refers to. An unknown kind may have any field.
func (s *Schemas) kind(kind metaschema.GroupKind, definitions object) object {
	schema, ok := s.kinds[kind]
	if !ok {
		return object{}
	}
	group := kind.Group
	if group == "" {
		group = coreGroup
	}
	name := group + "_" + kind.Kind
	if _, done := definitions[name]; !done {
		definitions[name] = schema
		s.addReferred(schema, definitions)
	}
	return object{"$ref": refPrefix + name}
}

// addReferred adds to definitions what the schema refers to, directly or not.
func (s *Schemas) addReferred(schema any, definitions object) {
	switch schema := schema.(type) {
	case object:
		for key, value := range schema {
			target, isText := value.(string)
			if key != "$ref" || !isText {
				s.addReferred(value, definitions)
				continue
			}
			name := strings.TrimPrefix(target, refPrefix)
			if _, done := definitions[name]; !done {
				definitions[name] = s.definitions[name]
				s.addReferred(s.definitions[name], definitions)
			}
		}
	case []any:
		for _, item := range schema {
			s.addReferred(item, definitions)
		}
	}
}
