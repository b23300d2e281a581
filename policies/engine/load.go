package engine

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/sluice-gate/sluice/policies/engine/schema"
)

// Library is a set of checked rules by id, and the modules below sluice.lib that they import.
type Library struct {
	rules   map[string]*Rule
	libs    map[string]*ast.Module // by file
	texts   map[string]string      // of libs, by file
	schemas *schema.Schemas
}

// Load reads and checks every .rego file in the folders, tests aside. All that is wrong is reported at
// once: the error joins a *Fault for each. A later folder may use the lib modules of an earlier one;
// two rules of one id are an error.
func Load(folders ...fs.FS) (*Library, error) {
	schemas, err := schema.Load()
	if err != nil {
		return nil, err
	}
	library := &Library{rules: map[string]*Rule{}, libs: map[string]*ast.Module{}, texts: map[string]string{}, schemas: schemas}
	var modules []parsed
	var errs []error
	for _, folder := range folders {
		sources, err := Sources(folder)
		if err != nil {
			return nil, err
		}
		for _, file := range slices.Sorted(maps.Keys(sources)) {
			if strings.HasSuffix(file, "_test.rego") {
				continue
			}
			module, err := read(file, sources[file])
			switch {
			case err != nil:
				errs = append(errs, err)
			case isTestLib(module.module):
			case isLib(module.module):
				library.libs[file], library.texts[file] = module.module, module.text
			default:
				modules = append(modules, module)
			}
		}
	}
	errs = append(errs, library.checkLibs())
	for _, module := range modules {
		errs = append(errs, library.add(module))
	}
	return library, distinct(errs...)
}

// Sources are the .rego files of a folder, hidden ones aside, by their path in it.
func Sources(folder fs.FS) (map[string]string, error) {
	sources := map[string]string{}
	err := fs.WalkDir(folder, ".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		hidden := file != "." && strings.HasPrefix(path.Base(file), ".")
		switch {
		case entry.IsDir() && hidden:
			return fs.SkipDir
		case entry.IsDir() || hidden || path.Ext(file) != ".rego":
			return nil
		}
		data, err := fs.ReadFile(folder, file)
		sources[file] = string(data)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read rules: %w", err)
	}
	return sources, nil
}

// Rule finds a rule by its id.
func (l *Library) Rule(id string) (*Rule, bool) {
	rule, ok := l.rules[id]
	return rule, ok
}

// Rules are all rules, sorted by id.
func (l *Library) Rules() []*Rule {
	return slices.SortedFunc(maps.Values(l.rules), func(a, b *Rule) int { return cmp.Compare(a.ID, b.ID) })
}

// Inline checks a module that stands in a policy of its own, and libs that only it may import. It may import the
// library's lib modules too; a package of libs takes the place of the library's of that name, for this rule and for
// what it imports. What is wrong with libs is in <name without .rego>.libs[0].rego and so on.
func (l *Library) Inline(name, source string, libs ...string) (rule *Rule, err error) {
	defer func() {
		if caught := recover(); caught != nil { // the module is anybody's, and must not stop others
			rule, err = nil, &Fault{File: name, Line: 1, Column: 1, Reason: fmt.Sprintf("panic in compilation: %v", caught)}
		}
	}()
	module, err := read(name, source)
	own, errLibs := parseLibs(name, libs)
	if err := errors.Join(err, errLibs); err != nil {
		return nil, err
	}
	rule, err = l.check(module, own...)
	if err != nil {
		return nil, distinct(err)
	}
	return rule, nil
}

func (l *Library) add(module parsed) error {
	rule, err := l.check(module)
	if err != nil {
		return err
	}
	if other, taken := l.rules[rule.ID]; taken {
		err := fault(module.module.Package.Location, "the rule %s is already in %s: a rule's id is its package path, choose another", rule.ID, other.File)
		if f := (*Fault)(nil); errors.As(err, &f) {
			f.Other = other.File
		}
		return withSource(err, rule.texts)
	}
	l.rules[rule.ID] = rule
	return nil
}

// read is parse that keeps the text.
func read(file, source string) (parsed, error) {
	module, err := parse(file, source)
	return parsed{module, source}, err
}

// isTestLib tells whether a module is for tests alone: rules can't import it.
func isTestLib(module *ast.Module) bool { return module.Package.Path.HasPrefix(testLibRef) }

// byteOrderMark is what editors on Windows begin a file with. OPA skips it, and then takes no comment of the first line.
const byteOrderMark = "\ufeff"

// maxNesting bounds how deep the parser goes: two levels for a bracket, one for an operator in a chain. People write a
// dozen; OPA takes minutes to compile tens of thousands, and nothing ends a compilation before it is done.
const maxNesting = 500

// parse reads Rego v1 with its annotations.
func parse(file, source string) (*ast.Module, error) {
	source = strings.TrimPrefix(source, byteOrderMark)
	_, _, nested := ast.NewParser().WithFilename(file).WithReader(strings.NewReader(source)).WithRegoVersion(ast.RegoV1).
		WithMaxRecursionDepth(maxNesting).Parse()
	for _, err := range nested {
		if strings.HasSuffix(err.Message, ast.ErrMaxParsingRecursionDepthExceeded.Error()) {
			return nil, withSource(fault(err.Location, "what stands here is nested too deep: take it apart, into variables, functions or libs"), map[string]string{file: source})
		}
	}
	module, err := ast.ParseModuleWithOpts(file, source, ast.ParserOptions{
		RegoVersion: ast.RegoV1, ProcessAnnotation: true, Capabilities: capabilities(),
	})
	if err != nil {
		var parseErrs ast.Errors
		if errors.As(err, &parseErrs) {
			return nil, withSource(distinct(compileFaults(parseErrs)...), map[string]string{file: source})
		}
		var empty *ast.Error
		if !errors.As(err, &empty) {
			return nil, fmt.Errorf("parse %s: %w", file, err)
		}
	}
	if module == nil {
		return nil, &Fault{File: file, Line: 1, Column: 1, Reason: "the file has no Rego in it"}
	}
	return module, nil
}
