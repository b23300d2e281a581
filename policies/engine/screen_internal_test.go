package engine

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// What a screen finds out of a rule is what the evaluator says of it, whatever is written in Rego and asked about.
func TestScreensAgreeAboutRandomRules(t *testing.T) {
	const modules, objects = 150, 8
	known := map[result]int{}
	for n := range uint64(modules) {
		w := &writer{chooser: chooser{rand.New(rand.NewPCG(1, n))}, calls: map[string]int{}, sound: n%4 > 0}
		u, source := w.unit(t)
		for range objects {
			comparedByRule(t, known, u, w.object(), source)
		}
	}
	t.Logf("%d none, %d found, %d unsure", known[none], known[found], known[unsure])
	if least := modules * objects; known[none] < least || known[found] < least {
		t.Error("screens find out too little to be compared")
	}
}

// Rules over few values, most of which are defined, meet where the evaluator goes ways of its own: sets that are looked up by keys,
// functions with patterns and else, and closures.
func TestScreensAgreeAboutDenseRules(t *testing.T) {
	const modules, objects = 150, 5
	known := map[result]int{}
	for n := range uint64(modules) {
		w := &denseWriter{chooser: chooser{rand.New(rand.NewPCG(2, n))}}
		u, source := compiledRules(t, w.rules())
		for range objects {
			comparedByRule(t, known, u, w.object(), source)
		}
	}
	t.Logf("%d none, %d found, %d unsure", known[none], known[found], known[unsure])
	if least := modules * objects; known[none] < least || known[found] < 5*least {
		t.Error("screens find out too little to be compared")
	}
}

// comparedByRule asks a screen and the evaluator about every rule of a unit, and counts what the screen found out.
func comparedByRule(t *testing.T, known map[result]int, u *unit, object, source string) {
	t.Helper()
	documents, reader := documentsOf(t, u)
	input := randomInput(t, object)
	s := newScreening(len(reader.known), reader.paths.all)
	ctx := withResults(context.Background(), nil)
	s.input, s.meter = input, newMeter(ctx, Budget{Time: time.Minute, Steps: screenSteps})
	s.context.Context, s.context.Cancel = ctx, s.meter
	for _, d := range documents {
		got, is := s.document(d.document)
		if known[is]++; is == unsure {
			continue
		}
		want, err := d.evaluate(ctx, u, input)
		if err != nil || (is == found) != (want != nil) || is == found && !got.Equal(want) {
			t.Fatalf("%s is %d, %v, want %v, %v\n%s\n%s", d.name, is, got, want, err, object, source)
		}
	}
}

// asked is a rule that the screen and the evaluator are asked about.
type asked struct {
	name     string
	document *document
	body     ast.Body
}

// documentsOf are the rules of a unit that take no arguments, and what has read them.
func documentsOf(t *testing.T, u *unit) (out []asked, r *screenReader) {
	t.Helper()
	r = newScreenReader(u.compiler)
	for _, file := range slices.Sorted(maps.Keys(u.compiler.Modules)) {
		for _, rule := range u.compiler.Modules[file].Rules {
			name := rule.Ref().GroundPrefix()
			read, rest := r.named(name)
			if len(rule.Head.Args) > 0 || len(rest) > 0 { // a function, or a part of rules such as a[x]
				continue
			}
			body, err := u.compiler.QueryCompiler().Compile(ast.NewBody(ast.Equality.Expr(ast.VarTerm("out"), ast.NewTerm(name))))
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, asked{name.String(), read, body})
		}
	}
	return out, r
}

// evaluate asks the evaluator; nil is undefined.
func (a asked) evaluate(ctx context.Context, u *unit, input *ast.Term) (value *ast.Term, err error) {
	defer func() {
		if caught := recover(); caught != nil {
			err = fmt.Errorf("panic: %v", caught)
		}
	}()
	var failed []topdown.Error
	query := topdown.NewQuery(a.body).WithCompiler(u.compiler).WithStore(noData{}).WithInput(input).
		WithBuiltins(evaluationBuiltins()).WithBuiltinErrorList(&failed)
	err = query.Iter(ctx, func(result topdown.QueryResult) error {
		value = result["out"]
		return nil
	})
	if err == nil && len(failed) > 0 {
		err = &failed[0]
	}
	return value, err
}

func randomInput(t *testing.T, object string) *ast.Term {
	t.Helper()
	request, err := ParseJSON([]byte(`{"operation":"CREATE","object":{"spec":` + object + `}}`))
	if err != nil {
		t.Fatal(err)
	}
	input, err := Input{Request: request}.term()
	if err != nil {
		t.Fatal(err)
	}
	return input
}

// unit compiles rules about an object o, and a lib. Lines that don't compile are left out.
func (w *writer) unit(t *testing.T) (*unit, string) {
	t.Helper()
	const begin = "o := input.request.object.spec"
	lines := map[string][]string{}
	lines["lib.rego"] = append([]string{"package sluice.lib.random", begin}, w.helpers("l")...)
	for i, name := range w.docs {
		w.docs[i] = "data.sluice.lib.random." + name
	}
	calls := map[string]int{}
	for name, arity := range w.calls {
		calls["data.sluice.lib.random."+name] = arity
	}
	w.calls = calls
	lines["rule.rego"] = append([]string{"package sluice.test.random", begin, "told := " + w.object()}, w.helpers("h")...)
	for i := range 8 {
		w.vars = nil
		lines["rule.rego"] = append(lines["rule.rego"], fmt.Sprintf("c%d if %s", i, w.body(3)), fmt.Sprintf("t%d := %s", i, w.term(1)))
		if len(w.calls) > 0 {
			name := w.function()
			lines["rule.rego"] = append(lines["rule.rego"], fmt.Sprintf("f%d := %s(%s)", i, name, w.terms(w.calls[name], 0)))
		}
	}
	return compiledRules(t, lines)
}

// compiledRules leaves out lines that don't compile.
func compiledRules(t *testing.T, lines map[string][]string) (*unit, string) {
	t.Helper()
	lines["rule.rego"] = append(lines["rule.rego"], `deny contains "always"`)
	for { // the last line always compiles
		u, err := unchecked(lines)
		if err == nil {
			return u, strings.Join(append(lines["lib.rego"], lines["rule.rego"]...), "\n")
		}
		if !dropFaulty(lines, err) {
			t.Fatalf("%v\n%s", err, strings.Join(lines["rule.rego"], "\n"))
		}
	}
}

// unchecked compiles without the checks of types.
func unchecked(lines map[string][]string) (*unit, error) {
	modules := map[string]*ast.Module{}
	for file, text := range lines {
		module, err := ast.ParseModuleWithOpts(file, strings.Join(text, "\n"), ast.ParserOptions{RegoVersion: ast.RegoV1, Capabilities: capabilities()})
		if err != nil {
			return nil, err
		}
		modules[file] = module
	}
	rule := &Rule{module: modules["rule.rego"], libs: map[string]*ast.Module{"lib.rego": modules["lib.rego"]}, Verbs: []Verb{Deny}}
	var err error
	if rule.parameters, err = newParameters(rule); err != nil {
		return nil, err
	}
	u, err := compileUnit([]Policy{{Name: "p", Rule: rule}})
	if err != nil {
		return nil, err
	}
	return u, distinct(circular(u.compiler.Modules)...)
}

var faultyLine = regexp.MustCompile(`(lib|rule)\.rego:(\d+)`)

func dropFaulty(lines map[string][]string, err error) bool {
	faulty := map[string]map[int]bool{"lib.rego": {}, "rule.rego": {}}
	for _, match := range faultyLine.FindAllStringSubmatch(err.Error(), -1) {
		line, _ := strconv.Atoi(match[2])
		faulty[match[1]+".rego"][line-1] = line > 3 || line > 2 && match[1] == "lib"
	}
	dropped := false
	for _, file := range slices.Collect(maps.Keys(lines)) {
		var kept []string
		for i, line := range lines[file] {
			if !faulty[file][i] {
				kept = append(kept, line)
			}
		}
		dropped = dropped || len(kept) < len(lines[file])
		lines[file] = kept
	}
	return dropped
}

func (w *writer) object() string {
	return fmt.Sprintf(`{"a":%s,"b":%s,"list":[%s,%s],"map":{"a":%s,"b":%s}}`, w.json(2), w.json(2), w.json(2), w.json(2), w.json(2), w.json(1))
}

func (w *writer) json(depth int) string {
	if depth == 0 || w.IntN(4) == 0 {
		return w.scalar()
	}
	var items, fields []string
	for _, key := range []string{"a", "b", "1", "list"} {
		if w.IntN(2) == 0 {
			items = append(items, w.json(depth-1))
			fields = append(fields, strconv.Quote(key)+":"+w.json(depth-1))
		}
	}
	return w.one("["+strings.Join(items, ",")+"]", "{"+strings.Join(fields, ",")+"}")
}
