package engine

import "github.com/open-policy-agent/opa/v1/ast"

// lastApplied is the annotation in which kubectl keeps a second copy of the object. No rule judges
// it, and it doubles the work of reading a request.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// place says what the object being read is to its parent, so that the keys to skip are skipped in
// metadata only.
type place int

const (
	inOther place = iota
	inMetadata
	inAnnotations
	inRequest // of a review
)

func (p place) child(key string) place {
	switch {
	case key == "metadata":
		return inMetadata
	case p == inMetadata && key == "annotations":
		return inAnnotations
	}
	return inOther
}

func (p place) skips(key string) bool {
	return p == inMetadata && key == "managedFields" || p == inAnnotations && key == lastApplied
}

// member reads the value of a key and pushes the pair, unless it is left out.
func (s *scanner) member(key string, depth int, where place) error {
	outer, start := s.skipping, s.pos
	s.skipping = outer || where.skips(key)
	value, err := s.memberValue(key, depth, where)
	switch {
	case err != nil:
	case !s.skipping:
		s.pairs = append(s.pairs, [2]*ast.Term{keyTerm(key), s.term(value)})
	case s.trims && !outer:
		s.leftOut = append(s.leftOut, [2]int{start, s.pos})
	}
	s.skipping = outer
	return err
}

func (s *scanner) memberValue(key string, depth int, where place) (ast.Value, error) {
	switch {
	case where == inRequest:
		return s.repeated(key, depth)
	case s.reviews != nil && depth == 1 && key == "request":
		return s.value(depth, inRequest)
	}
	return s.value(depth, where.child(key))
}
