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
