package engine

import (
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// bodyReader reads one body.
type bodyReader struct {
	*screenReader
	slots map[ast.Var]int32
}

func (r *bodyReader) steps(body ast.Body) []step {
	out := make([]step, 0, len(body))
	for _, expr := range body {
		next := r.step(expr)
		if !next.understood() {
			next = step{}
		}
		if expr.Negated {
			next = step{kind: stepNot, negated: []step{next}}
		}
		if !next.isTrue() {
			out = append(out, next)
		}
	}
	return out
}

// isTrue tells that a step is the body of a rule that has none.
func (s *step) isTrue() bool {
	return s.kind == stepHolds && s.operands[0].isConstant() && s.operands[0].constant.Value == ast.Value(ast.Boolean(true))
}

func (r *bodyReader) step(expr *ast.Expr) step {
	if len(expr.With) > 0 {
		return step{}
	}
	switch terms := expr.Terms.(type) {
	case *ast.Term:
		return step{kind: stepHolds, operands: []operand{r.operand(terms)}}
	case []*ast.Term:
		return r.call(expr, terms)
	}
	return step{}
}

func (r *bodyReader) call(expr *ast.Expr, terms []*ast.Term) step {
	if expr.IsEquality() {
		return step{kind: stepEqual, operands: r.operands(terms[1:3])}
	}
	name, ok := terms[0].Value.(ast.Ref)
	if !ok {
		return step{}
	}
	operands := r.operands(terms[1:])
	if name.HasPrefix(ast.DefaultRootRef) {
		function := r.document(name)
		if function == nil || function.opaque || len(function.definitions) == 0 {
			return step{}
		}
		return callStep(step{kind: stepFunction, function: function}, operands, len(function.definitions[0].arguments))
	}
	builtin := r.builtins[name.String()]
	if builtin == nil {
		if decl, call := ast.BuiltinMap[name.String()], topdown.GetBuiltin(name.String()); decl != nil && call != nil {
			builtin = &topdown.Builtin{Decl: decl, Func: call}
		}
	}
	if builtin == nil || builtin.Decl.Relation || builtin.Decl.Decl.Result() == nil {
		return step{}
	}
	return callStep(step{kind: stepBuiltin, builtin: builtin, takesUnread: takesUnread(name.String())}, operands, builtin.Decl.Decl.Arity())
}

// callStep parts the arguments of a call from the variable that takes its result.
func callStep(s step, operands []operand, arity int) step {
	if len(operands) > arity {
		s.out = &operands[arity]
	}
	s.operands = operands[:arity]
	return s
}

func (r *bodyReader) operands(terms []*ast.Term) []operand {
	out := make([]operand, len(terms))
	for i, term := range terms {
		out[i] = r.operand(term)
	}
	return out
}

func (r *bodyReader) operand(term *ast.Term) operand {
	switch value := term.Value.(type) {
	case ast.Var:
		return r.base(value)
	case ast.Ref:
		return r.ref(value)
	case ast.Null, ast.Boolean, ast.Number, ast.String:
		return operand{kind: operandConstant, constant: term}
	case *ast.ArrayComprehension:
		return r.comprehension(term, operandArray, value.Body, value.Term)
	case *ast.SetComprehension:
		return r.comprehension(term, operandSet, value.Body, value.Term)
	case *ast.ObjectComprehension:
		return r.comprehension(term, operandObject, value.Body, ast.ArrayTerm(value.Key, value.Value))
	case ast.Object, ast.Set, *ast.Array:
		if isConstant(term) {
			return operand{kind: operandConstant, constant: term}
		}
		return r.collection(value)
	}
	return operand{}
}

// collection is one that has variables.
func (r *bodyReader) collection(value ast.Value) operand {
	out := operand{more: &compound{}}
	element := func(term *ast.Term) { out.more.elements = append(out.more.elements, r.operand(term)) }
	switch value := value.(type) {
	case *ast.Array:
		out.kind = operandArray
		value.Foreach(element)
	case ast.Set:
		out.kind = operandSet
		value.Foreach(element)
	case ast.Object:
		out.kind = operandObject
		value.Foreach(func(key, value *ast.Term) {
			out.more.keys = append(out.more.keys, r.operand(key))
			element(value)
		})
	}
	return out
}

// comprehension is read unless the evaluator has an index for it: then it is evaluated otherwise, for all values of a variable.
func (r *bodyReader) comprehension(term *ast.Term, kind operandKind, body ast.Body, value *ast.Term) operand {
	if r.compiler.ComprehensionIndex(term) != nil {
		return operand{}
	}
	inner := &comprehension{kind: kind, body: r.steps(body), value: r.operand(value)}
	if !inner.value.understood() {
		return operand{}
	}
	return operand{kind: operandComprehension, more: &compound{inner: inner}}
}

// isConstant tells whether a term is its own value. The value of a default rule may be a comprehension or a template
// string, which the evaluator evaluates.
func isConstant(term *ast.Term) bool { return term.IsGround() && ast.IsConstant(term.Value) }

// base is a variable, which may stand at the beginning of a path.
func (r *bodyReader) base(name ast.Var) operand {
	switch {
	case name.Equal(ast.InputRootDocument.Value):
		return operand{kind: operandInput, number: wholeInput}
	case name.Equal(ast.DefaultRootDocument.Value):
		return operand{}
	}
	slot, ok := r.slots[name]
	if !ok {
		slot = int32(len(r.slots)) //nolint:gosec // a body has few variables
		r.slots[name] = slot
	}
	return operand{kind: operandSlot, number: slot}
}

func (r *bodyReader) ref(ref ast.Ref) operand {
	head, ok := ref[0].Value.(ast.Var)
	if !ok {
		return operand{}
	}
	if !ref.HasPrefix(ast.DefaultRootRef) {
		return r.follow(r.base(head), r.operands(ref[1:]))
	}
	switch d, rest := r.named(ref); {
	case d == nil:
		return operand{}
	case d.alias != nil:
		return r.follow(*d.alias, r.operands(rest))
	default:
		return operand{kind: operandDocument, more: &compound{document: d}, path: r.operands(rest)}
	}
}

// follow is what a path leads to. What constants lead to in a constant is one, and in the input a path of it.
func (r *screenReader) follow(from operand, path []operand) operand {
	for len(path) > 0 && path[0].isConstant() {
		if from.kind == operandInput {
			from.number = r.paths.within(from.number, path[0].constant)
		} else if value := constantAt(from, path[0].constant); value != nil {
			from.constant = value
		} else {
			break
		}
		path = path[1:]
	}
	from.path = path
	return from
}

// constantAt is nil for what is no constant, or has nothing there.
func constantAt(from operand, key *ast.Term) *ast.Term {
	if from.kind != operandConstant {
		return nil
	}
	return lookup(from.constant.Value, key)
}
