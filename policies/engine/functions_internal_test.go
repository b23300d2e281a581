package engine

import (
	"fmt"
	"regexp"
	"strings"
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
	bctx := topdown.BuiltinContext{Context: t.Context(), Cache: builtins.Cache{}}
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

// Where a request is judged twice, a function that asks the state is asked again, and what operands alone tell is not computed
// again.
func TestWhatIsRemembered(t *testing.T) {
	ctx := Remembering(t.Context())
	object := ast.NewTerm(ast.NewObject())
	for _, byOperands := range []bool{true, false} {
		calls := 0
		f := function{name: fmt.Sprintf("sluice.counted.%t", byOperands), args: []types.Type{types.A}, byOperands: byOperands,
			call: func(topdown.BuiltinContext, []*ast.Term) (ast.Value, error) { calls++; return ast.Boolean(true), nil }}
		for range 2 {
			bctx := topdown.BuiltinContext{Context: withResults(ctx, nil), Cache: builtins.Cache{}}
			for range 2 {
				if err := f.evaluate(bctx, []*ast.Term{object}, func(*ast.Term) error { return nil }); err != nil {
					t.Error(err)
				}
			}
		}
		if want := map[bool]int{true: 1, false: 2}[byOperands]; calls != want {
			t.Errorf("by operands %t: computed %d times, want %d", byOperands, calls, want)
		}
	}
}

// What a function finds out by the state isn't kept for other evaluations.
func TestWhoAsksTheStateIsAskedAgain(t *testing.T) {
	for _, f := range factFunctions() {
		if f.byOperands && (len(f.asks) > 0 || f.reserves == ReservedHosts || strings.HasPrefix(f.name, "sluice.state.")) {
			t.Errorf("%s asks the state", f.name)
		}
	}
}

// ParseGroupKind reads what this expression does, which is clearer and takes ten times as long.
func TestParseGroupKind(t *testing.T) {
	form := regexp.MustCompile(`^(([a-z0-9.-]+)/)?([A-Z][A-Za-z0-9]*)$`)
	var texts []string
	for _, group := range []string{"", "/", "apps/", "a.b-c.9/", "Apps/", "a/b/", "ä/", "a b/"} {
		for _, kind := range []string{"", "Pod", "P", "pod", "Pod1", "1Pod", "Pöd", "Po-d", "Pod ", "Pod\n", "Pod/"} {
			texts = append(texts, group+kind)
		}
	}
	for _, text := range texts {
		want := form.FindStringSubmatch(text)
		got, err := ParseGroupKind(text)
		if (err == nil) != (want != nil) || err == nil && (got.Group != want[2] || got.Kind != want[3]) {
			t.Errorf("%q: got %v, %v, want %q", text, got, err, want)
		}
	}
}
