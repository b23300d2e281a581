package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/tester"
	"github.com/open-policy-agent/opa/v1/topdown"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// TestResult is one Rego test that was run.
type TestResult struct {
	Name     string // data.sluice.ingress.tls_required_test.test_no_tls
	File     string
	Line     int
	Passed   bool
	Skipped  bool
	Duration time.Duration
	Reason   string // why it failed; empty for a test that was simply not true
}

// Coverage is what tests ran of one file.
type Coverage struct {
	File      string
	Percent   float64
	Uncovered []LineRange
}

// LineRange is from its first to its last line.
type LineRange struct{ First, Last int }

// Test runs the tests of all folders, with the modules of all folders beside them, and measures which
// lines of the rules they reach. Nothing exists beside the request, unless a test says otherwise by
// `with sluice.state.list as …`.
func Test(ctx context.Context, folders ...fs.FS) ([]TestResult, []Coverage, error) {
	modules := map[string]*ast.Module{}
	texts := map[string]string{}
	var errs []error
	for _, folder := range folders {
		sources, err := Sources(folder)
		if err != nil {
			return nil, nil, err
		}
		for file, source := range sources {
			module, err := parse(file, source)
			modules[file], texts[file] = module, source
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, nil, err
	}
	covered := cover.New()
	runner := tester.NewRunner().SetModules(modules).SetDefaultRegoVersion(ast.RegoV1).SetTimeout(10 * time.Second).
		SetCompiler(ast.NewCompiler().WithCapabilities(capabilities()).WithStrict(true).WithRewriteTestRules(true)).
		AddCustomBuiltins(testBuiltins()).SetCoverageQueryTracer(covered).RaiseBuiltinErrors(true)
	done, err := runner.RunTests(withState(ctx, nothing{}), nil)
	if err != nil {
		var compileErrs ast.Errors
		if errors.As(err, &compileErrs) {
			return nil, nil, withSource(errors.Join(compileFaults(compileErrs)...), texts)
		}
		return nil, nil, fmt.Errorf("run tests: %w", err)
	}
	var results []TestResult
	for r := range done {
		results = append(results, testResult(r))
	}
	slices.SortFunc(results, func(a, b TestResult) int { return strings.Compare(a.Name, b.Name) })
	return results, coverage(covered.Report(modules)), nil
}

// nothing is the state of a test.
type nothing struct{}

func (nothing) Get(schema.GroupKind, string, string) (Document, bool, error) {
	return Document{}, false, nil
}
func (nothing) List(schema.GroupKind, string) ([]Document, error) { return nil, nil }

func testBuiltins() []*tester.Builtin {
	var out []*tester.Builtin
	for _, f := range factFunctions() {
		decl := f.declaration()
		call := func(bctx topdown.BuiltinContext, terms []*ast.Term) (*ast.Term, error) {
			value, err := f.call(bctx, terms)
			if err != nil || value == nil {
				return nil, err
			}
			return ast.NewTerm(value), nil
		}
		register := rego.FunctionDyn(&rego.Function{Name: decl.Name, Decl: decl.Decl, Description: decl.Description}, call)
		out = append(out, &tester.Builtin{Decl: decl, Func: register})
	}
	return out
}

func testResult(r *tester.Result) TestResult {
	out := TestResult{Name: r.Package + "." + r.Name, Passed: r.Pass(), Skipped: r.Skip, Duration: r.Duration}
	if r.Location != nil {
		out.File, out.Line = r.Location.File, r.Location.Row
	}
	if r.Error != nil {
		out.Reason = r.Error.Error()
	}
	return out
}

// coverage leaves out the tests' own files.
func coverage(report cover.Report) []Coverage {
	var out []Coverage
	for _, file := range slices.Sorted(maps.Keys(report.Files)) {
		if strings.HasSuffix(file, "_test.rego") {
			continue
		}
		c := Coverage{File: file, Percent: report.Files[file].Coverage}
		for _, r := range report.Files[file].NotCovered {
			c.Uncovered = append(c.Uncovered, LineRange{r.Start.Row, r.End.Row})
		}
		out = append(out, c)
	}
	return out
}
