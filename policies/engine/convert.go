package engine

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Decode fills into, a pointer to a struct with json tags such as a k8s.io/api type, from the document,
// without writing JSON in between. Unknown keys are passed over; a value of the wrong type is an
// error with its path.
func (d Document) Decode(into any) error {
	if d.value == nil {
		return fmt.Errorf("decode %T: there is no document", into)
	}
	target := reflect.ValueOf(into).Elem()
	if err := decoderOf(target.Type())(d.value, target); err != nil {
		return fmt.Errorf("decode %s: %w", target.Type().Name(), err)
	}
	return nil
}

// decoder sets target, which is settable, from a value.
type decoder func(v ast.Value, target reflect.Value) error

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

// decoderOf builds a decoder for a type. Building costs more than decoding, so facts keep theirs.
func decoderOf(t reflect.Type) decoder {
	if reflect.PointerTo(t).Implements(unmarshaler) {
		return decodeByJSON
	}
	switch t.Kind() {
	case reflect.Pointer:
		return pointerDecoder(t)
	case reflect.Struct:
		return structDecoder(t)
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return decodeByJSON
		}
		return sliceDecoder(t)
	case reflect.Map:
		if t == reflect.TypeFor[map[string]string]() {
			return decodeStrings
		}
		return mapDecoder(t)
	case reflect.String:
		return decodeString
	case reflect.Bool:
		return decodeBool
	case reflect.Int, reflect.Int32, reflect.Int64:
		return decodeInt
	}
	return decodeByJSON
}

func wrongType(want string, v ast.Value) error {
	return fmt.Errorf("want %s, found %s %.60s", want, ast.ValueName(v), v)
}

func at(key string, err error) error {
	return fmt.Errorf("%s: %w", key, err)
}

func isNull(v ast.Value) bool {
	_, null := v.(ast.Null)
	return null
}

func decodeByJSON(v ast.Value, target reflect.Value) error {
	data, err := Document{v}.MarshalJSON()
	if err != nil {
		return err
	}
	return json.Unmarshal(data, target.Addr().Interface())
}

func decodeString(v ast.Value, target reflect.Value) error {
	s, err := stringOf(v)
	if err == nil {
		target.SetString(s)
	}
	return err
}

func stringOf(v ast.Value) (string, error) {
	s, ok := v.(ast.String)
	if !ok && !isNull(v) {
		return "", wrongType("a string", v)
	}
	return string(s), nil
}

func decodeBool(v ast.Value, target reflect.Value) error {
	b, ok := v.(ast.Boolean)
	if !ok && !isNull(v) {
		return wrongType("a boolean", v)
	}
	target.SetBool(bool(b))
	return nil
}

func decodeInt(v ast.Value, target reflect.Value) error {
	if isNull(v) {
		return nil
	}
	number, _ := v.(ast.Number)
	n, ok := number.Int64()
	if !ok || target.OverflowInt(n) {
		return wrongType("an integer", v)
	}
	target.SetInt(n)
	return nil
}

func pointerDecoder(t reflect.Type) decoder {
	elem := decoderOf(t.Elem())
	return func(v ast.Value, target reflect.Value) error {
		if isNull(v) {
			return nil
		}
		target.Set(reflect.New(t.Elem()))
		return elem(v, target.Elem())
	}
}

func sliceDecoder(t reflect.Type) decoder {
	elem := decoderOf(t.Elem())
	return func(v ast.Value, target reflect.Value) error {
		if isNull(v) {
			return nil
		}
		array, ok := v.(*ast.Array)
		if !ok {
			return wrongType("an array", v)
		}
		target.Set(reflect.MakeSlice(t, array.Len(), array.Len()))
		for i := range array.Len() {
			if err := elem(array.Elem(i).Value, target.Index(i)); err != nil {
				return at(strconv.Itoa(i), err)
			}
		}
		return nil
	}
}

func mapDecoder(t reflect.Type) decoder {
	elem := decoderOf(t.Elem())
	return func(v ast.Value, target reflect.Value) error {
		if isNull(v) {
			return nil
		}
		object, ok := v.(ast.Object)
		if !ok {
			return wrongType("an object", v)
		}
		out := reflect.MakeMapWithSize(t, object.Len())
		err := object.Iter(func(k, v *ast.Term) error {
			key, _ := k.Value.(ast.String)
			item := reflect.New(t.Elem()).Elem()
			if err := elem(v.Value, item); err != nil {
				return at(string(key), err)
			}
			out.SetMapIndex(reflect.ValueOf(string(key)).Convert(t.Key()), item)
			return nil
		})
		target.Set(out)
		return err
	}
}

// decodeStrings is the mapDecoder of labels, of which a policy has several, in half of the time.
func decodeStrings(v ast.Value, target reflect.Value) error {
	if isNull(v) {
		return nil
	}
	object, ok := v.(ast.Object)
	if !ok {
		return wrongType("an object", v)
	}
	out := make(map[string]string, object.Len())
	err := object.Iter(func(k, v *ast.Term) error {
		key, _ := k.Value.(ast.String)
		text, err := stringOf(v.Value)
		if err != nil {
			return at(string(key), err)
		}
		out[string(key)] = text
		return nil
	})
	target.Set(reflect.ValueOf(out))
	return err
}

// unreadMetadata is what no fact reads of an object's metadata.
func unreadMetadata() []string {
	return []string{"labels", "managedFields", "ownerReferences", "uid", "resourceVersion", "generation", "creationTimestamp", "selfLink"}
}

type fieldDecoder struct {
	index  []int
	decode decoder
}

func structDecoder(t reflect.Type) decoder {
	fields := map[string]fieldDecoder{}
	for _, f := range jsonFields(t) {
		if t != reflect.TypeFor[metav1.ObjectMeta]() || !slices.Contains(unreadMetadata(), f.name) {
			fields[f.name] = fieldDecoder{index: f.index, decode: decoderOf(f.typ)}
		}
	}
	return func(v ast.Value, target reflect.Value) error {
		if isNull(v) {
			return nil
		}
		object, ok := v.(ast.Object)
		if !ok {
			return wrongType("an object", v)
		}
		return object.Iter(func(k, v *ast.Term) error {
			key, _ := k.Value.(ast.String)
			field, known := fields[string(key)]
			if !known {
				return nil
			}
			if err := field.decode(v.Value, target.FieldByIndex(field.index)); err != nil {
				return at(string(key), err)
			}
			return nil
		})
	}
}

type jsonField struct {
	name  string
	typ   reflect.Type
	index []int
}

// jsonFields are the fields of a struct under their JSON names, inlined ones included.
func jsonFields(t reflect.Type) []jsonField {
	var out []jsonField
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.IsExported() && name != "" && name != "-" {
			out = append(out, jsonField{name: name, typ: f.Type, index: f.Index})
		}
	}
	return out
}
