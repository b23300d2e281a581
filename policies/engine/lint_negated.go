package engine

import (
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// negated finds `not f(x)` where x is a field that an object need not have. OPA reads x before the negation, so that a
// missing x makes the whole body undefined: the rule says nothing, instead of taking the call for false. Only fields that
// are known to be optional count, and not those that the body reads elsewhere: there the author has asked for them.
func (l *linter) negated(module *ast.Module) {
	rule, ok := l.library.Rule(ruleID(module.Package))
	if !ok || rule.File != module.Package.Location.File {
		return // it does not load, and that has been said
	}
	aliases := packageAliases(module)
	ast.WalkRules(module, func(r *ast.Rule) bool {
		l.negatedIn(rule, r, aliases)
		return false
	})
}

func (l *linter) negatedIn(rule *Rule, r *ast.Rule, aliases map[ast.Var]ast.Ref) {
	scope := fieldScope{aliases: maps.Clone(aliases)}
	ast.WalkExprs(r, func(expr *ast.Expr) bool { scope.learn(expr); return false })
	l.negatedBody(rule, scope, r.Body, scope.reads(r.Head))
	for _, inner := range innerBodies(r.Head) {
		l.negatedBody(rule, scope, inner, nil)
	}
}

// negatedBody looks at a body and those within it. read are the fields that the bodies around it read.
func (l *linter) negatedBody(rule *Rule, scope fieldScope, body ast.Body, read []fieldPath) {
	for _, expr := range body {
		if !expr.Negated {
			read = append(read, scope.reads(expr)...)
		}
	}
	for _, expr := range body {
		for _, inner := range innerBodies(expr) {
			l.negatedBody(rule, scope, inner, slices.Clip(read))
		}
		if !expr.Negated {
			continue
		}
		for _, term := range hoisted(expr) {
			path := scope.resolve(term.Value.(ast.Ref))
			if !rule.optional(path, path.known(read)) {
				continue
			}
			l.add(LintNegated, expr.Location, "read it with object.get(…, default) first, or put the call into a rule of its own and write not with its name",
				"where %s is missing, this is undefined, not true: OPA reads the operand before the negation, and nothing comes of the body",
				term)
			break
		}
	}
}

// innerBodies are the outermost bodies within a head or an expression.
func innerBodies(node any) []ast.Body {
	var out []ast.Body
	visitor := ast.NewGenericVisitor(func(x any) bool {
		body, ok := x.(ast.Body)
		if ok {
			out = append(out, body)
		}
		return ok
	})
	visitor.Walk(node)
	return out
}

// hoisted are the references that OPA evaluates before the negation: those in operands of calls and in brackets, but not
// the operand of a plain comparison by == and nothing inside of a comprehension, which is defined anyway.
func hoisted(expr *ast.Expr) []*ast.Term {
	var out []*ast.Term
	var walk func(term *ast.Term, within bool)
	walkAll := func(terms []*ast.Term, within bool) {
		for _, term := range terms {
			walk(term, within)
		}
	}
	walk = func(term *ast.Term, within bool) {
		switch v := term.Value.(type) {
		case ast.Ref:
			if within {
				out = append(out, term)
			}
			walkAll(v[1:], true)
		case ast.Call:
			walkAll(v[1:], true)
		case *ast.Array:
			v.Foreach(func(t *ast.Term) { walk(t, within) })
		case ast.Set:
			v.Foreach(func(t *ast.Term) { walk(t, within) })
		case ast.Object:
			v.Foreach(func(_, t *ast.Term) { walk(t, within) })
		}
	}
	switch terms := expr.Terms.(type) {
	case *ast.Term:
		walk(terms, false)
	case []*ast.Term:
		operator := terms[0].String()
		walkAll(terms[1:], operator != ast.Equal.Name && operator != ast.Equality.Name)
	}
	return out
}

// fieldPath is a reference as keys; * is any element of a list.
type fieldPath []string

// known is how many leading keys are there for sure if the paths that are read are there.
func (p fieldPath) known(read []fieldPath) int {
	most := 0
	for _, other := range read {
		same := 0
		for same < min(len(p), len(other)) && p[same] == other[same] {
			same++
		}
		most = max(most, same)
	}
	return most
}

// fieldScope knows which variables stand for which fields.
type fieldScope struct{ aliases map[ast.Var]ast.Ref }

// packageAliases are imports from input, and rules such as `annotations := input.request.object.metadata.annotations`.
func packageAliases(module *ast.Module) map[ast.Var]ast.Ref {
	stated := map[ast.Var]int{}
	out := map[ast.Var]ast.Ref{}
	for _, rule := range module.Rules {
		stated[rule.Head.Name]++
		if rule.Head.Value == nil || len(rule.Head.Args) > 0 || rule.Else != nil || len(rule.Head.Ref()) != 1 {
			continue
		}
		if ref, ok := rule.Head.Value.Value.(ast.Ref); ok && rule.Body.Equal(ast.NewBody(ast.NewExpr(ast.BooleanTerm(true)))) {
			out[rule.Head.Name] = ref
		}
	}
	maps.DeleteFunc(out, func(name ast.Var, _ ast.Ref) bool { return stated[name] > 1 })
	for _, imported := range module.Imports {
		if path, ok := imported.Path.Value.(ast.Ref); ok && path.HasPrefix(ast.InputRootRef) {
			out[imported.Name()] = path
		}
	}
	return out
}

// learn notes `v := ref` and `some v in ref`.
func (s fieldScope) learn(expr *ast.Expr) {
	note := func(variable, value *ast.Term, element bool) {
		name, isVar := variable.Value.(ast.Var)
		ref, isRef := value.Value.(ast.Ref)
		if alias, isAlias := value.Value.(ast.Var); isAlias && s.aliases[alias] != nil {
			ref, isRef = s.aliases[alias], true
		}
		if !isVar || !isRef {
			return
		}
		if element {
			ref = ref.Append(ast.VarTerm("$element"))
		}
		s.aliases[name] = ref
	}
	switch terms := expr.Terms.(type) {
	case *ast.SomeDecl:
		if call, ok := terms.Symbols[0].Value.(ast.Call); ok && len(terms.Symbols) == 1 && len(call) > 2 {
			note(call[len(call)-2], call[len(call)-1], true)
		}
	case *ast.Every:
		note(terms.Value, terms.Domain, true)
	case []*ast.Term:
		if expr.IsAssignment() && len(terms) == 3 {
			note(terms[1], terms[2], false)
		}
	}
}

func (s fieldScope) resolve(ref ast.Ref) fieldPath {
	for range 10 { // aliases of aliases; a variable that stands for itself ends here
		head, ok := ref[0].Value.(ast.Var)
		to := s.aliases[head]
		if !ok || to == nil {
			break
		}
		ref = to.Concat(ref[1:])
	}
	path := fieldPath{ref[0].String()}
	for _, part := range ref[1:] {
		switch v := part.Value.(type) {
		case ast.String:
			path = append(path, string(v))
		default:
			path = append(path, "*")
		}
	}
	return path
}

// reads are the fields without which a head or an expression is undefined: those outside of the bodies within it.
func (s fieldScope) reads(node any) []fieldPath {
	var out []fieldPath
	visitor := ast.NewGenericVisitor(func(x any) bool {
		switch x := x.(type) {
		case *ast.ArrayComprehension, *ast.SetComprehension, *ast.ObjectComprehension, ast.Body:
			return true
		case ast.Call:
			return x[0].String() == "object.get"
		case ast.Ref:
			if path := s.resolve(x); len(path) > 1 {
				out = append(out, path)
			}
		}
		return false
	})
	visitor.Walk(node)
	return out
}

// alwaysThere are fields that every stored object has, because they are required or the API server sets them.
var alwaysThere = strings.Fields("kind apiVersion metadata name namespace uid spec podSelector policyTypes type port protocol pathType backend operator")

// optional tells whether a path leads to something that a valid request need not have, given that its first keys are
// known to be there.
func (r *Rule) optional(path fieldPath, known int) bool {
	if len(path) < 3 || known >= len(path) || path[0] != "input" {
		return false
	}
	switch path[1] {
	case "parameters":
		properties, _ := r.parametersSchema()["properties"].(map[string]any)
		property, _ := properties[path[2]].(map[string]any)
		_, hasDefault := property["default"]
		return known < 3 && path[2] != "*" && !hasDefault && !slices.Contains(requiredKeys(r.parametersSchema()), any(path[2]))
	case "namespace":
		return optionalField(path, max(known, 3)) && path[len(path)-1] != "kubernetes.io/metadata.name" && path[len(path)-1] != "labels"
	case "request":
		return (path[2] == "object" || path[2] == "oldObject") && optionalField(path, max(known, 3))
	}
	return false
}

// optionalField looks at the keys of a path from the given one on.
func optionalField(path fieldPath, from int) bool {
	for i := from; i < len(path); i++ {
		chosen := slices.Contains([]string{"labels", "annotations", "matchLabels", "selector", "data"}, path[i-1])
		if chosen || path[i] != "*" && !slices.Contains(alwaysThere, path[i]) {
			return true
		}
	}
	return false
}
