package engine

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// messages finds texts that are put together before a condition that has nothing to do with them: whenever the condition
// fails, which is nearly always, the work was for nothing.
func (l *linter) messages(module *ast.Module) {
	composers := composers(module)
	ast.WalkRules(module, func(rule *ast.Rule) bool {
		for i, expr := range rule.Body {
			if variable, operator := composed(expr, composers); operator != "" {
				if condition := laterCondition(rule.Body[i+1:], variable); condition != nil {
					l.add(LintMessage, expr.Location, "move this line below the last condition",
						"%s puts %s together before the condition in line %d is known to hold: it is the expensive part of a rule, and "+
							"for nothing whenever the condition fails", operator, variable, condition.Location.Row)
				}
			}
		}
		return false
	})
}

// composed is the variable that an expression assigns a text to, and the function that makes the text.
func composed(expr *ast.Expr, composers []string) (ast.Var, string) {
	if !expr.IsAssignment() || len(expr.Operands()) != 2 {
		return "", ""
	}
	variable, ok := expr.Operand(0).Value.(ast.Var)
	if !ok {
		return "", ""
	}
	return variable, composer(expr.Operand(1), composers)
}

// composers are the functions that make texts: built-in ones, and those of a module that stand for one.
func composers(module *ast.Module) []string {
	all := []string{"sprintf", "concat", "json.marshal"}
	for _, rule := range module.Rules {
		if len(rule.Head.Args) == 0 || rule.Head.Value == nil {
			continue
		}
		made := composer(rule.Head.Value, all[:3])
		for _, expr := range rule.Body {
			if variable, operator := composed(expr, all[:3]); operator != "" && rule.Head.Value.Value.Compare(variable) == 0 {
				made = operator
			}
		}
		if made != "" {
			all = append(all, rule.Head.Ref().String())
		}
	}
	return all
}

// composer is the function in a term that makes a text; "" if there is none.
func composer(made *ast.Term, composers []string) string {
	found := ""
	ast.WalkTerms(made, func(term *ast.Term) bool {
		switch v := term.Value.(type) {
		case *ast.TemplateString:
			found = "a template string"
		case ast.Call:
			if operator := v[0].String(); slices.Contains(composers, operator) {
				found = operator
			}
		}
		return found != ""
	})
	return found
}

// laterCondition is the first expression that can fail and doesn't depend on the variable. There is none if some other
// does: then the text is part of a condition, and may well stand before an iteration.
func laterCondition(rest ast.Body, variable ast.Var) *ast.Expr {
	depends := map[ast.Var]bool{variable: true}
	var first *ast.Expr
	for _, expr := range rest {
		used := false
		ast.WalkVars(expr, func(v ast.Var) bool {
			used = used || depends[v]
			return used
		})
		switch {
		case used && expr.IsAssignment():
			ast.WalkVars(expr.Operand(0), func(v ast.Var) bool { depends[v] = true; return false })
		case used:
			return nil
		case first == nil && isCondition(expr):
			first = expr
		}
	}
	return first
}

// isCondition tells whether an expression decides something: an assignment may be undefined, but is seldom meant to be.
func isCondition(expr *ast.Expr) bool {
	if expr.Negated {
		return true
	}
	switch terms := expr.Terms.(type) {
	case *ast.SomeDecl:
		return len(terms.Symbols) > 0 && isMembership(terms.Symbols[0])
	case *ast.Every, *ast.Term:
		return true
	}
	return expr.IsCall() && !expr.IsAssignment()
}

func isMembership(term *ast.Term) bool {
	_, ok := term.Value.(ast.Call)
	return ok
}
