package engine

import (
	"github.com/open-policy-agent/opa/v1/ast"
)

// inputPaths are those that the rules of a unit name, such as input.request.object.spec. They are numbered, and what is at one of them
// is looked up once for all rules.
type inputPaths struct {
	all     []inputPath
	numbers map[inputPathName]int32
}

type inputPath struct {
	in  int32 // the path that it goes on from, which has a smaller number
	key *ast.Term
}

type inputPathName struct {
	in  int32
	key string
}

// wholeInput is the number of the input itself.
const wholeInput = 0

func newInputPaths() inputPaths {
	return inputPaths{all: make([]inputPath, 1), numbers: map[inputPathName]int32{}}
}

// within is the number of the path that goes on from another one with a key.
func (p *inputPaths) within(in int32, key *ast.Term) int32 {
	name := inputPathName{in, key.String()}
	number, known := p.numbers[name]
	if !known {
		number = int32(len(p.all)) //nolint:gosec // a unit has few paths
		p.numbers[name] = number
		p.all = append(p.all, inputPath{in, key})
	}
	return number
}

// reached is what is at a path of one input.
type reached struct {
	known bool
	term  *ast.Term // nil for nothing
}

// at is what is at a path; nil for nothing. There has to be an input.
func (s *screening) at(number int32) *ast.Term {
	if number == wholeInput {
		return s.input
	}
	here := &s.reached[number]
	if !here.known {
		here.known = true
		s.visited = append(s.visited, number)
		of := &s.paths[number]
		if in := s.at(of.in); in != nil {
			here.term = lookup(in.Value, of.key)
		}
	}
	return here.term
}
