package engine

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/sluice-gate/sluice/policies/engine/schema"
)

// parsed is a module with its text.
type parsed struct {
	module *ast.Module
	text   string
}

func (p parsed) file() string { return p.module.Package.Location.File }

// isLib tells whether a module is for others to import.
func isLib(module *ast.Module) bool { return module.Package.Path.HasPrefix(libRef) }

// parseLibs reads the libs of the policy whose rule stands in file: <policy>.libs[0].rego and so on. They have to be
// below sluice.lib, so that nothing but a rule's own package and libs can be named in it.
func parseLibs(file string, sources []string) ([]parsed, error) {
	var out []parsed
	var errs []error
	for i, source := range sources {
		lib, err := read(fmt.Sprintf("%s.libs[%d].rego", strings.TrimSuffix(file, ".rego"), i), source)
		if err == nil && (!isLib(lib.module) || len(lib.module.Package.Path) == len(libRef)) {
			err = withSource(fault(lib.module.Package.Location, "package %s: a lib's package is below sluice.lib, such as sluice.lib.%s",
				pathText(lib.module.Package.Path), refKey(lib.module.Package.Path, len(lib.module.Package.Path)-1)),
				map[string]string{lib.file(): source})
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		out = append(out, lib)
	}
	return out, errors.Join(errs...)
}

// pathText is a package's path as it is written in the module.
func pathText(path ast.Ref) string { return strings.TrimPrefix(path.String(), "data.") }

// shadowed are the library's lib modules with a rule's own among them: a package of the rule's own takes the
// place of the library's of that name.
func (l *Library) shadowed(own []parsed) map[string]*ast.Module {
	out := maps.Clone(l.libs)
	for _, lib := range own {
		maps.DeleteFunc(out, func(_ string, other *ast.Module) bool { return other.Package.Path.Equal(lib.module.Package.Path) })
	}
	for _, lib := range own {
		out[lib.file()] = lib.module
	}
	return out
}

// reach are the modules among libs that others refer to, directly or not, by file. Names need not be resolved yet:
// an import counts as a reference.
func reach(libs map[string]*ast.Module, from ...*ast.Module) map[string]*ast.Module {
	out := map[string]*ast.Module{}
	for i := 0; i < len(from); i++ {
		ast.WalkRefs(from[i], func(ref ast.Ref) bool {
			for file, lib := range libs {
				if _, there := out[file]; !there && touches(ref, lib.Package.Path) {
					out[file] = lib
					from = append(from, lib)
				}
			}
			return false
		})
	}
	return out
}

// touches tells whether a reference may read of a package: it names something in it, or something that holds it.
func touches(ref, path ast.Ref) bool {
	for i := range min(len(ref), len(path)) {
		_, constant := ref[i].Value.(ast.String)
		if (i == 0 || constant) && !ref[i].Equal(path[i]) {
			return false
		}
	}
	return true
}

// checkLibs checks the lib modules by themselves, so that what is wrong with one is found whoever uses it.
func (l *Library) checkLibs() error {
	if len(l.libs) == 0 {
		return nil
	}
	modules := map[string]*ast.Module{}
	for file, lib := range l.libs {
		modules[file] = lib.Copy()
	}
	var faults []error
	compiler := newCompiler(func(c *ast.Compiler) {
		for _, file := range slices.Sorted(maps.Keys(c.Modules)) {
			module := c.Modules[file]
			faults = append(faults, libRefs(module)...)
			faults = append(faults, unnamed(module, c.Modules)...)
		}
	})
	compiler.Compile(modules)
	return withSource(distinct(append(faults, compileFaults(schema.Genuine(compiler.Errors))...)...), l.texts)
}

// libRefs are what a lib refers to and must not.
func libRefs(module *ast.Module) []error {
	var errs []error
	ast.WalkRefs(module, func(ref ast.Ref) bool {
		switch {
		case ref.HasPrefix(ast.InputRootRef):
			errs = append(errs, fault(ref[0].Location, "%s: a lib has no input, pass what it needs as an argument", ref))
		case ref.HasPrefix(ast.DefaultRootRef) && !ref.HasPrefix(libRef):
			errs = append(errs, fault(ref[0].Location, "%s: a lib may read data.sluice.lib only", ref))
		}
		return false
	})
	return append(errs, mocks(module)...)
}

// newCompiler is a compiler for rules and libs. Look is called when names are resolved.
func newCompiler(look func(*ast.Compiler)) *ast.Compiler {
	return ast.NewCompiler().WithCapabilities(capabilities()).WithStrict(true).SetErrorLimit(0).
		WithStageAfterID(ast.StageResolveRefs, ast.CompilerStageDefinition{Name: "SluiceReferences", MetricName: "sluice_references",
			Stage: func(c *ast.Compiler) *ast.Error { look(c); return nil }})
}
