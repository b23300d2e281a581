// Package engine loads rules written in Rego, checks and compiles them, and evaluates them within
// a budget. It is the only package that imports OPA; what leaves it is plain data.
package engine

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Document is an immutable JSON value in the form that the evaluator reads without conversion.
// The zero Document is absent: it exists nowhere, is empty in every reading and equals only
// another absent Document.
type Document struct{ value ast.Value }

// FromGo returns x, as encoding/json writes it, as a Document.
func FromGo(x any) (Document, error) {
	data, err := json.Marshal(x)
	if err != nil {
		return Document{}, fmt.Errorf("encode document: %w", err)
	}
	return ParseJSON(data)
}

// Exists tells whether the document is there and not null.
func (d Document) Exists() bool {
	if d.value == nil {
		return false
	}
	_, null := d.value.(ast.Null)
	return !null
}

// Get walks down object keys. The result is absent where a key is missing or a value on the way
// is no object.
func (d Document) Get(keys ...string) Document {
	value := d.value
	for _, key := range keys {
		object, ok := value.(ast.Object)
		if !ok {
			return Document{}
		}
		term := object.Get(keyTerm(key))
		if term == nil {
			return Document{}
		}
		value = term.Value
	}
	return Document{value}
}

// IsFalseOrZero tells whether the document is false or the number 0.
func (d Document) IsFalseOrZero() bool {
	switch v := d.value.(type) {
	case ast.Boolean:
		return !bool(v)
	case ast.Number:
		return v.Compare(ast.Number("0")) == 0
	}
	return false
}

// Text is the value of a string, and "" for anything else.
func (d Document) Text() string {
	s, _ := d.value.(ast.String)
	return string(s)
}

// Bool is true for the JSON value true only.
func (d Document) Bool() bool {
	b, _ := d.value.(ast.Boolean)
	return bool(b)
}

// Int is the value of an integer, and 0 for anything else.
func (d Document) Int() int64 {
	n, _ := d.value.(ast.Number)
	i, _ := n.Int64()
	return i
}

// Elements are the items of an array or the values of a set in sorted order; nil for anything else.
func (d Document) Elements() []Document {
	switch v := d.value.(type) {
	case *ast.Array:
		out := make([]Document, 0, v.Len())
		v.Foreach(func(t *ast.Term) { out = append(out, Document{t.Value}) })
		return out
	case ast.Set:
		out := make([]Document, 0, v.Len())
		for _, t := range v.Slice() {
			out = append(out, Document{t.Value})
		}
		return out
	}
	return nil
}

// IsObject tells whether the document is a JSON object.
func (d Document) IsObject() bool {
	_, ok := d.value.(ast.Object)
	return ok
}

// IsArray tells whether the document is a JSON array.
func (d Document) IsArray() bool {
	_, ok := d.value.(*ast.Array)
	return ok
}

// Len is the number of keys or items of an object or array, and 0 for anything else.
func (d Document) Len() int {
	switch v := d.value.(type) {
	case *ast.Array:
		return v.Len()
	case ast.Object:
		return v.Len()
	}
	return 0
}

// StringMap is an object of strings, such as labels, as a map. Values that are no strings are left
// out; nil for anything but an object.
func (d Document) StringMap() map[string]string {
	object, ok := d.value.(ast.Object)
	if !ok {
		return nil
	}
	out := make(map[string]string, object.Len())
	object.Foreach(func(k, v *ast.Term) {
		key, okKey := k.Value.(ast.String)
		text, okText := v.Value.(ast.String)
		if okKey && okText {
			out[string(key)] = string(text)
		}
	})
	return out
}

// Equal compares by JSON value: the order of keys does not matter.
func (d Document) Equal(other Document) bool {
	if d.value == nil || other.value == nil {
		return d.value == nil && other.value == nil
	}
	return d.value.Compare(other.value) == 0
}

// MarshalJSON writes the document; an absent one is null.
func (d Document) MarshalJSON() ([]byte, error) {
	if d.value == nil {
		return []byte("null"), nil
	}
	if size := termSize(d.value, maxResultSize); size >= maxResultSize {
		return nil, errTooLarge
	}
	x, err := ast.JSON(d.value)
	if err != nil {
		return nil, fmt.Errorf("encode document: %w", err)
	}
	return json.Marshal(x)
}

// String is the document as JSON, for messages.
func (d Document) String() string {
	data, err := d.MarshalJSON()
	if err != nil {
		return "<" + err.Error() + ">"
	}
	return string(data)
}

var errTooLarge = errors.New("the value is larger than 4 MiB when written out")

// With is a copy of the object in which key is value. What is no object becomes one.
func (d Document) With(key string, value Document) Document {
	object := ast.NewObject()
	if from, ok := d.value.(ast.Object); ok {
		from.Foreach(func(k, v *ast.Term) {
			if text, _ := k.Value.(ast.String); string(text) != key {
				object.Insert(k, v)
			}
		})
	}
	if value.value != nil {
		object.Insert(keyTerm(key), ast.NewTerm(value.value))
	}
	return Document{object}
}

// Settled is the document, for who hands it to evaluations that run at the same time. OPA sorts the keys of an object when they are
// first iterated over, and copies an object (for `with input.x`) without waiting for that: they are sorted here.
func (d Document) Settled() Document {
	settle(d.value)
	return d
}

func settle(value ast.Value) {
	switch v := value.(type) {
	case *ast.Array:
		v.Foreach(func(element *ast.Term) { settle(element.Value) })
	case ast.Object:
		v.Foreach(func(_, member *ast.Term) { settle(member.Value) })
	}
}
