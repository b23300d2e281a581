package engine

import (
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// walkFields visits what a module reads of input.request, once names are resolved. Operands of facts are left out: facts
// say themselves what they read. Of object.get it is the path that is asked for, where that is written out.
func walkFields(module *ast.Module, visit func(field ast.Ref, at *ast.Location)) {
	facts := map[*ast.Term]bool{}
	paths := map[*ast.Term]ast.Ref{} // of the object that object.get is asked about
	walkCalls(module, func(operator string, args []*ast.Term, _ *ast.Location) {
		for _, arg := range args {
			facts[arg] = strings.HasPrefix(operator, "sluice.")
		}
		if operator == ast.ObjectGet.Name && len(args) > 1 {
			paths[args[0]] = literalPath(args[1])
		}
	})
	for _, rule := range module.Rules { // an import by itself reads nothing
		ast.WalkTerms(rule, func(term *ast.Term) bool {
			ref, ok := term.Value.(ast.Ref)
			if ok && !facts[term] && ref.HasPrefix(ast.InputRootRef) && refKey(ref, 1) == "request" {
				visit(ref.Concat(paths[term]), term.Location)
			}
			return false
		})
	}
}

// literalPath are the keys that the second operand of object.get names; none where it does so only in evaluation.
func literalPath(term *ast.Term) ast.Ref {
	switch v := term.Value.(type) {
	case ast.String:
		return ast.Ref{term}
	case *ast.Array:
		var keys ast.Ref
		for i := range v.Len() {
			if _, ok := v.Elem(i).Value.(ast.String); !ok {
				break
			}
			keys = append(keys, v.Elem(i))
		}
		return keys
	}
	return nil
}
