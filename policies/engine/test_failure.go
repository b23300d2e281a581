package engine

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/tester"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// Failure is the expression that a test failed at.
type Failure struct {
	Case   string // of a test with cases, else empty
	File   string
	Line   int
	Source string // the line
	// Expected and Got are the two sides of an equation, over several lines; empty for any other expression. It is
	// JSON but for sets, which stand in braces.
	Expected, Got string
	// Values are those that any other expression had to do with, such as `x = 1`.
	Values []string
	// Note says what went wrong where values alone don't.
	Note string
}

// explain runs a failed test again and watches where it fails.
func (s *testSuite) explain(ctx context.Context, r *tester.Result) []Failure {
	ctx, cancel := context.WithTimeout(ctx, testTimeout)
	defer cancel()
	query := r.Package + "." + r.Name
	if strings.Contains(r.Name, "#") { // OPA's name for the second of two tests of one name
		query = r.Package + "[" + ast.StringTerm(r.Name).String() + "]"
	}
	options := []func(*rego.Rego){rego.Compiler(s.compiler), rego.Query(query)}
	for _, b := range s.builtins {
		options = append(options, b.Func)
	}
	prepared, err := rego.New(options...).PrepareForEval(ctx)
	if err != nil {
		return nil
	}
	watch := &failureTracer{suite: s, at: r.Location, bodies: map[uint64]bool{}, found: map[string]seen{}, passed: map[string]bool{}}
	// What it returns is known already.
	_, _ = prepared.Eval(ctx, rego.EvalQueryTracer(watch), rego.EvalRuleIndexing(false))
	var out []Failure
	for _, name := range slices.Sorted(maps.Keys(watch.found)) {
		if !watch.passed[name] {
			out = append(out, watch.found[name].failure)
		}
	}
	return out
}

// seen is a failure and how far the body had come.
type seen struct {
	failure Failure
	index   int
}

// failureTracer notes at which expression of its own body a test fails: the one it came farthest to.
type failureTracer struct {
	suite   *testSuite
	at      *ast.Location   // of the test
	bodies  map[uint64]bool // queries that are the test's body
	current string          // case
	inner   Failure         // the last failure within an expression of the test, such as in the body of every
	found   map[string]seen
	passed  map[string]bool // cases
}

func (t *failureTracer) Enabled() bool { return true }

func (t *failureTracer) Config() topdown.TraceConfig { return topdown.TraceConfig{} }

// TraceEvent implements topdown.QueryTracer.
func (t *failureTracer) TraceEvent(e topdown.Event) {
	switch node := e.Node.(type) {
	case *ast.Rule:
		own := node.Location != nil && node.Location.File == t.at.File && node.Location.Row == t.at.Row
		switch {
		case own && e.Op == topdown.EnterOp:
			t.bodies[e.QueryID] = true
		case own && e.Op == topdown.ExitOp:
			t.passed[t.current] = true
		}
	case *ast.Expr:
		switch {
		case e.Op == topdown.TestCaseOp:
			t.current = caseName(e.Plug(node.Operand(0)))
		case e.Op == topdown.EvalOp && t.bodies[e.QueryID]:
			t.inner = Failure{}
		case e.Op == topdown.FailOp:
			t.fail(e, node)
		}
	}
}

func caseName(name *ast.Term) string {
	var parts []string
	for _, part := range (Document{name.Value}).Elements() {
		text := part.Text()
		if text == "" {
			text = part.String()
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, "/")
}

func (t *failureTracer) fail(e topdown.Event, expr *ast.Expr) {
	if expr.Location == nil || expr.Location.File != t.at.File {
		return
	}
	if !t.bodies[e.QueryID] {
		if !expr.IsEvery() || t.inner.Line == 0 { // else it fails for the reason that was noted
			t.inner = t.failure(e, expr)
		}
		return
	}
	if last, ok := t.found[t.current]; ok && last.index > expr.Index {
		return
	}
	failure := t.failure(e, expr)
	if expr.IsEvery() && t.inner.Line > 0 {
		failure = t.inner
	}
	failure.Case = t.current
	t.found[t.current] = seen{failure, expr.Index}
}

func (t *failureTracer) failure(e topdown.Event, expr *ast.Expr) Failure {
	f := Failure{File: expr.Location.File, Line: expr.Location.Row}
	if lines := strings.Split(t.suite.sources[f.File], "\n"); f.Line > 0 && f.Line <= len(lines) {
		f.Source = strings.TrimSpace(lines[f.Line-1])
	}
	switch {
	case expr.Negated:
		f.Note = "it holds, and the test says not"
	case expr.IsEquality() && len(expr.Operands()) == 2 && !expr.Generated:
		a, b := e.Plug(expr.Operand(0)), e.Plug(expr.Operand(1))
		if !known(a) || !known(b) {
			f.Note = "it is undefined"
			break
		}
		if t.suite.expectedFirst(expr.Location) {
			a, b = b, a
		}
		f.Got, f.Expected = literal(a.Value), literal(b.Value)
	case undefinedRef(e, expr) != nil:
		f.Note = cut(undefinedRef(e, expr).String()) + " is undefined"
	case expr.IsCall():
		for _, operand := range expr.Operands() {
			if value := e.Plug(operand); known(value) {
				f.Values = append(f.Values, (Document{value.Value}).String())
			}
		}
		f.Note = "it does not hold"
	default:
		f.Note = "it is false or undefined"
	}
	return f
}

// undefinedRef is the reference that an expression fails to give a variable its value of; nil for any other expression.
func undefinedRef(e topdown.Event, expr *ast.Expr) ast.Ref {
	if !expr.IsEquality() && !expr.IsAssignment() || len(expr.Operands()) != 2 {
		return nil
	}
	_, open := e.Plug(expr.Operand(0)).Value.(ast.Var)
	ref, ok := e.Plug(expr.Operand(1)).Value.(ast.Ref)
	if !open || !ok || !ref.IsGround() {
		return nil
	}
	return ref
}

func known(term *ast.Term) bool {
	if !term.IsGround() {
		return false
	}
	open := false
	ast.WalkTerms(term, func(t *ast.Term) bool {
		switch t.Value.(type) {
		case ast.Ref, ast.Var, ast.Call:
			open = true
		}
		return open
	})
	return !open
}

// expectedFirst tells whether the expected side of an equation is the left one: it computes less.
func (s *testSuite) expectedFirst(at *ast.Location) bool {
	first := false
	ast.WalkExprs(s.modules[at.File], func(expr *ast.Expr) bool {
		if expr.Location.Row == at.Row && expr.Location.Col == at.Col && expr.IsCall() && len(expr.Operands()) == 2 {
			first = computes(expr.Operand(0)) < computes(expr.Operand(1))
		}
		return false
	})
	return first
}

// computes is how far a term is from a literal.
func computes(term *ast.Term) int {
	most := 0
	ast.WalkTerms(term, func(t *ast.Term) bool {
		switch v := t.Value.(type) {
		case ast.Call:
			most = max(most, 3)
		case ast.Ref:
			most = max(most, cmp.Or(min(len(v), 2), 1))
		case ast.Var:
			most = max(most, 1)
		}
		return false
	})
	return most
}

// captureSides lets a trace show the sides of equations in tests with cases, as OPA does in other tests: a reference
// becomes a variable, which has a value when the equation fails.
func captureSides(modules map[string]*ast.Module) {
	n := 0
	for file, module := range modules {
		for _, rule := range module.Rules {
			if !isTest(file) || rule.Head.DocKind() != ast.PartialObjectDoc {
				continue
			}
			var body ast.Body
			for _, expr := range rule.Body {
				for i, side := range expr.Operands() {
					if _, isRef := side.Value.(ast.Ref); !isRef || expr.Negated || expr.Generated || !expr.IsEquality() {
						continue
					}
					n++
					variable := ast.VarTerm(fmt.Sprintf("%ssluice%d__", ast.LocalVarPrefix, n))
					captured := ast.Equality.Expr(variable, side)
					captured.Generated, captured.With, captured.Location = true, expr.With, expr.Location
					body.Append(captured)
					expr.Terms.([]*ast.Term)[i+1] = variable
				}
				body.Append(expr)
			}
			rule.Body = body
		}
	}
}
