package engine

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// document is what a name stands for: all rules of that name.
type document struct {
	id          int
	set         bool // a rule with contains
	opaque      bool // not understood
	branches    bool // what it is may be the result of a function that has an else
	definitions []*definition
	fallback    *ast.Term // the value of a default rule; nil if there is none
	alias       *operand  // the constant or the path in the input that the name stands for; nil for others
}

// definition is one rule: its arguments, its body, and its value, or the element that it adds to a set.
type definition struct {
	arguments []operand
	body      []step
	value     operand
	slots     int
	otherwise *definition // else
}

type stepKind uint8

const (
	stepOpaque   stepKind = iota
	stepHolds             // an operand, which is not false
	stepEqual             // two operands
	stepFunction          // a function of the rules
	stepBuiltin           // a built-in function
	stepNot
)

// step is an expression of a body. All that is read of it in most reviews is one line of a processor's cache, as an operand is:
// between two reviews an API server has used the cache, and what a rule costs is mostly how many lines it touches.
type step struct {
	kind        stepKind
	takesUnread bool      // of a built-in function
	operands    []operand // what holds, the two that are equal, or those of a call
	out         *operand  // nil for a call that is a condition
	function    *document // of the rules
	builtin     *topdown.Builtin
	negated     []step // the one expression behind not
}

type operandKind uint8

const (
	operandOpaque operandKind = iota
	operandConstant
	operandSlot
	operandInput
	operandDocument
	operandArray
	operandSet
	operandObject
	operandComprehension
)

// operand is a term. A path may follow on any.
type operand struct {
	kind     operandKind
	number   int32 // of a slot, or of a path in the input
	constant *ast.Term
	more     *compound // of other kinds
	path     []operand
}

// compound is what few operands have.
type compound struct {
	document *document
	elements []operand // of an array or a set, or the values of an object
	keys     []operand // of an object, in the order of its elements
	inner    *comprehension
}

// comprehension makes a collection of the solutions of a body, which knows the variables of the body that it stands in.
type comprehension struct {
	kind  operandKind // what it makes
	body  []step
	value operand // of a solution; of an object [key, value]
}

func (o *operand) isConstant() bool { return o.kind == operandConstant && len(o.path) == 0 }

func (o *operand) isVariable() bool { return o.kind == operandSlot && len(o.path) == 0 }

// isPattern tells that a value may bind variables of it. Those of an object are never bound: it has to be known.
func (o *operand) isPattern() bool { return o.isVariable() || o.kind == operandArray }

func (o *operand) understood() bool {
	parts := o.path
	if o.more != nil {
		parts = slices.Concat(parts, o.more.elements, o.more.keys)
	}
	return o.kind != operandOpaque && understood(parts)
}

func understood(operands []operand) bool {
	return !slices.ContainsFunc(operands, func(o operand) bool { return !o.understood() })
}

func (s *step) understood() bool {
	return (s.out == nil || s.out.understood()) && understood(s.operands)
}

// screenReader reads compiled rules. Each document is read once.
type screenReader struct {
	compiler *ast.Compiler
	known    map[string]*document
	builtins map[string]*topdown.Builtin
	paths    inputPaths
}

func newScreenReader(compiler *ast.Compiler) *screenReader {
	return &screenReader{compiler: compiler, known: map[string]*document{}, builtins: evaluationBuiltins(), paths: newInputPaths()}
}

// document reads the rules of a name; nil if there are none.
func (r *screenReader) document(name ast.Ref) *document {
	key := name.String()
	if d, ok := r.known[key]; ok {
		return d
	}
	rules := r.compiler.GetRulesExact(name)
	if len(rules) == 0 {
		return nil
	}
	d := &document{id: len(r.known)}
	r.known[key] = d
	for _, rule := range rules {
		switch {
		case !rule.Head.Ref().IsGround() || d.set != (rule.Head.RuleKind() == ast.MultiValue) && len(d.definitions) > 0:
			d.opaque = true
		case rule.Default && len(rule.Head.Args) == 0 && isConstant(rule.Head.Value):
			d.fallback = rule.Head.Value
		case rule.Default:
			d.opaque = true
		default:
			d.set = rule.Head.RuleKind() == ast.MultiValue
			d.definitions = append(d.definitions, r.definition(rule))
			d.branches = d.branches || d.definitions[len(d.definitions)-1].branches()
		}
	}
	if len(d.definitions) == 1 && !d.set && !d.opaque && d.fallback == nil {
		d.alias = d.definitions[0].alias()
	}
	return d
}

// alias is the constant or the path in the input that a definition gives a name to, by a value, or by a variable that is equal to it.
func (d *definition) alias() *operand {
	value := &d.value
	switch {
	case d.otherwise != nil || len(d.arguments) > 0:
		return nil
	case len(d.body) == 0:
	case len(d.body) == 1 && d.body[0].kind == stepEqual && value.isVariable():
		a, b := &d.body[0].operands[0], &d.body[0].operands[1]
		switch {
		case a.isVariable() && a.number == value.number:
			value = b
		case b.isVariable() && b.number == value.number:
			value = a
		}
	default:
		return nil
	}
	if len(value.path) > 0 || value.kind != operandConstant && value.kind != operandInput {
		return nil
	}
	return value
}

func (r *screenReader) definition(rule *ast.Rule) *definition {
	body := bodyReader{screenReader: r, slots: map[ast.Var]int32{}}
	d := &definition{arguments: body.operands(rule.Head.Args), body: body.steps(rule.Body)}
	value := rule.Head.Value
	if rule.Head.RuleKind() == ast.MultiValue {
		value = rule.Head.Key
	}
	d.value = body.operand(value)
	d.slots = len(body.slots)
	if rule.Else != nil {
		d.otherwise = r.definition(rule.Else)
	}
	return d
}

// branches tells whether there is an else, or the result of a function that has one is in the value.
func (d *definition) branches() bool {
	return d.otherwise != nil || slices.ContainsFunc(d.body, func(s step) bool {
		return s.kind == stepFunction && s.out != nil && s.function.branches
	})
}

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

// named finds the document at the beginning of a reference, and what follows on its name.
func (r *screenReader) named(ref ast.Ref) (*document, ast.Ref) {
	for n := 2; n <= len(ref) && ref[:n].IsGround(); n++ {
		if d := r.document(ref[:n]); d != nil {
			return d, ref[n:]
		}
	}
	return nil, nil
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
