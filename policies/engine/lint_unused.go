package engine

import (
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// unused finds rules and functions that no verb reaches. In a rule without verbs everything would be: that it has none is
// said when it is loaded.
func (l *linter) unused(module *ast.Module) {
	byName := map[string][]*ast.Rule{}
	var names, queue []string
	for _, rule := range module.Rules {
		name := rule.Head.Ref()[0].String()
		if byName[name] == nil {
			names = append(names, name)
			if slices.Contains(verbs(), Verb(name)) {
				queue = append(queue, name)
			}
		}
		byName[name] = append(byName[name], rule)
	}
	if len(queue) == 0 {
		return
	}
	reached := map[string]bool{}
	for len(queue) > 0 {
		name := queue[0]
		queue = queue[1:]
		if reached[name] {
			continue
		}
		reached[name] = true
		for _, rule := range byName[name] {
			queue = append(queue, mentioned(module, rule)...)
		}
	}
	for _, name := range names {
		if reached[name] {
			continue
		}
		l.add(LintUnused, byName[name][0].Location, "call it from deny, warn, patch or generate, or remove it; if it was meant to be one of them, "+
			"correct its name", "%s has no effect: none of the rule's verbs (%s) reaches it", name, strings.Join(statedNames(byName), ", "))
	}
}

func statedNames(byName map[string][]*ast.Rule) []string {
	var out []string
	for _, verb := range verbs() {
		if byName[string(verb)] != nil {
			out = append(out, string(verb))
		}
	}
	return out
}

// mentioned are the names in a rule that may be those of other rules.
func mentioned(module *ast.Module, rule *ast.Rule) []string {
	var names []string
	own := module.Package.Path
	ast.WalkTerms(rule, func(term *ast.Term) bool {
		switch v := term.Value.(type) {
		case ast.Var:
			names = append(names, string(v))
		case ast.Ref:
			names = append(names, v[0].String())
			if v.HasPrefix(own) {
				names = append(names, refKey(v, len(own)))
			}
		}
		return false
	})
	return names
}

// untested finds rules and libs whose package no test reads.
func (l *linter) untested(file string, module *ast.Module) {
	for other, test := range l.all {
		if _, own := l.sources[other]; !own || !isTest(other) || !hasTests(test) {
			continue
		}
		if test.Package.Equal(module.Package) || reads(test, module.Package.Path) {
			return
		}
	}
	at := module.Package.Location
	l.add(LintUntested, &ast.Location{File: file, Row: at.Row, Col: at.Col},
		"write "+strings.TrimSuffix(file[strings.LastIndex(file, "/")+1:], ".rego")+"_test.rego beside it, with rules named test_…",
		"no test reads %s", module.Package.Path)
}

func hasTests(module *ast.Module) bool {
	return slices.ContainsFunc(module.Rules, func(r *ast.Rule) bool {
		return strings.Contains(r.Head.Ref().String(), "test_")
	})
}

func reads(module *ast.Module, pkg ast.Ref) bool {
	found := false
	ast.WalkRefs(module, func(ref ast.Ref) bool {
		found = found || ref.HasPrefix(pkg)
		return found
	})
	return found
}
