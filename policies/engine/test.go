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

	"github.com/sluice-gate/sluice/policies/facts"
)

// TestResult is one Rego test that was run.
type TestResult struct {
	Name     string // data.sluice.ingress.tls_required_test.test_no_tls
	File     string
	Line     int
	Passed   bool
	Skipped  bool
	Duration time.Duration
	Output   string // what print wrote
	Reason   string // an error that ended the test; empty for a test that was simply not true
	// Failures are the expressions that a test without Reason failed at: one, or one per case of a test with cases.
	Failures []Failure
}

// Coverage is what tests ran of one file.
type Coverage struct {
	File      string
	Percent   float64
	Uncovered []LineRange // sorted, and apart from each other
}

// LineRange is from its first to its last line, with the text of each.
type LineRange struct {
	First, Last int
	Text        []string
}

// testTimeout bounds one test: a busy machine must not fail it.
const testTimeout = 10 * time.Second

// Test runs the tests of all folders, with the modules of all folders beside them, and measures which
// lines of the rules they reach. Nothing exists beside the request, unless a test says otherwise by
// `with sluice.state.list as …`. input.parameters are what the test says, checked and completed with the
// defaults of the rule's METADATA, as those of a policy are.
func Test(ctx context.Context, folders ...fs.FS) ([]TestResult, []Coverage, error) {
	s := testSuite{sources: map[string]string{}, modules: map[string]*ast.Module{}}
	if err := s.parse(folders); err != nil {
		return nil, nil, err
	}
	s.prepare()
	covered := cover.New()
	runner := tester.NewRunner().SetModules(s.bound).SetDefaultRegoVersion(ast.RegoV1).SetTimeout(testTimeout).
		SetCompiler(s.compiler).AddCustomBuiltins(s.builtins).SetCoverageQueryTracer(covered).RaiseBuiltinErrors(true)
	ctx = withState(ctx, nothing{})
	done, err := runner.RunTests(ctx, nil)
	if err != nil {
		var compileErrs ast.Errors
		if errors.As(err, &compileErrs) {
			return nil, nil, withSource(distinct(compileFaults(compileErrs)...), s.sources)
		}
		return nil, nil, fmt.Errorf("run tests: %w", err)
	}
	var results []TestResult
	for r := range done {
		result := testResult(r)
		if r.Fail && r.Error == nil {
			result.Failures = s.explain(ctx, r)
		}
		results = append(results, result)
	}
	slices.SortFunc(results, func(a, b TestResult) int { return strings.Compare(a.Name, b.Name) })
	return results, s.coverage(covered.Report(s.modules)), ctx.Err()
}

// testSuite is what is needed to run tests.
type testSuite struct {
	sources  map[string]string
	modules  map[string]*ast.Module // as they were parsed
	bound    map[string]*ast.Module // with their parameters
	compiler *ast.Compiler
	builtins []*tester.Builtin
}

func (s *testSuite) parse(folders []fs.FS) error {
	var errs []error
	for _, folder := range folders {
		sources, err := Sources(folder)
		if err != nil {
			return err
		}
		for _, file := range slices.Sorted(maps.Keys(sources)) {
			module, err := parse(file, sources[file])
			s.modules[file], s.sources[file] = module, sources[file]
			errs = append(errs, err)
		}
	}
	return distinct(errs...)
}

// prepare makes the compiler. It leaves compiling to the runner.
func (s *testSuite) prepare() {
	p := bindTestParameters(s.modules)
	s.bound = p.modules
	s.compiler = p.compiler().WithRewriteTestRules(true).WithEnablePrintStatements(true).
		WithStageAfterID(ast.StageRewriteDynamicTerms, ast.CompilerStageDefinition{Name: "SluiceCaptureSides", MetricName: "sluice_capture_sides",
			Stage: func(c *ast.Compiler) *ast.Error { captureSides(c.Modules); return nil }})
	for _, f := range append(slices.Clone(factFunctions()), p.function()) {
		s.builtins = append(s.builtins, testBuiltin(f))
	}
}

// nothing is the state of a test.
type nothing struct{}

func (nothing) Get(schema.GroupKind, string, string) (Document, bool, error) {
	return Document{}, false, nil
}
func (nothing) List(schema.GroupKind, string) ([]Document, error) { return nil, nil }
func (nothing) HostConflicts(facts.HostClaims, func(string) (string, error)) ([]facts.HostConflict, error) {
	return nil, nil
}

func testBuiltin(f function) *tester.Builtin {
	decl := f.declaration()
	call := func(bctx topdown.BuiltinContext, terms []*ast.Term) (*ast.Term, error) {
		value, err := f.call(bctx, terms)
		if err != nil || value == nil {
			return nil, err
		}
		return ast.NewTerm(value), nil
	}
	register := rego.FunctionDyn(&rego.Function{Name: decl.Name, Decl: decl.Decl, Description: decl.Description}, call)
	return &tester.Builtin{Decl: decl, Func: register}
}

func testResult(r *tester.Result) TestResult {
	out := TestResult{Name: r.Package + "." + r.Name, Passed: r.Pass(), Skipped: r.Skip, Duration: r.Duration, Output: string(r.Output)}
	if r.Location != nil {
		out.File, out.Line = r.Location.File, r.Location.Row
	}
	if r.Error != nil {
		out.Reason = r.Error.Error()
		if _, reason, ok := strings.Cut(out.Reason, parametersFunction+": "); ok {
			out.Reason = reason
		}
	}
	return out
}

// coverage leaves out the tests' own files, and files with nothing to run.
func (s *testSuite) coverage(report cover.Report) []Coverage {
	var out []Coverage
	for _, file := range slices.Sorted(maps.Keys(report.Files)) {
		found := report.Files[file]
		if isTest(file) || found.CoveredLines+found.NotCoveredLines == 0 {
			continue
		}
		c := Coverage{File: file, Percent: found.Coverage}
		lines := strings.Split(s.sources[file], "\n")
		var rows []int
		for _, r := range found.NotCovered {
			for row := r.Start.Row; row <= min(r.End.Row, len(lines)); row++ {
				rows = append(rows, row)
			}
		}
		slices.Sort(rows)
		for _, row := range slices.Compact(rows) {
			if last := len(c.Uncovered) - 1; last >= 0 && c.Uncovered[last].Last == row-1 {
				c.Uncovered[last].Last = row
				c.Uncovered[last].Text = append(c.Uncovered[last].Text, lines[row-1])
				continue
			}
			c.Uncovered = append(c.Uncovered, LineRange{row, row, lines[row-1 : row : row]})
		}
		out = append(out, c)
	}
	return out
}

func isTest(file string) bool { return strings.HasSuffix(file, "_test.rego") }
