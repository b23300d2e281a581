package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/metrics"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// Example is what a test of a rule shows to whoever wants to use the rule. A test becomes one by METADATA with
// custom.example, which says what happens to the object.
type Example struct {
	Shows Showing
	Title string // of the METADATA; may be empty
	File  string
	Line  int
	// Request is the first input.request of the test with which this happens.
	Request    Document
	Parameters Document
	// Outcome is what the rule says of it. Its Policy and Err mean nothing.
	Outcome Outcome
}

// Subject is the request's object; on DELETE the one that goes.
func (x Example) Subject() Document {
	if object := x.Request.Get("object"); object.Exists() || x.Request.Get("operation").Text() != string(Delete) {
		return object
	}
	return x.Request.Get("oldObject")
}

// Showing is a value of custom.example.
type Showing string

// What an example shows.
const (
	ShowsRefused   Showing = "refused"
	ShowsAdmitted  Showing = "admitted"
	ShowsPatched   Showing = "patched"
	ShowsGenerated Showing = "generated"
)

// Examples are the examples in the tests of all folders by the rule's id, in the order in which a reader wants
// them: refused, admitted, patched, generated, then as the source has them. The tests of the rule's package are
// those of the package with _test behind its name. A test that does not show what it says is a Fault.
func Examples(ctx context.Context, folders ...fs.FS) (map[string][]Example, error) {
	modules, err := parseAll(folders)
	if err != nil {
		return nil, err
	}
	suite := newExampleSuite(modules)
	if suite.compiler.Failed() {
		return nil, distinct(compileFaults(suite.compiler.Errors)...)
	}
	out := map[string][]Example{}
	var errs []error
	for _, file := range slices.Sorted(maps.Keys(modules)) {
		rulePkg, isTest := testedPackage(modules[file])
		if !isTest {
			continue
		}
		id := ruleID(&ast.Package{Path: rulePkg})
		for _, test := range modules[file].Rules {
			example, err := suite.example(ctx, modules[file].Package.Path, rulePkg, test)
			errs = append(errs, err)
			if example.Shows != "" && err == nil {
				out[id] = append(out[id], example)
			}
		}
		slices.SortStableFunc(out[id], func(a, b Example) int {
			return slices.Index(showings(), a.Shows) - slices.Index(showings(), b.Shows)
		})
	}
	return out, errors.Join(errs...)
}

func showings() []Showing {
	return []Showing{ShowsRefused, ShowsAdmitted, ShowsPatched, ShowsGenerated}
}

func parseAll(folders []fs.FS) (map[string]*ast.Module, error) {
	modules := map[string]*ast.Module{}
	var errs []error
	for _, folder := range folders {
		sources, err := Sources(folder)
		if err != nil {
			return nil, err
		}
		for _, file := range slices.Sorted(maps.Keys(sources)) {
			module, err := parse(file, sources[file])
			modules[file] = module
			errs = append(errs, err)
		}
	}
	return modules, errors.Join(errs...)
}

// testedPackage is the package that a module's tests are about.
func testedPackage(module *ast.Module) (ast.Ref, bool) {
	path := module.Package.Path
	name, isText := path[len(path)-1].Value.(ast.String)
	tested, isTest := strings.CutSuffix(string(name), "_test")
	if !isText || !isTest {
		return nil, false
	}
	return path[:len(path)-1].Append(ast.StringTerm(tested)), true
}

// exampleSuite evaluates tests with the parameters that `sluice test` gives them.
type exampleSuite struct {
	compiler *ast.Compiler
	builtins map[string]*topdown.Builtin
}

func newExampleSuite(modules map[string]*ast.Module) exampleSuite {
	p := bindTestParameters(modules)
	s := exampleSuite{compiler: p.compiler(), builtins: factBuiltins()}
	s.builtins[parametersFunction] = &topdown.Builtin{Decl: p.function().declaration(), Func: p.function().evaluate}
	s.compiler.Compile(p.modules)
	return s
}

// example evaluates a test, and is zero for one that is no example.
func (s exampleSuite) example(ctx context.Context, testPkg, rulePkg ast.Ref, test *ast.Rule) (Example, error) {
	out := Example{File: test.Location.File, Line: test.Location.Row}
	for _, note := range test.Annotations {
		if value, ok := note.Custom["example"]; ok {
			out.Shows, out.Title = Showing(fmt.Sprint(value)), note.Title
		}
	}
	if out.Shows == "" {
		return out, nil
	}
	if !slices.Contains(showings(), out.Shows) {
		return out, fault(test.Location, "METADATA custom.example: %q: want refused, admitted, patched or generated", string(out.Shows))
	}
	witness := &exampleTracer{pkg: rulePkg}
	query := ast.NewBody(ast.NewExpr(ast.NewTerm(testPkg.Append(ast.StringTerm(string(test.Head.Name))))))
	passed := false
	err := topdown.NewQuery(query).WithCompiler(s.compiler).WithStore(noData{}).WithInput(ast.ObjectTerm()).
		WithCancel(newMeter(ctx, DefaultBudget())).WithBuiltins(s.builtins).WithMetrics(metrics.NoOp()).
		WithStrictBuiltinErrors(true).WithQueryTracer(witness).
		Iter(withState(ctx, nothing{}), func(topdown.QueryResult) error { passed = true; return nil })
	switch {
	case err != nil:
		return out, fault(test.Location, "the example can't be evaluated: %v", evaluationFault(err))
	case !passed:
		return out, fault(test.Location, "the test fails, so that it is no example")
	}
	return out, out.take(witness, test.Location)
}

// take finds the first request with which what the example shows happens.
func (x *Example) take(witness *exampleTracer, at *ast.Location) error {
	for _, seen := range witness.seen {
		input := Document{seen.input}
		x.Request, x.Parameters, x.Outcome = input.Get("request"), input.Get("parameters"), Outcome{}
		for _, verb := range verbs() {
			if results := seen.results[verb]; results != nil {
				if err := x.Outcome.add(verb, results); err != nil {
					return fault(at, "%v", err)
				}
			}
		}
		if x.Subject().IsObject() && x.happens() {
			return nil
		}
	}
	return fault(at, "METADATA custom.example says %s, but the rule is asked about no input.request.object with which that happens", x.Shows)
}

func (x *Example) happens() bool {
	said := len(x.Outcome.Deny) + len(x.Outcome.Warn)
	switch x.Shows {
	case ShowsRefused:
		return said > 0
	case ShowsPatched:
		return len(x.Outcome.Patch) > 0
	case ShowsGenerated:
		return len(x.Outcome.Generate) > 0
	}
	return said+len(x.Outcome.Patch)+len(x.Outcome.Generate) == 0
}

// exampleTracer notes every input that a rule's verbs are asked about, and what they say.
type exampleTracer struct {
	pkg  ast.Ref
	seen []*witnessed
}

type witnessed struct {
	input   ast.Value
	results map[Verb]ast.Set
}

// Enabled implements topdown.QueryTracer.
func (t *exampleTracer) Enabled() bool { return true }

// Config implements topdown.QueryTracer.
func (t *exampleTracer) Config() topdown.TraceConfig { return topdown.TraceConfig{} }

// TraceEvent implements topdown.QueryTracer. A rule whose index finds nothing is looked up, and not entered.
func (t *exampleTracer) TraceEvent(e topdown.Event) {
	switch e.Op {
	case topdown.IndexOp:
		if e.Ref != nil && e.Ref.HasPrefix(t.pkg) && slices.Contains(verbs(), Verb(refKey(*e.Ref, len(t.pkg)))) {
			t.at(&e)
		}
	case topdown.ExitOp:
		rule, ok := e.Node.(*ast.Rule)
		if !ok || rule.Head.Key == nil || !rule.Ref().HasPrefix(t.pkg) {
			return
		}
		if verb := Verb(rule.Head.Name); slices.Contains(verbs(), verb) {
			if seen := t.at(&e); seen != nil {
				if seen.results[verb] == nil {
					seen.results[verb] = ast.NewSet()
				}
				seen.results[verb].Add(e.Plug(rule.Head.Key))
			}
		}
	}
}

func (t *exampleTracer) at(e *topdown.Event) *witnessed {
	if e.Input() == nil {
		return nil
	}
	for _, seen := range t.seen {
		if seen.input.Compare(e.Input().Value) == 0 {
			return seen
		}
	}
	t.seen = append(t.seen, &witnessed{e.Input().Value, map[Verb]ast.Set{}})
	return t.seen[len(t.seen)-1]
}
