package engine

import (
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// tracer follows an evaluation and keeps, of each body, the first time that it ended at each of its expressions.
// What it holds grows with the rules in evaluation and the calls that it remembers, not with the steps.
type tracer struct {
	verb     Verb
	compiler *ast.Compiler
	layouts  map[any]*layout   // by rule, or by the first expression of the body of an every
	frames   map[uint64]*frame // by query
	top      *frame            // of the query itself
	roots    []*frame          // of the verb's definitions
	known    map[callKey][]*frame
}

// callKey names a rule, or a call of a function. What was evaluated once is taken from OPA's cache afterwards,
// without events.
type callKey struct {
	what string
	args int // hash
}

// Bounds of what an explanation holds on to.
const (
	maxKnownCalls    = 10_000
	maxClosureFrames = 20 // the last ones: an every ends at the element that fails
)

// frame is the evaluation of one body.
type frame struct {
	id      uint64
	rule    *ast.Rule
	every   *ast.Every // whose domain is enumerated
	element *ast.Every // whose body is evaluated for an element
	layout  *layout    // nil for what is neither a rule nor an element
	expr    *ast.Expr  // the current one
	calling callKey    // what it calls
	kids    []*frame   // entered in it
	endings []*ending
	args    []bound // of a function, or an every's key and value
	value   *ast.Term
}

// ending is where evaluations of a body ended: at an expression, or behind the last one.
type ending struct {
	index  int
	count  int
	vars   []bound
	read   []bound
	within []*frame
}

// bound is a name with its value, nil for undefined, and the step it belongs to.
type bound struct {
	name  string
	value ast.Value
	step  int
}

func newTracer(verb Verb, compiler *ast.Compiler) *tracer {
	return &tracer{verb: verb, compiler: compiler, layouts: map[any]*layout{}, frames: map[uint64]*frame{}, known: map[callKey][]*frame{}}
}

// Enabled implements topdown.QueryTracer.
func (t *tracer) Enabled() bool { return true }

// Config implements topdown.QueryTracer: variables are looked at only where they are kept.
func (t *tracer) Config() topdown.TraceConfig { return topdown.TraceConfig{} }

// TraceEvent implements topdown.QueryTracer.
func (t *tracer) TraceEvent(e topdown.Event) {
	if e.Op == topdown.EnterOp {
		t.enter(&e)
		return
	}
	f := t.frames[e.QueryID]
	if f == nil {
		return
	}
	switch node := e.Node.(type) {
	case *ast.Expr:
		if e.Op == topdown.EvalOp {
			t.step(f, node, &e)
			return
		}
		if e.Op != topdown.FailOp || f.layout == nil {
			return
		}
		if index, own := f.layout.index[node]; own {
			t.end(f, index, &e)
		}
	case *ast.Rule:
		if e.Op == topdown.ExitOp {
			if node.Head.Value != nil {
				f.value = e.Plug(node.Head.Value)
			}
			t.end(f, len(node.Body), &e)
		}
	case ast.Body:
		if e.Op == topdown.ExitOp && f.element != nil {
			t.end(f, len(node), &e)
		}
	}
}

func (t *tracer) enter(e *topdown.Event) {
	f := &frame{id: e.QueryID}
	parent := t.frames[e.ParentID]
	if t.top == nil {
		t.top, parent = f, nil
	}
	switch node := e.Node.(type) {
	case *ast.Rule:
		f.rule = node
		f.layout = t.layoutOf(node, node.Body, node.Head.Args)
		t.remember(f, parent)
		if parent == t.top && node.Head.Name.Equal(ast.Var(t.verb)) {
			t.roots = append(t.roots, f)
		}
	case *ast.Expr:
		f.every, _ = node.Terms.(*ast.Every)
	case ast.Body:
		if parent != nil && parent.every != nil && node[0] == parent.every.Body[0] {
			f.element = parent.every
			f.layout = t.layoutOf(node[0], node, []*ast.Term{f.element.Key, f.element.Value})
		}
	}
	t.frames[f.id] = f
	if parent == nil {
		return
	}
	if parent.layout == nil && parent != t.top && len(parent.kids) == maxClosureFrames {
		t.forget(parent.kids[0])
		parent.kids = parent.kids[1:]
	}
	parent.kids = append(parent.kids, f)
}

func (t *tracer) layoutOf(key any, body ast.Body, args []*ast.Term) *layout {
	l, known := t.layouts[key]
	if !known {
		l = newLayout(body, args, t.compiler.RewrittenVars)
		t.layouts[key] = l
	}
	return l
}

// step begins an expression.
func (t *tracer) step(f *frame, expr *ast.Expr, e *topdown.Event) {
	if f.layout != nil {
		for _, kid := range f.kids {
			t.forget(kid)
		}
		f.kids = nil
	}
	f.expr, f.calling = expr, callKey{}
	if operator, operands := calledRule(expr); operator != "" {
		f.calling.what = operator
		for _, operand := range operands {
			if value := e.Plug(operand); value.IsGround() {
				f.calling.args = f.calling.args*31 + value.Hash()
			}
		}
	}
}

// calledRule is the function of a module that an expression calls.
func calledRule(expr *ast.Expr) (operator string, operands []*ast.Term) {
	terms, ok := expr.Terms.([]*ast.Term)
	if !ok || len(terms) == 0 {
		return "", nil
	}
	if ref, ok := terms[0].Value.(ast.Ref); ok && ref.HasPrefix(ast.DefaultRootRef) {
		return ref.String(), terms[1:]
	}
	return "", nil
}

// forget stops following a frame. What endings hold of it stays.
func (t *tracer) forget(f *frame) {
	delete(t.frames, f.id)
	for _, kid := range f.kids {
		t.forget(kid)
	}
}

// remember keeps the evaluation of a rule for those who get its result from the cache. A definition that is
// entered once more belongs to a new evaluation.
func (t *tracer) remember(f, parent *frame) {
	var key callKey
	switch {
	case len(f.rule.Head.Args) == 0:
		key.what = f.rule.Ref().String()
	case parent != nil:
		key = parent.calling
	}
	if key.what == "" {
		return
	}
	kept := t.known[key]
	for _, other := range kept {
		if other.rule == f.rule {
			kept = nil
			break
		}
	}
	if len(t.known) < maxKnownCalls || kept != nil {
		t.known[key] = append(kept, f)
	}
}

// end notes that an evaluation of the body ended at an index of it.
func (t *tracer) end(f *frame, index int, e *topdown.Event) {
	for _, known := range f.endings {
		if known.index == index {
			known.count++
			return
		}
	}
	if f.args == nil {
		for _, v := range f.layout.args {
			f.args = append(f.args, bound{string(v.name), plugged(e, v.local), headStep})
		}
	}
	n := &ending{index: index, count: 1}
	for _, v := range f.layout.vars {
		if value := plugged(e, v.local); value != nil {
			n.vars = append(n.vars, bound{string(v.name), value, v.step})
		}
	}
	if node, ok := e.Node.(*ast.Expr); ok {
		n.read = t.read(f.layout, index, node, e)
		n.within = t.within(f)
	}
	f.endings = append(f.endings, n)
}

func plugged(e *topdown.Event, v ast.Var) ast.Value {
	if term := e.Plug(ast.NewTerm(v)); term.IsGround() {
		return term.Value
	}
	return nil
}

// within are the rules and elements that the current expression of a frame was about, from the cache if need be.
func (t *tracer) within(f *frame) []*frame {
	var out []*frame
	for _, kid := range f.kids {
		if kid.layout != nil {
			out = append(out, kid)
		} else {
			out = append(out, t.within(kid)...)
		}
	}
	if len(out) > 0 || f.expr == nil {
		return out
	}
	if f.calling.what != "" {
		return t.known[f.calling]
	}
	ast.WalkRefs(f.expr, func(ref ast.Ref) bool {
		for i := len(ref); i > 2 && ref.HasPrefix(ast.DefaultRootRef); i-- {
			if kept := t.known[callKey{what: ref[:i].String()}]; len(kept) > 0 {
				out = append(out, kept...)
				break
			}
		}
		return false
	})
	return out
}
