package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"k8s.io/apimachinery/pkg/runtime"
)

// parameters checks and completes the parameters of a rule's policies by the JSON Schema in its METADATA.
type parameters struct {
	source   map[string]any
	compiled *jsonschema.Schema
}

// parametersSchema is the schema of input.parameters; a rule without parameters takes none.
func (r *Rule) parametersSchema() map[string]any {
	if r.Parameters == nil {
		return map[string]any{"type": "object", "properties": map[string]any{}, "additionalProperties": false}
	}
	return r.Parameters
}

func newParameters(rule *Rule) (parameters, error) {
	p := parameters{}
	data, err := json.Marshal(rule.parametersSchema())
	if err != nil {
		return p, fmt.Errorf("encode schema: %w", err)
	}
	decoded, err := jsonschema.UnmarshalJSON(strings.NewReader(string(data)))
	if err != nil {
		return p, fmt.Errorf("decode schema: %w", err)
	}
	p.source, _ = decoded.(map[string]any)
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("parameters.json", decoded); err != nil {
		return p, fmt.Errorf("not a JSON Schema: %w", err)
	}
	if p.compiled, err = compiler.Compile("parameters.json"); err != nil {
		return p, fmt.Errorf("not a JSON Schema: %w", err)
	}
	return p, p.checkDefaults()
}

// checkDefaults refuses a schema whose own defaults it would not accept.
func (p parameters) checkDefaults() error {
	_, err := p.complete(map[string]any{})
	if err == nil || len(requiredKeys(p.source)) > 0 { // what is required can't be defaulted
		return nil
	}
	return fmt.Errorf("the defaults don't satisfy the schema: %w", err)
}

func requiredKeys(schema map[string]any) []any {
	keys, _ := schema["required"].([]any)
	return keys
}

// complete returns the given parameters with defaults filled in, or an error with the path of
// each value that the schema refuses.
func (p parameters) complete(given map[string]any) (map[string]any, error) {
	data, err := json.Marshal(given)
	if err != nil {
		return nil, fmt.Errorf("encode parameters: %w", err)
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(string(data)))
	if err != nil {
		return nil, fmt.Errorf("decode parameters: %w", err)
	}
	if value == nil {
		value = map[string]any{}
	}
	withDefaults(value, p.source)
	if err := p.compiled.Validate(value); err != nil {
		return nil, p.refusal(err)
	}
	object, _ := value.(map[string]any)
	return object, nil
}

func withDefaults(value any, schema map[string]any) {
	object, ok := value.(map[string]any)
	properties, hasProperties := schema["properties"].(map[string]any)
	if items, isList := value.([]any); isList {
		itemSchema, _ := schema["items"].(map[string]any)
		for _, item := range items {
			withDefaults(item, itemSchema)
		}
	}
	if !ok || !hasProperties {
		return
	}
	for name, sub := range properties {
		subSchema, _ := sub.(map[string]any)
		if _, given := object[name]; !given {
			fallback, has := subSchema["default"]
			if !has {
				continue
			}
			object[name] = runtime.DeepCopyJSONValue(fallback)
		}
		withDefaults(object[name], subSchema)
	}
}

// refusal names each refused value by its field path in a GatePolicy, as kubectl users know them. What only a condition
// of the schema refuses (then, else) comes with the description that stands there, if any.
func (p parameters) refusal(err error) error {
	var invalid *jsonschema.ValidationError
	if !errors.As(err, &invalid) {
		return err
	}
	var errs []error
	printer := message.NewPrinter(language.English)
	var walk func(*jsonschema.ValidationError)
	walk = func(e *jsonschema.ValidationError) {
		if len(e.Causes) == 0 {
			path := strings.Join(append([]string{"spec", "parameters"}, e.InstanceLocation...), ".")
			text := e.ErrorKind.LocalizedString(printer)
			if why := p.conditionText(e.SchemaURL); why != "" {
				text += ": " + why
			} else if meant := p.meant(e.ErrorKind); meant != "" {
				text += "; " + meant
			}
			errs = append(errs, fmt.Errorf("%s: %s", path, text))
		}
		for _, cause := range e.Causes {
			walk(cause)
		}
	}
	walk(invalid)
	return errors.Join(errs...)
}

// pointerEscapes are undone in a key of a JSON pointer.
var pointerEscapes = strings.NewReplacer("~1", "/", "~0", "~")

// conditionText is the description of the schema at a URL that ends in a JSON pointer, if it is below a condition.
func (p parameters) conditionText(url string) string {
	_, pointer, _ := strings.Cut(url, "#/")
	keys := strings.Split(pointer, "/")
	if !slices.Contains(keys, "then") && !slices.Contains(keys, "else") {
		return ""
	}
	node := p.source
	for _, key := range keys {
		node, _ = node[pointerEscapes.Replace(key)].(map[string]any)
	}
	text, _ := node["description"].(string)
	return strings.TrimSpace(text)
}
