package engine

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/sluice-gate/sluice/policies/engine/schema"
)

// A LintFinding is one thing that the author of a rule should change.
type LintFinding struct {
	File         string
	Line, Column int    // from 1
	ID           string // one of the Lint constants
	Reason       string // why it is wrong
	Fix          string // what to do; empty where Reason says so
}

// What Lint finds.
const (
	LintParse    = "lint/parse"                    // it is no Rego
	LintMetadata = "lint/metadata"                 // METADATA is missing, incomplete or wrong
	LintCompile  = "lint/compile"                  // it does not load: strict mode, types, what a rule must not do
	LintFormat   = "lint/format"                   // it is not what `opa fmt` makes of it
	LintUnused   = "lint/unused"                   // no verb reaches it
	LintMessage  = "lint/message-before-condition" // a text is put together before it is known to be needed
	LintNegated  = "lint/negated-undefined"        // `not f(x)` says nothing where x is missing
	LintUntested = "lint/untested"                 // no test reads it
	LintCoverage = "lint/coverage"                 // its tests don't reach all of it; `sluice test` says so
)

// Lint says what is wrong with the style of the rules, libs and tests in a folder, and all that keeps them from
// loading. The modules in imported may be used by them and are not judged. Findings are sorted by place. The error is
// for a folder that can't be read.
func Lint(folder fs.FS, imported ...fs.FS) ([]LintFinding, error) {
	schemas, err := schema.Load()
	if err != nil {
		return nil, err
	}
	l := linter{library: &Library{rules: map[string]*Rule{}, libs: map[string]*ast.Module{}, schemas: schemas}, all: map[string]*ast.Module{}}
	for _, from := range imported {
		if err := l.importFrom(from); err != nil {
			return nil, err
		}
	}
	if l.sources, err = Sources(folder); err != nil {
		return nil, err
	}
	l.parse()
	l.load()
	for _, file := range l.files {
		l.style(file)
	}
	slices.SortStableFunc(l.findings, func(a, b LintFinding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.ID, b.ID), cmp.Compare(a.Reason, b.Reason))
	})
	return slices.Compact(l.findings), nil
}

// linter collects findings about the files that could be parsed.
type linter struct {
	library  *Library
	sources  map[string]string
	files    []string               // parsed ones, sorted
	all      map[string]*ast.Module // with what is imported
	findings []LintFinding
}

func (l *linter) add(id string, at *ast.Location, fix, format string, args ...any) {
	l.findings = append(l.findings, LintFinding{at.File, max(at.Row, 1), max(at.Col, 1), id, fmt.Sprintf(format, args...), fix})
}

// addFaults adds what keeps a file from loading.
func (l *linter) addFaults(id string, err error) {
	if err == nil {
		return
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // taken apart layer by layer
		for _, inner := range joined.Unwrap() {
			l.addFaults(id, inner)
		}
		return
	}
	var f *Fault
	if !errors.As(err, &f) {
		l.findings = append(l.findings, LintFinding{Line: 1, Column: 1, ID: id, Reason: err.Error()})
		return
	}
	if strings.Contains(f.Reason, "METADATA") && id == LintCompile {
		id = LintMetadata
	}
	l.findings = append(l.findings, LintFinding{f.File, f.Line, f.Column, id, f.Reason, ""})
}

func (l *linter) importFrom(folder fs.FS) error {
	sources, err := Sources(folder)
	if err != nil {
		return err
	}
	for file, source := range sources {
		if isTest(file) {
			continue
		}
		module, err := parse(file, source)
		if err != nil {
			return err
		}
		l.all[file] = module
		if isLib(module) && !isTestLib(module) {
			l.library.libs[file] = module
		}
	}
	return nil
}

func (l *linter) parse() {
	for _, file := range slices.Sorted(maps.Keys(l.sources)) {
		module, err := parse(file, l.sources[file])
		if err != nil {
			l.addFaults(LintParse, err)
			continue
		}
		l.all[file] = module
		l.files = append(l.files, file)
		if isLib(module) && !isTestLib(module) && !isTest(file) {
			l.library.libs[file] = module
		}
	}
}

// load checks rules as they are checked before they run, and compiles libs and tests in strict mode.
func (l *linter) load() {
	for _, file := range l.files {
		if !isTest(file) && !isLib(l.all[file]) {
			l.addFaults(LintCompile, l.library.add(parsed{l.all[file], l.sources[file]}))
		}
	}
	if len(l.files) < len(l.sources) {
		return // what is missing would be an error in whatever uses it
	}
	l.addFaults(LintCompile, l.library.checkLibs())
	compiler := ast.NewCompiler().WithCapabilities(capabilities()).WithStrict(true).SetErrorLimit(0)
	compiler.Compile(l.all)
	for _, err := range compiler.Errors {
		if _, own := l.sources[err.Location.File]; own && (isTest(err.Location.File) || isLib(l.all[err.Location.File])) {
			l.addFaults(LintCompile, errors.Join(compileFaults(ast.Errors{err})...))
		}
	}
}

// style looks at one file by itself.
func (l *linter) style(file string) {
	l.format(file)
	module := l.all[file]
	if isTest(file) {
		return
	}
	l.untested(file, module)
	if isLib(module) {
		return
	}
	l.unused(module)
	l.messages(module)
	l.negated(module)
}
