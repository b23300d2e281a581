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
	reads := mentioned(module)
	reached := map[string]bool{}
	for len(queue) > 0 {
		name := queue[0]
		queue = queue[1:]
		if reached[name] {
			continue
		}
		reached[name] = true
		for _, other := range reads[name] {
			if other == wholePackage {
				return
			}
			queue = append(queue, other)
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

// wholePackage stands for all rules of a package.
const wholePackage = ""

// mentioned are the rules that each rule of a module reads, by name, or wholePackage. A local of a rule's name is
// another thing.
func mentioned(module *ast.Module) map[string][]string {
	var resolved *ast.Module
	compiler := ast.NewCompiler().WithCapabilities(capabilities()).
		WithStageAfterID(ast.StageResolveRefs, ast.CompilerStageDefinition{Name: "SluiceMentioned", MetricName: "sluice_mentioned",
			Stage: func(c *ast.Compiler) *ast.Error { resolved = c.Modules["rule"].Copy(); return nil }})
	compiler.Compile(map[string]*ast.Module{"rule": module.Copy()}) // what is wrong with it has been said
	own := module.Package.Path
	names := map[string][]string{}
	if resolved == nil { // names can't be told apart
		for _, verb := range verbs() {
			names[string(verb)] = []string{wholePackage}
		}
		return names
	}
	for _, rule := range resolved.Rules {
		name := rule.Head.Ref()[0].String()
		ast.WalkRefs(rule, func(ref ast.Ref) bool {
			if ref.HasPrefix(own) || own.HasPrefix(ref.GroundPrefix()) {
				names[name] = append(names[name], refKey(ref, len(own)))
			}
			return false
		})
	}
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

// reads tells whether a module names a package, or something in it: in full, by an import, or below one.
func reads(module *ast.Module, pkg ast.Ref) bool {
	imports := map[ast.Var]ast.Ref{}
	for _, imported := range module.Imports {
		if path, ok := imported.Path.Value.(ast.Ref); ok {
			imports[imported.Name()] = path
		}
	}
	found := false
	ast.WalkRefs(module, func(ref ast.Ref) bool {
		if head, ok := ref[0].Value.(ast.Var); ok && imports[head] != nil {
			ref = imports[head].Concat(ref[1:])
		}
		found = found || ref.HasPrefix(pkg)
		return found
	})
	return found
}
