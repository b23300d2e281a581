package engine

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// read are the values that an expression of the author's had computed when a part of it failed, and those that
// this part refers to.
func (t *tracer) read(l *layout, index int, failed *ast.Expr, e *topdown.Event) []bound {
	var out []bound
	add := func(name string, value ast.Value) {
		if !slices.ContainsFunc(out, func(b bound) bool { return b.name == name }) {
			out = append(out, bound{name, value, l.of[index]})
		}
	}
	for i, expr := range l.body[:index] {
		if l.of[i] != l.of[index] || !expr.Generated || expr.Location == nil || isWholeRequest(expr) {
			continue
		}
		if output, ok := outputOf(expr); ok {
			if value := plugged(e, output); value != nil {
				add(oneLineSource(string(expr.Location.Text)), value)
			}
		}
	}
	terms, isCall := failed.Terms.([]*ast.Term)
	var operands any = failed
	if isCall {
		operands = &ast.Array{}
		if len(terms) > 1 {
			operands = ast.NewArray(terms[1:]...)
		}
	}
	ast.WalkRefs(operands, func(ref ast.Ref) bool {
		if name, value, ok := t.resolve(ref, e); ok {
			add(name, value)
		}
		return false
	})
	return out
}

// outputOf is the variable in which the compiler keeps what an expression that it made computes.
func outputOf(expr *ast.Expr) (ast.Var, bool) {
	terms, ok := expr.Terms.([]*ast.Term)
	if !ok || len(terms) < 2 {
		return "", false
	}
	output := terms[len(terms)-1]
	if expr.IsEquality() {
		output = terms[1]
	}
	v, ok := output.Value.(ast.Var)
	return v, ok
}

// isWholeRequest tells of an operand that says nothing: everybody knows it, and no line holds it.
func isWholeRequest(expr *ast.Expr) bool {
	terms, ok := expr.Terms.([]*ast.Term)
	if !ok || !expr.IsEquality() {
		return false
	}
	ref, ok := terms[2].Value.(ast.Ref)
	return ok && ref.HasPrefix(ast.InputRootRef) && len(ref) <= 3
}

// resolve finds what a reference into the input, the parameters or a variable stands for, and how the author
// wrote it, as far as it stands for one value. It is false for references to rules.
func (t *tracer) resolve(ref ast.Ref, e *topdown.Event) (name string, value ast.Value, ok bool) {
	root, written, rest := ast.Value(nil), ast.Ref(nil), ref[1:]
	head, isVar := ref[0].Value.(ast.Var)
	author := ast.Var("")
	if isVar {
		author = authorName(head, t.compiler.RewrittenVars)
	}
	switch {
	case ref.HasPrefix(ast.InputRootRef) && e.Input() != nil:
		root, written = e.Input().Value, ast.Ref{ref[0]}
	case len(ref) > 3 && ref[0].Equal(ast.DefaultRootDocument) && ref[3].Equal(ast.StringTerm(parametersRule)):
		rules := t.compiler.GetRulesExact(ref[:4])
		if len(rules) != 1 {
			return "", nil, false
		}
		root, rest = rules[0].Head.Value.Value, ref[4:]
		written = ast.InputRootRef.Append(ast.StringTerm("parameters"))
	case author != "":
		root, written = plugged(e, head), ast.Ref{ast.NewTerm(author)}
	}
	if root == nil {
		return "", nil, false
	}
	path := make(ast.Ref, 0, len(rest))
	for _, term := range rest {
		key := e.Plug(term)
		if !key.IsGround() {
			break // what is iterated over
		}
		path = append(path, key)
	}
	if len(written)+len(path) == 1 {
		return written.String(), root, len(ref) > 1
	}
	found, err := root.Find(path)
	if err != nil {
		found = nil
	}
	return slices.Concat(written, path).String(), found, true
}
