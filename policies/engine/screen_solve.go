package engine

import (
	"github.com/open-policy-agent/opa/v1/ast"
)

// solve looks for solutions of a definition's body, for a call with arguments, and puts the value of each into a sink.
// Without a sink the first solution ends the search.
func (s *screening) solve(d *definition, arguments []*ast.Term, into *sink) result {
	f := solving{screening: s, base: len(s.slots), goal: goal{d.body, &d.value, into}}
	for range d.slots {
		s.slots = append(s.slots, nil)
	}
	mark := len(s.trail)
	out := none
	matched := true
	for i := range d.arguments {
		if matched = f.match(&d.arguments[i], arguments[i], &out); !matched {
			break
		}
	}
	if matched {
		out = f.steps(0)
	}
	s.unbind(mark)
	s.slots = s.slots[:f.base]
	return out
}

// solving is a body that is being solved.
type solving struct {
	*screening
	base int // of its slots
	goal
}

// goal is what is looked for.
type goal struct {
	body  []step
	value *operand
	into  *sink // nil to end with the first solution
}

// sink takes the values of solutions: one that all have, or all of them.
type sink struct {
	all     bool
	ordered bool // each of all, in the order in which they are found
	value   *ast.Term
	list    []*ast.Term
	set     ast.Set // nil while there is none
}

func (k *sink) take(value *ast.Term) result {
	switch {
	case k.ordered:
		k.list = append(k.list, plain(value))
	case k.all && k.set == nil:
		k.set = ast.NewSet(plain(value))
	case k.all:
		k.set.Add(plain(value))
	case k.value == nil:
		k.value = value
	case !same(k.value, value):
		return unsure
	}
	return none
}

// members are all values that a sink took.
func (k *sink) members() ast.Set {
	if k.set == nil {
		return ast.NewSet()
	}
	return k.set
}

func (f solving) solved() result {
	if f.into == nil {
		return found
	}
	value, known := f.unreadValueOf(f.value)
	if known != found {
		return unsure
	}
	return f.into.take(value)
}

// steps solves the body from a step on.
func (f solving) steps(at int) result {
	if at == len(f.body) {
		return f.solved()
	}
	if f.meter.Cancelled() {
		return unsure
	}
	st := &f.body[at]
	switch st.kind {
	case stepNot:
		inner := solving{screening: f.screening, base: f.base, goal: goal{body: st.negated}}
		switch inner.steps(0) {
		case none:
			return f.steps(at + 1)
		case found:
			return none
		}
	case stepHolds:
		return f.each(&st.operands[0], test{}, at)
	case stepEqual:
		return f.equal(&st.operands[0], &st.operands[1], at)
	case stepFunction, stepBuiltin:
		if st.kind == stepFunction && st.out != nil && !f.isFree(st.out) {
			return unsure // to the evaluator, f(x, 1) is no reason to stop before the else that makes f(x) be 1
		}
		value, known := f.call(st)
		if known != found {
			return known
		}
		return f.pass(value, test{pattern: st.out}, at)
	}
	return unsure
}

// isFree tells whether an operand is a variable that is not bound.
func (f solving) isFree(o *operand) bool {
	return o.isVariable() && f.slots[f.base+int(o.number)] == nil
}

// test is what a value has to pass: to match an operand, to equal a term, or not to be false.
type test struct {
	pattern *operand
	equals  *ast.Term
}

// pass goes on to the step behind at if a value passes.
func (f solving) pass(value *ast.Term, t test, at int) result {
	switch {
	case t.pattern != nil:
		return f.matching(t.pattern, value, at)
	case t.equals != nil:
		if !same(t.equals, value) {
			return none
		}
	case value.Value == ast.Value(ast.Boolean(false)):
		return none
	}
	return f.steps(at + 1)
}

// equal unifies two operands, and goes on.
func (f solving) equal(a, b *operand, at int) result {
	left, knownA := f.unreadValueOf(a)
	right, knownB := f.unreadValueOf(b)
	switch {
	case knownA == unsure || knownB == unsure:
		return unsure
	case knownA == none || knownB == none:
		return none
	case knownB == found:
		return f.matching(a, right, at)
	case knownA == found:
		return f.matching(b, left, at)
	case a.isPattern(): // and an iteration on the other side
		return f.each(b, test{pattern: a}, at)
	case b.isPattern():
		return f.each(a, test{pattern: b}, at)
	}
	return unsure
}

// matching goes on if an operand can be a value.
func (f solving) matching(o *operand, value *ast.Term, at int) result {
	if !o.isPattern() {
		return f.each(o, test{equals: value}, at)
	}
	mark, out := len(f.trail), none
	if f.match(o, value, &out) {
		out = f.steps(at + 1)
	}
	f.unbind(mark)
	return out
}

// match binds the variables of an operand so that it is the value. Where it can't, otherwise says why: none or unsure.
func (f solving) match(o *operand, value *ast.Term, otherwise *result) bool {
	switch {
	case o.isVariable():
		slot := f.base + int(o.number)
		if bound := f.slots[slot]; bound != nil {
			return same(bound, value)
		}
		f.slots[slot] = value
		f.trail = append(f.trail, slot)
		return true
	case o.kind == operandArray:
		array, ok := plain(value).Value.(*ast.Array)
		if !ok || array.Len() != len(o.more.elements) {
			return false
		}
		for i := range o.more.elements {
			if !f.match(&o.more.elements[i], array.Elem(i), otherwise) {
				return false
			}
		}
		return true
	}
	mine, known := f.valueOf(o)
	if known != found {
		*otherwise = orUnsure(known)
		return false
	}
	return same(mine, value)
}

func (s *screening) unbind(mark int) {
	for _, slot := range s.trail[mark:] {
		if slot < len(s.slots) {
			s.slots[slot] = nil
		}
	}
	s.trail = s.trail[:mark]
}
