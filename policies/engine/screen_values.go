package engine

import (
	"github.com/open-policy-agent/opa/v1/ast"
)

// valueOf is what an operand is, if it is one value: a path with an unbound variable is free.
func (f solving) valueOf(o *operand) (*ast.Term, result) {
	value, known := f.unreadValueOf(o)
	if value != nil {
		value = plain(value)
	}
	return value, known
}

// unreadValueOf is valueOf for whoever needs not look into it.
func (f solving) unreadValueOf(o *operand) (*ast.Term, result) {
	base, known := f.beginning(o)
	if known != found || len(o.path) == 0 {
		return base, known
	}
	for i := range o.path {
		key, known := f.valueOf(&o.path[i])
		if known != found {
			return nil, known
		}
		if base = lookup(plain(base).Value, key); base == nil {
			return nil, f.restKnown(o.path[i+1:])
		}
	}
	return base, found
}

// restKnown is none: what lies behind something undefined is undefined, whatever it is, unless nobody can tell.
func (f solving) restKnown(rest []operand) result {
	for i := range rest {
		if _, known := f.valueOf(&rest[i]); known == unsure {
			return unsure
		}
	}
	return none
}

// beginning is an operand without its path.
func (f solving) beginning(o *operand) (*ast.Term, result) {
	switch o.kind {
	case operandConstant:
		return o.constant, found
	case operandSlot:
		if bound := f.slots[f.base+int(o.number)]; bound != nil {
			return bound, found
		}
		return nil, free
	case operandInput:
		if f.input == nil {
			return nil, unsure
		}
		if term := f.at(o.number); term != nil {
			return term, found
		}
		return nil, none
	case operandDocument:
		if len(o.path) > 0 && f.narrows(o.more.document, &o.path[0]) {
			return nil, unsure
		}
		return f.document(o.more.document)
	case operandArray, operandSet:
		terms, known := f.valuesOf(o.more.elements)
		if known != found {
			return nil, known
		}
		if o.kind == operandSet {
			return ast.SetTerm(terms...), found
		}
		return ast.ArrayTerm(terms...), found
	case operandObject:
		keys, known := f.valuesOf(o.more.keys)
		if known != found {
			return nil, known
		}
		values, known := f.valuesOf(o.more.elements)
		if known != found {
			return nil, known
		}
		return objectOf(keys, values)
	case operandComprehension:
		return f.comprehend(o.more.inner)
	}
	return nil, unsure
}

// narrows tells whether the evaluator finds something else behind a key than what the whole set has there: it binds the variables
// of a set's element by the key before it evaluates a body, so that f(1, x) may go on to an else that makes x be what the key says,
// and it can't use a variable as an index that is bound to a pattern.
func (f solving) narrows(d *document, key *operand) bool {
	if !d.set || f.isFree(key) {
		return false
	}
	_, known := f.valueOf(key)
	return d.branches || known != found
}

// valuesOf are the values of all operands. If one has none, the result says why.
func (f solving) valuesOf(operands []operand) ([]*ast.Term, result) {
	out := make([]*ast.Term, len(operands))
	all := found
	for i := range operands {
		value, known := f.valueOf(&operands[i])
		switch {
		case known == unsure:
			return nil, unsure
		case known != found && all == found:
			all = known
		}
		out[i] = value
	}
	return out, all
}

// objectOf makes an object. With two values of one key, a comprehension is in conflict, and a literal is left to the evaluator.
func objectOf(keys, values []*ast.Term) (*ast.Term, result) {
	out := ast.NewObject()
	for i, key := range keys {
		if other := out.Get(key); other != nil && !other.Equal(values[i]) {
			return nil, unsure
		}
		out.Insert(key, values[i])
	}
	return ast.NewTerm(out), found
}

// comprehend collects the solutions of a body.
func (f solving) comprehend(c *comprehension) (*ast.Term, result) {
	values := sink{all: true, ordered: c.kind != operandSet}
	inner := solving{screening: f.screening, base: f.base, goal: goal{c.body, &c.value, &values}}
	if inner.steps(0) == unsure {
		return nil, unsure
	}
	switch c.kind {
	case operandSet:
		return ast.NewTerm(values.members()), found
	case operandArray:
		return ast.ArrayTerm(values.list...), found
	}
	keys, elements := make([]*ast.Term, len(values.list)), make([]*ast.Term, len(values.list))
	for i, pair := range values.list {
		both := pair.Value.(*ast.Array)
		keys[i], elements[i] = both.Elem(0), both.Elem(1)
	}
	return objectOf(keys, elements)
}

// lookup is one step of a path; nil for undefined.
func lookup(in ast.Value, key *ast.Term) *ast.Term {
	switch in := in.(type) {
	case ast.Object:
		return in.Get(key)
	case *ast.Array:
		return in.Get(key)
	case ast.Set:
		if in.Contains(key) {
			return key
		}
	}
	return nil
}

// each tests every value that an operand can be, with the variables of its path bound.
func (f solving) each(o *operand, t test, at int) result {
	base, known := f.beginning(o)
	if known != found {
		return orUnsure(known)
	}
	return f.walk(base, o.path, t, at)
}

// orUnsure is a result that ends a search.
func orUnsure(known result) result {
	if known == none {
		return none
	}
	return unsure
}

func (f solving) walk(from *ast.Term, path []operand, t test, at int) result {
	for i := range path {
		key, known := f.valueOf(&path[i])
		switch {
		case known == free:
			return f.iterate(plain(from).Value, &path[i], path[i+1:], t, at)
		case known != found:
			return orUnsure(known)
		}
		if from = lookup(plain(from).Value, key); from == nil {
			return f.restKnown(path[i+1:])
		}
	}
	return f.pass(from, t, at)
}

// iterate matches every key of a collection, and walks on from what is there.
func (f solving) iterate(in ast.Value, wanted *operand, path []operand, t test, at int) result {
	out := none
	switch in := in.(type) {
	case *ast.Array:
		for i := 0; i < in.Len() && out == none; i++ {
			out = f.enter(wanted, ast.InternedTerm(i), in.Elem(i), path, t, at)
		}
	case ast.Object:
		in.Until(func(key, element *ast.Term) bool {
			out = f.enter(wanted, key, element, path, t, at)
			return out != none
		})
	case ast.Set:
		for _, element := range in.Slice() {
			if out = f.enter(wanted, element, element, path, t, at); out != none {
				break
			}
		}
	}
	return out
}

// enter walks on from one element of a collection, if its key matches.
func (f solving) enter(wanted *operand, key, element *ast.Term, path []operand, t test, at int) result {
	if f.meter.Cancelled() {
		return unsure
	}
	mark, out := len(f.trail), none
	if f.match(wanted, key, &out) {
		out = f.walk(element, path, t, at)
	}
	f.unbind(mark)
	return out
}
