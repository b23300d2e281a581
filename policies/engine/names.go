package engine

import (
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/sluice-gate/sluice/policies/spelling"
)

// unnamed are the references of a module into the shared libs, or into its own package, that name nothing there: OPA
// takes a misspelt name for undefined, with which a condition never holds and the rule says nothing. all are the modules
// that are compiled together, and names in them are resolved. A reference to a package or to what holds it, one to a part
// of what a rule stands for, and one that is known only from some key on are left to the evaluation; a call is OPA's to tell.
func unnamed(module *ast.Module, all map[string]*ast.Module) []error {
	var errs []error
	own, called := module.Package.Path, operators(module)
	for _, rule := range module.Rules {
		ast.WalkTerms(rule, func(term *ast.Term) bool {
			ref, ok := term.Value.(ast.Ref)
			if !ok || called[term] || !ref.HasPrefix(libRef) && !ref.HasPrefix(own) {
				return false
			}
			if wanted := constantKeys(ref); !names(wanted, all) {
				errs = append(errs, fault(ref[0].Location, "%s names nothing, so that it is undefined for ever%s", keysText(wanted), nearestName(wanted, all)))
			}
			return false
		})
	}
	return errs
}

// operators are the terms of a module that are called: OPA says which of them are no functions.
func operators(module *ast.Module) map[*ast.Term]bool {
	called := map[*ast.Term]bool{}
	visitor := ast.NewGenericVisitor(func(x any) bool {
		switch x := x.(type) {
		case *ast.Expr:
			if terms, ok := x.Terms.([]*ast.Term); ok && len(terms) > 0 {
				called[terms[0]] = true
			}
		case ast.Call:
			called[x[0]] = true
		}
		return false
	})
	visitor.Walk(module)
	return called
}

// names tells whether keys below data lead to a rule, into what it stands for, or to what holds one.
func names(wanted []string, all map[string]*ast.Module) bool {
	for _, module := range all {
		pkg := constantKeys(module.Package.Path)
		if startsWith(pkg, wanted) {
			return true
		}
		for _, rule := range module.Rules {
			path := append(slices.Clip(pkg), ruleKeys(rule)...)
			if startsWith(path, wanted) || startsWith(wanted, path) {
				return true
			}
		}
	}
	return false
}

// nearestName suggests what a name that leads nowhere could mean: another in its package, or one of a package.
func nearestName(wanted []string, all map[string]*ast.Module) string {
	there := map[string]bool{}
	prefix := wanted
	for len(prefix) > len(libRef)-1 && !names(prefix, all) {
		prefix = prefix[:len(prefix)-1]
	}
	for _, module := range all {
		for _, rule := range module.Rules {
			if path := append(constantKeys(module.Package.Path), ruleKeys(rule)...); startsWith(path, prefix) && len(path) > len(prefix) {
				there[path[len(prefix)]] = true
			}
		}
	}
	candidates := slices.Sorted(maps.Keys(there))
	switch best := spelling.Nearest(wanted[len(prefix)], candidates); {
	case best != "":
		return "; did you mean " + keysText(append(slices.Clip(prefix), best)) + "?"
	case len(there) > 0:
		return ": " + keysText(prefix) + " has " + strings.Join(candidates, ", ")
	}
	return ""
}

// constantKeys are the keys that a reference below data begins with, as far as they are written out.
func constantKeys(ref ast.Ref) []string {
	var keys []string
	for _, term := range ref[1:] {
		key, ok := term.Value.(ast.String)
		if !ok {
			break
		}
		keys = append(keys, string(key))
	}
	return keys
}

// ruleKeys are the constant keys below the package that a rule's head begins with.
func ruleKeys(rule *ast.Rule) []string {
	ref := rule.Head.Ref()
	return append([]string{strings.Trim(ref[0].String(), `"`)}, constantKeys(ref)...)
}

func startsWith(keys, prefix []string) bool {
	return len(keys) >= len(prefix) && slices.Equal(keys[:len(prefix)], prefix)
}

func keysText(keys []string) string {
	ref := ast.DefaultRootRef
	for _, key := range keys {
		ref = ref.Append(ast.StringTerm(key))
	}
	return ref.String()
}
