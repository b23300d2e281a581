package schema

import (
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/types"
)

// Genuine returns the errors of a compilation against an input schema that a rule's author must
// fix, in their order.
//
// OPA takes every field that a schema lists as present and nothing as null, and so calls
// `spec.podSelector == {}`, `oldObject == null` and f(selector) with a definition f({}) type
// errors. These are left out: a mismatch of two types is genuine only if no object with some of the
// listed fields, and no null in place of an object, could satisfy both. An undefined reference is
// always genuine. So is whatever a compilation without schemas rejects; Genuine is meant for the
// errors that come on top of it.
//
// The compiler's error limit must be off (SetErrorLimit(0)), else errors that are left out may
// displace genuine ones.
func Genuine(errs ast.Errors) ast.Errors {
	var genuine ast.Errors
	for _, err := range errs {
		if !satisfiable(err) {
			genuine = append(genuine, err)
		}
	}
	return genuine
}

// satisfiable reports whether the error is a mismatch of types that some object satisfies.
func satisfiable(err *ast.Error) bool {
	switch detail := err.Details.(type) {
	case *ast.UnificationErrDetail:
		return overlap(detail.Left, detail.Right)
	case *ast.ArgErrDetail:
		// Errors about the number of arguments carry the same detail.
		if !strings.HasSuffix(err.Message, "invalid argument(s)") {
			return false
		}
		for i, have := range detail.Have {
			if !overlap(have, detail.Want.Arg(i)) {
				return false
			}
		}
		return true
	}
	return false
}

// overlap reports whether a value can have both types when each listed field may be absent and
// each object null. A type that OPA couldn't infer (nil) overlaps with any.
func overlap(a, b types.Type) bool {
	a, b = bare(a), bare(b)
	if a == nil || b == nil {
		return true
	}
	if union, ok := a.(types.Any); ok {
		return overlapsOne(union, b)
	}
	if union, ok := b.(types.Any); ok {
		return overlapsOne(union, a)
	}
	switch a := a.(type) {
	case types.Null:
		_, ok := b.(*types.Object)
		return ok || types.Compare(a, b) == 0
	case *types.Object:
		if _, ok := b.(types.Null); ok {
			return true
		}
		b, ok := b.(*types.Object)
		return ok && objectsOverlap(a, b)
	case *types.Array:
		b, ok := b.(*types.Array)
		return ok && arraysOverlap(a, b)
	case *types.Set:
		_, ok := b.(*types.Set)
		return ok
	}
	return types.Compare(a, b) == 0
}

// bare returns the type without its name or indirection.
func bare(t types.Type) types.Type {
	for {
		switch wrapped := t.(type) {
		case *types.NamedType:
			t = wrapped.Type
		case *types.Recursive:
			t = wrapped.Unwrap()
		default:
			return t
		}
	}
}

// overlapsOne reports whether t overlaps with one of the union's types. The empty union is any.
func overlapsOne(union types.Any, t types.Type) bool {
	for _, alternative := range union {
		if overlap(alternative, t) {
			return true
		}
	}
	return len(union) == 0
}

// objectsOverlap takes the object with fewer fields for the literal: all of its fields must be
// fields of the other.
func objectsOverlap(a, b *types.Object) bool {
	if len(a.Keys()) > len(b.Keys()) {
		a, b = b, a
	}
	for _, key := range a.Keys() {
		field := b.Select(key)
		if field == nil && b.DynamicProperties() == nil {
			return false
		}
		if !overlap(a.Select(key), field) {
			return false
		}
	}
	return true
}

func arraysOverlap(a, b *types.Array) bool {
	if a.Len() < b.Len() {
		a, b = b, a
	}
	for i := range a.Len() {
		item := b.Select(i)
		if item == nil || !overlap(a.Select(i), item) {
			return false
		}
	}
	return b.Dynamic() != nil || a.Len() == b.Len()
}
