package engine

import (
	"fmt"
	"reflect"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/types"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// function is a built-in function that Sluice adds to Rego: a fact, or a question to the state.
type function struct {
	name        string
	description string
	args        []types.Type
	result      types.Type
	resultDoc   string
	// reads are the annotations that the function reads of its operand: a rule that calls it judges them.
	reads []string
	// asks are the kinds that the function looks up in the state; a rule that calls it has them in its State.
	asks []schema.GroupKind
	// reserves is what two requests at the same moment may both get, if each is right by what the function says of it.
	reserves Reserved
	// byOperands: what the function says depends on its operands alone, and never on the state.
	byOperands bool
	// call returns nil for undefined. An error becomes the error of the policy that called.
	call func(bctx topdown.BuiltinContext, args []*ast.Term) (ast.Value, error)
}

// reading is f with the annotations that it reads.
func (f function) reading(annotations ...string) function {
	f.reads = annotations
	return f
}

func (f function) declaration() *ast.Builtin {
	return &ast.Builtin{
		Name:        f.name,
		Description: f.description,
		Decl:        types.NewFunction(f.args, types.Named("result", f.result).Description(f.resultDoc)),
	}
}

func (f function) evaluate(bctx topdown.BuiltinContext, args []*ast.Term, iter func(*ast.Term) error) error {
	_, screened := bctx.Cache.Get(screenedKey{})
	bctx.Cache = resultsFrom(bctx)
	value, err := f.once(bctx, args)
	if list, ok := value.(unread); ok && !screened {
		value, err = list.array(bctx)
	}
	switch {
	case err != nil:
		return &topdown.Error{Code: topdown.BuiltinErr, Message: fmt.Sprintf("%s: %v", f.name, err), Location: bctx.Location}
	case value == nil:
		return nil
	}
	return iter(ast.NewTerm(value))
}

// mostOperands is how many a function has at most.
const mostOperands = 4

// askedKey is the cache key of a call, whose operands are known by their identity.
type askedKey struct {
	name     string
	operands [mostOperands]ast.Value
	asking   *asking // the evaluation, by whose state the function answers; nil if it answers by its operands
}

// once calls f, unless it was called with the same operands before.
func (f function) once(bctx topdown.BuiltinContext, args []*ast.Term) (ast.Value, error) {
	key := askedKey{name: f.name}
	for i := range f.args {
		if i == mostOperands || !hasIdentity(args[i].Value) {
			return f.call(bctx, args)
		}
		key.operands[i] = args[i].Value
	}
	if !f.byOperands {
		key.asking = askingFrom(bctx.Context)
	}
	if kept, ok := bctx.Cache.Get(key); ok {
		value, _ := kept.(ast.Value)
		return value, nil
	}
	value, err := f.call(bctx, args)
	if err == nil {
		bctx.Cache.Put(key, value)
	}
	return value, err
}

// hasIdentity tells whether a value can be a key: a scalar, or a collection, which is held by pointer.
func hasIdentity(v ast.Value) bool {
	switch v.(type) {
	case nil, ast.Null, ast.Boolean, ast.Number, ast.String, *ast.Array, ast.Object, ast.Set, unread:
		return true
	}
	return false
}

// factFunctions are all functions under sluice.*. Their converters are built once.
var factFunctions = sync.OnceValue(func() []function {
	return append(stateFunctions(), objectFunctions()...)
})

func factBuiltins() map[string]*topdown.Builtin {
	out := map[string]*topdown.Builtin{}
	for _, f := range factFunctions() {
		out[f.name] = &topdown.Builtin{Decl: f.declaration(), Func: f.evaluate}
	}
	return out
}

// argument describes one operand.
func argument(name, description string, t types.Type) types.Type {
	return types.Named(name, t).Description(description)
}

// converted reads operands of one Go type and writes results of another.
type converted[A, R any] struct {
	decode decoder
	encode encoder
}

func conversion[A, R any]() converted[A, R] {
	return converted[A, R]{decoderOf(reflect.TypeFor[A]()), encoderOf(reflect.TypeFor[R]())}
}

// in reads an operand. Rules ask several facts about one object: within a query it is read once.
func (c converted[A, R]) in(bctx topdown.BuiltinContext, term *ast.Term) (*A, error) {
	key, keep := operandKey[A]{}, false
	switch term.Value.(type) {
	case ast.Object, *ast.Array: // held by pointer, so that the key is the value's identity
		key.value, keep = term.Value, true
		if kept, ok := bctx.Cache.Get(key); ok {
			return kept.(*A), nil
		}
	}
	a := new(A)
	if err := c.decode(term.Value, reflect.ValueOf(a).Elem()); err != nil {
		return nil, err
	}
	if keep && bctx.Cache != nil {
		bctx.Cache.Put(key, a)
	}
	return a, nil
}

// operandKey is the cache key of an operand read as an A.
type operandKey[A any] struct{ value ast.Value }

func (c converted[A, R]) out(r R) ast.Value { return c.encode(reflect.ValueOf(&r).Elem()) }

// fact is a function of one object.
func fact[A, R any](name, description string, operand types.Type, resultDoc string, f func(*A) (R, error)) function {
	c := conversion[A, R]()
	return function{
		name: name, description: description, args: []types.Type{operand}, result: typeOf(reflect.TypeFor[R]()), resultDoc: resultDoc,
		byOperands: true,
		call: func(bctx topdown.BuiltinContext, args []*ast.Term) (ast.Value, error) {
			a, err := c.in(bctx, args[0])
			if err != nil {
				return nil, err
			}
			r, err := f(a)
			if err != nil {
				return nil, err
			}
			return c.out(r), nil
		},
	}
}

// infallible is a function for fact that can't fail.
func infallible[A, R any](f func(*A) R) func(*A) (R, error) {
	return func(a *A) (R, error) { return f(a), nil }
}

func stateFunctions() []function {
	kind := argument("kind", "group/Kind, bare for the core group; the rule's METADATA names it under custom.state", types.S)
	namespace := argument("namespace", "the namespace, empty for cluster-scoped kinds", types.S)
	return []function{{
		name:        "sluice.state.list",
		description: "The objects of a kind that exist in a namespace, sorted by name. The stored copy of the object under review is among them.",
		args:        []types.Type{kind, namespace},
		result:      types.NewArray(nil, types.A),
		resultDoc:   "objects",
		call:        listState,
	}, {
		name:        "sluice.state.get",
		description: "The object of a kind and name that exists in a namespace; undefined where there is none.",
		args:        []types.Type{kind, namespace, argument("name", "metadata.name", types.S)},
		result:      types.A,
		resultDoc:   "the object",
		call:        getState,
	}}
}

func listState(bctx topdown.BuiltinContext, args []*ast.Term) (ast.Value, error) {
	state, err := stateFrom(bctx.Context)
	if err != nil {
		return nil, err
	}
	kind, err := ParseGroupKind(Document{args[0].Value}.Text())
	if err != nil {
		return nil, err
	}
	namespace := Document{args[1].Value}.Text()
	if kind == networkPolicyKind {
		if list := listPolicies(bctx, state, namespace); list != nil {
			return list, nil
		}
	}
	objects, err := state.List(kind, namespace)
	if err != nil {
		return nil, err
	}
	terms := make([]*ast.Term, len(objects))
	for i, o := range objects {
		terms[i] = ast.NewTerm(o.value)
	}
	return ast.NewArray(terms...), nil
}

func getState(bctx topdown.BuiltinContext, args []*ast.Term) (ast.Value, error) {
	state, err := stateFrom(bctx.Context)
	if err != nil {
		return nil, err
	}
	kind, err := ParseGroupKind(Document{args[0].Value}.Text())
	if err != nil {
		return nil, err
	}
	object, found, err := state.Get(kind, Document{args[1].Value}.Text(), Document{args[2].Value}.Text())
	if err != nil || !found {
		return nil, err
	}
	return object.value, nil
}
