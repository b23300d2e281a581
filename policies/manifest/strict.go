package manifest

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/sluice-gate/sluice/policies/spelling"
)

// strictCheck compares a decoded JSON value with a Go type and reports unknown
// fields and wrong types, all of them, each with its path.
type strictCheck struct {
	object   *Object
	problems []Problem
}

func (c *strictCheck) report(path, message string) {
	c.problems = append(c.problems, c.object.Problem(path, message))
}

// expect reports a value of the wrong type.
func (c *strictCheck) expect(path, expected string, value any) {
	message := fmt.Sprintf("expected %s, got %s", expected, showJSON(value))
	if text, ok := value.(string); ok {
		_, err := strconv.ParseFloat(text, 64)
		_, boolErr := strconv.ParseBool(text)
		if err == nil && strings.Contains(expected, "integer") || boolErr == nil && expected == "true or false" {
			message += "; remove the quotes"
		}
	} else if expected == "a string" && isScalar(value) {
		message += "; quote it"
	}
	c.report(path, message)
}

func isScalar(value any) bool {
	switch value.(type) {
	case bool, json.Number:
		return true
	}
	return false
}

// value checks one value. null stands for an absent field everywhere.
func (c *strictCheck) value(value any, t reflect.Type, path string) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if value == nil {
		return
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()) {
		c.custom(value, t, path)
		return
	}
	switch t.Kind() {
	case reflect.Struct:
		c.structure(value, t, path)
	case reflect.Map:
		fields, ok := value.(map[string]any)
		if !ok {
			c.expect(path, "a mapping", value)
			return
		}
		for _, key := range sortedKeys(fields) {
			c.value(fields[key], t.Elem(), path+"["+key+"]")
		}
	case reflect.Slice:
		c.slice(value, t, path)
	default:
		c.scalar(value, t.Kind(), path)
	}
}

func (c *strictCheck) structure(value any, t reflect.Type, path string) {
	fields, ok := value.(map[string]any)
	if !ok {
		c.expect(path, "a mapping", value)
		return
	}
	known := jsonFields(t)
	for _, key := range sortedKeys(fields) {
		child := joinField(path, key)
		if fieldType, ok := known[key]; ok {
			c.value(fields[key], fieldType, child)
			continue
		}
		c.report(child, fmt.Sprintf("unknown field %q%s", child, suggest(key, sortedKeys(known))))
	}
}

func (c *strictCheck) slice(value any, t reflect.Type, path string) {
	if t.Elem().Kind() == reflect.Uint8 {
		if _, ok := value.(string); !ok {
			c.expect(path, "base64 text", value)
		}
		return
	}
	items, ok := value.([]any)
	if !ok {
		c.expect(path, "a list", value)
		return
	}
	for i, item := range items {
		c.value(item, t.Elem(), fmt.Sprintf("%s[%d]", path, i))
	}
}

func (c *strictCheck) scalar(value any, kind reflect.Kind, path string) {
	switch kind {
	case reflect.String:
		if _, ok := value.(string); !ok {
			c.expect(path, "a string", value)
		}
	case reflect.Bool:
		if _, ok := value.(bool); !ok {
			c.expect(path, "true or false", value)
		}
	case reflect.Int, reflect.Int32, reflect.Int64:
		number, ok := value.(json.Number)
		n, err := strconv.ParseInt(number.String(), 10, 64)
		if !ok || err != nil {
			c.expect(path, "an integer", value)
		} else if kind == reflect.Int32 && (n > math.MaxInt32 || n < math.MinInt32) {
			c.expect(path, "an integer of at most 32 bits", value)
		}
	case reflect.Float32, reflect.Float64:
		if _, ok := value.(json.Number); !ok {
			c.expect(path, "a number", value)
		}
	}
}

// custom checks types that read their own JSON: times, quantities, ports.
func (c *strictCheck) custom(value any, t reflect.Type, path string) {
	text, err := json.Marshal(value)
	if err == nil {
		err = json.Unmarshal(text, reflect.New(t).Interface())
	}
	if t == reflect.TypeFor[intstr.IntOrString]() {
		if _, isString := value.(string); err != nil || !isString && !isScalar(value) {
			c.expect(path, "an integer or a name", value)
		}
		return
	}
	if err != nil {
		c.report(path, fmt.Sprintf("not a valid %s: %s", t.Name(), showJSON(value)))
	}
}

// jsonFields are the fields of a struct by their JSON names, those of inlined
// structs included.
func jsonFields(t reflect.Type) map[string]reflect.Type {
	fields := map[string]reflect.Type{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-" || !f.IsExported():
		case name == "" && (f.Anonymous || strings.Contains(options, "inline")):
			inner := f.Type
			if inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			for k, v := range jsonFields(inner) {
				fields[k] = v
			}
		case name != "":
			fields[name] = f.Type
		}
	}
	return fields
}

// suggest is the end of an unknown field's message: the field that was probably
// meant, or the fields there are if they are few.
func suggest(name string, known []string) string {
	const few = 8
	switch suggestion := spelling.Suggest(name, known); {
	case suggestion != "":
		return suggestion
	case len(known) > 0 && len(known) <= few:
		return "; fields here are " + strings.Join(known, ", ")
	}
	return ""
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
