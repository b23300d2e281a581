package engine

import (
	"maps"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// circular finds what makes a variable a part of itself in compiled modules, such as x = {x}. OPA compiles that, and
// evaluates it until the stack of the whole process overflows, which nothing can recover from.
func circular(modules map[string]*ast.Module) []error {
	var c circles
	for _, file := range slices.Sorted(maps.Keys(modules)) {
		ast.WalkRules(modules[file], func(rule *ast.Rule) bool {
			arguments := ast.NewVarSet()
			for _, argument := range rule.Head.Args {
				arguments.Update(argument.Vars())
			}
			c.body(rule.Body, arguments)
			return false
		})
	}
	return c.faults
}

type circles struct{ faults []error }

// body looks through a body, of which some variables are bound already.
func (c *circles) body(body ast.Body, bound ast.VarSet) {
	bound = bound.Copy()
	for _, expr := range body {
		ast.WalkClosures(expr, func(closure any) bool {
			switch closure := closure.(type) {
			case *ast.ArrayComprehension:
				c.body(closure.Body, bound)
			case *ast.SetComprehension:
				c.body(closure.Body, bound)
			case *ast.ObjectComprehension:
				c.body(closure.Body, bound)
			case *ast.Every:
				c.body(closure.Body, bound)
			}
			return true
		})
		if expr.IsEquality() {
			c.equality(expr, bound)
		}
		bound.Update(expr.Vars(ast.VarVisitorParams{SkipClosures: true}))
	}
}

// equality refuses a variable that the expression binds, and that is in a set or a key of the same expression. Only there
// the compiler overlooks what a value depends on.
func (c *circles) equality(expr *ast.Expr, bound ast.VarSet) {
	within, beside := ast.NewVarSet(), ast.NewVarSet()
	for _, operand := range expr.Operands() {
		partsOf(operand, beside, within)
	}
	if len(within.Intersect(beside).Diff(bound)) > 0 {
		c.faults = append(c.faults, fault(expr.Location, "a variable can't be a part of itself, as in x = {x}"))
	}
}

// partsOf collects the variables of a term, and those in its sets and keys.
func partsOf(term *ast.Term, beside, within ast.VarSet) {
	switch value := term.Value.(type) {
	case ast.Var:
		beside.Add(value)
	case *ast.Array:
		value.Foreach(func(element *ast.Term) { partsOf(element, beside, within) })
	case ast.Object:
		value.Foreach(func(key, element *ast.Term) {
			partsOf(key, within, within)
			partsOf(element, beside, within)
		})
	case ast.Set:
		value.Foreach(func(element *ast.Term) { partsOf(element, within, within) })
	}
}
