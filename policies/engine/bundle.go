package engine

import (
	"cmp"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"k8s.io/apimachinery/pkg/util/validation"
)

// Bundled is a rule of a folder with all that it takes to stand in a policy of its own.
type Bundled struct {
	Rule   *Rule
	Source string   // of the rule, as the file has it
	Libs   []string // of the folder's lib modules that the rule reaches, in the order of their files
}

// Bundle takes a folder of rules apart, sorted by the rules' ids. shipped are the modules that are there wherever
// policies are: they are linked, and not bundled. All that is wrong is reported at once, as by Load. A folder without rules
// gives none.
func Bundle(folder fs.FS, shipped ...fs.FS) ([]Bundled, error) {
	library, err := Load(append(slices.Clone(shipped), folder)...)
	if err != nil {
		return nil, err
	}
	sources, err := Sources(folder)
	if err != nil {
		return nil, err
	}
	libs, err := libModules(sources)
	if err != nil {
		return nil, err
	}
	var out []Bundled
	var errs []error
	for _, rule := range library.Rules() {
		source, own := sources[rule.File]
		if !own {
			continue
		}
		if len(validation.IsDNS1123Subdomain(rule.ID)) > 0 {
			errs = append(errs, fault(rule.module.Package.Location, "the package makes %q the rule's id, which can't be the name of a policy: "+
				"write it with lower-case letters, digits and _, in at most 253 characters", rule.ID))
			continue
		}
		files, err := reachedLibs(rule, libs)
		if err != nil {
			return nil, err
		}
		bundled := Bundled{Rule: rule, Source: source}
		for _, file := range files {
			bundled.Libs = append(bundled.Libs, sources[file])
		}
		out = append(out, bundled)
	}
	slices.SortFunc(out, func(a, b Bundled) int { return cmp.Compare(a.Rule.ID, b.Rule.ID) })
	return out, errors.Join(errs...)
}

// libModules are the modules below sluice.lib among sources, tests aside, by their files.
func libModules(sources map[string]string) (map[string]*ast.Module, error) {
	libs := map[string]*ast.Module{}
	for file, source := range sources {
		if strings.HasSuffix(file, "_test.rego") {
			continue
		}
		module, err := parse(file, source)
		if err != nil {
			return nil, err
		}
		if isLib(module) {
			libs[file] = module
		}
	}
	return libs, nil
}

// reachedLibs are the files of the libs that a rule refers to, directly or through another lib. A reference that
// may mean several libs means all of them.
func reachedLibs(rule *Rule, libs map[string]*ast.Module) ([]string, error) {
	modules := copied(libs)
	modules[rule.File] = rule.module.Copy()
	resolved := map[string][]ast.Ref{}
	compiler := ast.NewCompiler().WithCapabilities(capabilities()).
		WithStageAfterID(ast.StageResolveRefs, ast.CompilerStageDefinition{Name: "SluiceReached", MetricName: "sluice_reached",
			Stage: func(c *ast.Compiler) *ast.Error {
				for file, module := range c.Modules {
					ast.WalkRefs(module, func(ref ast.Ref) bool {
						if ref.HasPrefix(ast.DefaultRootRef) {
							resolved[file] = append(resolved[file], ref.GroundPrefix())
						}
						return false
					})
				}
				return nil
			}})
	compiler.Compile(modules) // Load has told what is wrong; what is shipped is missing here
	if len(resolved) == 0 {
		return nil, errors.Join(compileFaults(compiler.Errors)...)
	}
	seen := map[string]bool{rule.File: true}
	for queue := []string{rule.File}; len(queue) > 0; queue = queue[1:] {
		for _, ref := range resolved[queue[0]] {
			for file, lib := range libs {
				if !seen[file] && (ref.HasPrefix(lib.Package.Path) || lib.Package.Path.HasPrefix(ref)) {
					seen[file] = true
					queue = append(queue, file)
				}
			}
		}
	}
	delete(seen, rule.File)
	return slices.Sorted(maps.Keys(seen)), nil
}
