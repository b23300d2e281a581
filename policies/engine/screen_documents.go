package engine

import (
	"github.com/open-policy-agent/opa/v1/ast"
)

// document is the value of a name without arguments.
func (s *screening) document(d *document) (*ast.Term, result) {
	if kept := s.values[d.id]; kept.kept {
		return kept.term, kept.result
	}
	term, known := s.evaluate(d, nil)
	s.values[d.id] = documentValue{true, known, term}
	s.read = append(s.read, d.id)
	return term, known
}

// evaluate is the value of a document, or of a function for arguments. Rules that differ are a conflict, about which the
// evaluator complains.
func (s *screening) evaluate(d *document, arguments []*ast.Term) (*ast.Term, result) {
	if d.opaque {
		return nil, unsure
	}
	if d.set {
		return s.elements(d)
	}
	var value *ast.Term
	for _, definition := range d.definitions {
		mine, known := s.either(definition, arguments)
		switch {
		case known == unsure, known == found && value != nil && !same(value, mine):
			return nil, unsure
		case known == found && value == nil: // of equal numbers the first is kept: 1 and 1.0
			value = mine
		}
	}
	switch {
	case value != nil:
		return value, found
	case d.fallback != nil:
		return d.fallback, found
	}
	return nil, none
}

// either is the value of a definition, or of what stands behind its else.
func (s *screening) either(d *definition, arguments []*ast.Term) (*ast.Term, result) {
	for ; d != nil; d = d.otherwise {
		if value, known := s.only(d, arguments); known != none {
			return value, known
		}
	}
	return nil, none
}

// only is the one value that all solutions of a definition have.
func (s *screening) only(d *definition, arguments []*ast.Term) (*ast.Term, result) {
	var values sink
	switch out := s.solve(d, arguments, &values); {
	case out == unsure:
		return nil, unsure
	case values.value == nil:
		return nil, none
	}
	return values.value, found
}

func (s *screening) elements(d *document) (*ast.Term, result) {
	values := sink{all: true}
	if s.collect(d, &values) == unsure {
		return nil, unsure
	}
	return ast.NewTerm(values.members()), found
}

// collect puts what a set has into a sink.
func (s *screening) collect(d *document, into *sink) result {
	for _, definition := range d.definitions {
		if s.solve(definition, nil, into) == unsure {
			return unsure
		}
	}
	return found
}

// call is the value of a call.
func (f solving) call(st *step) (*ast.Term, result) {
	mark := len(f.arguments)
	defer func() { f.arguments = f.arguments[:mark] }()
	for i := range st.operands {
		argument, known := f.unreadValueOf(&st.operands[i])
		if known != found {
			return nil, orUnsure(known)
		}
		if st.kind == stepBuiltin && !st.takesUnread {
			argument = plain(argument)
		}
		f.arguments = append(f.arguments, argument)
	}
	arguments := f.arguments[mark:]
	if st.kind == stepFunction {
		return f.evaluate(st.function, arguments)
	}
	f.output, f.outputs = nil, 0
	err := st.builtin.Func(f.context, arguments, f.takeOutput)
	switch {
	case err != nil || f.outputs > 1 || f.meter.reason != nil:
		return nil, unsure
	case f.output == nil:
		return nil, none
	}
	return f.output, found
}
