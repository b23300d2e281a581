package engine

import (
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// unread is a list of NetworkPolicies whose objects nobody has looked at: a screen hands it to facts as it is, and reads it where a
// rule looks into it, see plain. It stands for its array, and whatever doesn't know it panics, which makes a screen unsure.
type unread struct{ *PolicyList }

// screenedKey is in the cache of a screen's calls.
type screenedKey struct{}

// array is the list for the evaluator. Facts know it again.
func (u unread) array(bctx topdown.BuiltinContext) (ast.Value, error) {
	term, err := u.term()
	if err != nil {
		return nil, err
	}
	array := term.Value.(*ast.Array)
	bctx.Cache.Put(policiesKey{array}, u.policies)
	return array, nil
}

// plain is a term that any code can read.
func plain(term *ast.Term) *ast.Term {
	if list, ok := term.Value.(unread); ok {
		return list.read()
	}
	return term
}

// same tells whether two terms are equal.
func same(a, b *ast.Term) bool {
	if list, ok := a.Value.(unread); ok && b.Value == ast.Value(list) {
		return true
	}
	return plain(a).Equal(plain(b))
}

func (u unread) read() *ast.Term {
	term, err := u.term()
	if err != nil {
		panic(err) // and the evaluator says it
	}
	return term
}

// takesUnread tells whether a built-in function knows such lists: only Sluice's own do.
func takesUnread(name string) bool { return strings.HasPrefix(name, "sluice.") }

// Compare implements ast.Value.
func (u unread) Compare(other ast.Value) int { return u.read().Value.Compare(other) }

// Find implements ast.Value.
func (u unread) Find(path ast.Ref) (ast.Value, error) { return u.read().Value.Find(path) }

// Hash implements ast.Value.
func (u unread) Hash() int { return u.read().Hash() }

// IsGround implements ast.Value.
func (u unread) IsGround() bool { return true }

// String implements ast.Value.
func (u unread) String() string { return u.read().String() }

// StringLength implements ast.Value.
func (u unread) StringLength() int { return u.read().Value.StringLength() }
