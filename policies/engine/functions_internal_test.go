package engine

import (
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/topdown/builtins"
	"github.com/open-policy-agent/opa/v1/types"
)

// A function that is called by the screen and again by the evaluator is computed once, whatever its operands.
func TestCallsAreComputedOnce(t *testing.T) {
	for _, f := range factFunctions() {
		if len(f.args) > mostOperands {
			t.Errorf("%s has %d operands: its results are not kept", f.name, len(f.args))
		}
	}
	calls := 0
	f := function{name: "sluice.counted", args: []types.Type{types.A, types.A, types.A, types.A},
		call: func(topdown.BuiltinContext, []*ast.Term) (ast.Value, error) { calls++; return ast.Boolean(true), nil }}
	bctx := topdown.BuiltinContext{Cache: builtins.Cache{}}
	object := ast.NewTerm(ast.NewObject())
	for _, last := range []*ast.Term{object, object, ast.NewTerm(ast.NewObject()), ast.StringTerm("a"), ast.StringTerm("a")} {
		if value, err := f.once(bctx, []*ast.Term{ast.NullTerm(), object, object, last}); err != nil || value != ast.Value(ast.Boolean(true)) {
			t.Errorf("%v, %v", value, err)
		}
	}
	if calls != 3 {
		t.Errorf("computed %d times, want once for each last operand", calls)
	}
}
