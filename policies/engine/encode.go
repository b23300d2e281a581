package engine

import (
	"fmt"
	"reflect"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/types"
)

// encoder makes the evaluator's form of a fact: structs are objects with every tagged field present.
type encoder func(v reflect.Value) ast.Value

// encoderOf builds an encoder for the type of a fact's result.
func encoderOf(t reflect.Type) encoder {
	switch t.Kind() {
	case reflect.String:
		return func(v reflect.Value) ast.Value { return ast.String(v.String()) }
	case reflect.Bool:
		return func(v reflect.Value) ast.Value { return ast.InternedValue(v.Bool()) }
	case reflect.Int, reflect.Int32, reflect.Int64:
		return func(v reflect.Value) ast.Value { return ast.InternedValue(int(v.Int())) }
	case reflect.Slice:
		return sliceEncoder(encoderOf(t.Elem()))
	case reflect.Map:
		return mapEncoder(encoderOf(t.Elem()))
	case reflect.Struct:
		return structEncoder(t)
	}
	panic(fmt.Sprintf("a fact has a part of kind %s", t.Kind()))
}

func sliceEncoder(elem encoder) encoder {
	return func(v reflect.Value) ast.Value {
		terms := make([]*ast.Term, v.Len())
		for i := range terms {
			terms[i] = ast.NewTerm(elem(v.Index(i)))
		}
		return ast.NewArray(terms...)
	}
}

func mapEncoder(elem encoder) encoder {
	return func(v reflect.Value) ast.Value {
		object := ast.NewObjectWithCapacity(v.Len())
		for entries := v.MapRange(); entries.Next(); {
			object.Insert(ast.StringTerm(entries.Key().String()), ast.NewTerm(elem(entries.Value())))
		}
		return object
	}
}

func structEncoder(t reflect.Type) encoder {
	type part struct {
		key    *ast.Term
		index  []int
		encode encoder
	}
	var parts []part
	for _, f := range jsonFields(t) {
		parts = append(parts, part{ast.StringTerm(f.name), f.index, encoderOf(f.typ)})
	}
	return func(v reflect.Value) ast.Value {
		object := ast.NewObjectWithCapacity(len(parts))
		for _, p := range parts {
			object.Insert(p.key, ast.NewTerm(p.encode(v.FieldByIndex(p.index))))
		}
		return object
	}
}

// typeOf is the Rego type of what encoderOf(t) makes.
func typeOf(t reflect.Type) types.Type {
	switch t.Kind() {
	case reflect.String:
		return types.S
	case reflect.Bool:
		return types.B
	case reflect.Int, reflect.Int32, reflect.Int64:
		return types.N
	case reflect.Slice:
		return types.NewArray(nil, typeOf(t.Elem()))
	case reflect.Map:
		return types.NewObject(nil, types.NewDynamicProperty(types.S, typeOf(t.Elem())))
	case reflect.Struct:
		var props []*types.StaticProperty
		for _, f := range jsonFields(t) {
			props = append(props, types.NewStaticProperty(f.name, typeOf(f.typ)))
		}
		return types.NewObject(props, nil)
	}
	panic(fmt.Sprintf("a fact has a part of kind %s", t.Kind()))
}
