package engine

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

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

// named finds the document at the beginning of a reference, and what follows on its name.
func (r *screenReader) named(ref ast.Ref) (*document, ast.Ref) {
	for n := 2; n <= len(ref) && ref[:n].IsGround(); n++ {
		if d := r.document(ref[:n]); d != nil {
			return d, ref[n:]
		}
	}
	return nil, nil
}
