package manifest

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	kjson "sigs.k8s.io/json"
)

// Options say where an object goes.
type Options struct {
	// Namespace is for namespaced objects that state none; empty means default,
	// as for kubectl.
	Namespace string
}

// Decoded is an object as the API server hands it to a validating webhook.
type Decoded struct {
	// JSON has defaults filled in and empty fields dropped, if Known; else it is
	// what the author wrote.
	JSON []byte
	// Known says whether the kind is one that Sluice decodes. Other kinds are
	// passed through unchecked.
	Known bool
	// Namespace is where the object goes; empty for cluster-scoped kinds. For
	// kinds that aren't known it is what the author wrote.
	Namespace string
}

// Decode checks an object against its API type, applies the API server's defaults
// and validates what rules rely on. With problems, the result is the zero Decoded:
// such an object can't be judged. Problems are sorted by position.
func Decode(object *Object, options Options) (Decoded, []Problem) {
	k, known := lookupKind(object.APIVersion, object.Kind)
	if !known {
		if message := unserved(object.APIVersion, object.Kind); message != "" {
			return Decoded{}, []Problem{object.Problem("apiVersion", message)}
		}
		return Decoded{JSON: object.JSON, Namespace: object.Namespace}, nil
	}
	typed := k.fresh()
	if problems := decodeInto(object, typed); len(problems) > 0 {
		sortProblems(problems)
		return Decoded{}, problems
	}
	switch {
	case !k.namespaced:
		typed.SetNamespace("")
	case typed.GetNamespace() == "" && options.Namespace != "":
		typed.SetNamespace(options.Namespace)
	case typed.GetNamespace() == "":
		typed.SetNamespace(metav1.NamespaceDefault)
	}
	k.defaults(typed)
	errs := append(validateMetadata(typed, k), k.validate(typed)...)
	if len(errs) > 0 {
		problems := fieldProblems(object, errs)
		sortProblems(problems)
		return Decoded{}, problems
	}
	stored, err := storedJSON(typed)
	if err != nil {
		return Decoded{}, []Problem{object.Problem("", err.Error())}
	}
	return Decoded{JSON: stored, Known: true, Namespace: typed.GetNamespace()}, nil
}

// decodeInto decodes strictly. The walk over the type finds everything at once
// and knows where; the decoder of the API server has the last word.
func decodeInto(object *Object, into metav1.Object) []Problem {
	value, err := decodeAny(object.JSON)
	if err != nil {
		return []Problem{object.Problem("", err.Error())}
	}
	check := strictCheck{object: object}
	check.value(value, reflect.TypeOf(into).Elem(), "")
	problems := append(check.problems, badKeys(object)...)
	if len(problems) > 0 {
		return problems
	}
	strict, err := kjson.UnmarshalStrict(object.JSON, into)
	for _, e := range append(strict, err) {
		if e != nil {
			problems = append(problems, object.Problem("", fmt.Sprintf("not a %s: %v", object.Kind, e)))
		}
	}
	return problems
}

// badKeys reports keys that YAML reads as a number or a boolean. kubectl turns
// them into strings that may not be what was written (`on` becomes "true").
func badKeys(object *Object) []Problem {
	var problems []Problem
	var walk func(node *yaml.Node)
	walk = func(node *yaml.Node) {
		for i, child := range node.Content {
			walk(child)
			if node.Kind != yaml.MappingNode || i%2 == 1 || isMerge(child) || child.Kind != yaml.ScalarNode {
				continue
			}
			if child.Style == 0 && !isWord(child.Value) && !isPlainString(child.Value) {
				problems = append(problems, object.doc.problem(child, "",
					fmt.Sprintf("key %s is read as something other than a string; quote it", child.Value)))
			}
		}
	}
	if object.node != nil && !object.doc.part.json {
		walk(object.node)
	}
	return problems
}

// isWord says, without parsing, that a text can't be a number, a boolean or null: it begins with a letter and is none of the
// words that YAML 1.1 has for them.
func isWord(text string) bool {
	if text == "" || (text[0]|0x20) < 'a' || (text[0]|0x20) > 'z' {
		return false
	}
	if len(text) > len("false") {
		return true
	}
	switch strings.ToLower(text) {
	case "y", "n", "yes", "no", "on", "off", "true", "false", "null":
		return false
	}
	return true
}

// fieldProblems puts validation errors at their fields.
func fieldProblems(object *Object, errs field.ErrorList) []Problem {
	problems := make([]Problem, 0, len(errs))
	for _, e := range errs {
		problems = append(problems, object.Problem(e.Field, lowerFirst(e.ErrorBody())))
	}
	return problems
}

func lowerFirst(text string) string {
	if text == "" || text[0] < 'A' || text[0] > 'Z' {
		return text
	}
	return string(text[0]-'A'+'a') + text[1:]
}

// storedJSON marshals an object as the API server does, without the fields that
// Go prints although they are empty: null timestamps and an empty status.
func storedJSON(object metav1.Object) ([]byte, error) {
	text, err := json.Marshal(object)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", object.GetName(), err)
	}
	value, err := decodeAny(text)
	if err != nil {
		return nil, err
	}
	fields, ok := withoutNulls(value).(map[string]any)
	if !ok {
		return nil, fmt.Errorf("encode %s: not an object", object.GetName())
	}
	if isEmpty(fields["status"]) {
		delete(fields, "status")
	}
	return json.Marshal(fields)
}

// withoutNulls drops map entries that are null, at any depth.
func withoutNulls(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for key, entry := range v {
			if entry == nil {
				delete(v, key)
				continue
			}
			v[key] = withoutNulls(entry)
		}
	case []any:
		for i := range v {
			v[i] = withoutNulls(v[i])
		}
	}
	return value
}

// isEmpty says whether a value holds nothing: zeros, empty strings, and mappings
// of such. A status that says only `replicas: 0` is one that nobody wrote.
func isEmpty(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case json.Number:
		return v.String() == "0"
	case []any:
		return len(v) == 0
	case map[string]any:
		for _, entry := range v {
			if !isEmpty(entry) {
				return false
			}
		}
		return true
	}
	return false
}
