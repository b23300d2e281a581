package engine

import (
	"context"
	"sync"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/topdown/builtins"
)

// A screen finds out what a verb of a policy says about an input without the evaluator, which takes several times as long.
//
// It reads the compiled rules and calls the same built-in functions, expression by expression in the evaluator's order,
// and understands the part of Rego in which most rules are written. Whatever it does not understand, an error, a panic and a
// conflict make it unsure: then the evaluator is asked. Tests hold the two together on every case of the corpus, on the inputs
// of all Rego tests and on mutations of them, and on random rules. Two things may differ: a policy may be answered that the
// evaluator would take too long for, and of equal numbers that are written differently, such as 1 and 1.0, which no API server
// sends, the other may be in a message.
type screen struct {
	verbs []map[Verb]*document // of the unit's policies
	pool  sync.Pool
}

// screenSteps bounds how many expressions are tried for one input: what takes longer is the evaluator's.
const screenSteps = 10_000

// result is what is known of a body or a value. Its zero value lets nothing be concluded.
type result uint8

const (
	unsure result = iota
	none          // a body without solution, a value that is undefined
	found         // a solution, a value
	free          // a value with a variable that is not bound yet
)

// newScreen reads what u has compiled.
func newScreen(u *unit) *screen {
	r := newScreenReader(u.compiler)
	out := &screen{verbs: make([]map[Verb]*document, len(u.policies))}
	for i, policy := range u.policies {
		out.verbs[i] = map[Verb]*document{}
		for _, verb := range verbs() {
			if policy.Rule.States(verb) {
				out.verbs[i][verb] = r.document(append(policyRoot("gate", policy.Name), ast.StringTerm(string(verb))))
			}
		}
	}
	out.pool.New = func() any { return newScreening(len(r.known), r.paths.all) }
	return out
}

// outcomes are what the active policies say by the verbs asked, and those of which that isn't known, by their places in active.
func (s *screen) outcomes(ctx context.Context, budget Budget, input *ast.Term, active []int, asked []Verb) (out []Outcome, unknown []int) {
	run := s.pool.Get().(*screening)
	defer s.pool.Put(run)
	run.input, run.meter = input, newMeter(ctx, Budget{Time: budget.Time, Steps: min(budget.Steps, screenSteps)})
	run.context = topdown.BuiltinContext{Context: ctx, Cancel: run.meter, Cache: builtins.Cache{screenedKey{}: true}}
	out = make([]Outcome, len(active))
	for i, policy := range active {
		var known bool
		if out[i], known = run.outcome(s.verbs[policy], asked); !known {
			unknown = append(unknown, i)
		}
		out[i].Policy = policy
	}
	run.meter.check()
	if run.meter.reason != nil { // the evaluator will say why
		unknown = unknown[:0]
		for i := range active {
			unknown = append(unknown, i)
		}
	}
	run.forget()
	return out, unknown
}

// MaySay tells whether a verb of a policy could say something about some input. Where the parameters already rule that out,
// as those of a rule that has to be told something first, it could not.
func (p *Program) MaySay(policy int, verb Verb) bool {
	seat := p.seats[policy]
	return seat.unit.screen.maySay(p.budget, seat.index, verb)
}

// maySay screens an input of which nothing is known.
func (s *screen) maySay(budget Budget, policy int, verb Verb) bool {
	run := s.pool.Get().(*screening)
	defer s.pool.Put(run)
	run.meter = &meter{ctx: unending{}, deadline: time.Now().Add(budget.Time), limit: min(budget.Steps, screenSteps)}
	run.context = topdown.BuiltinContext{Context: unending{}, Cancel: run.meter, Cache: builtins.Cache{}}
	quiet := run.quiet(s.verbs[policy][verb])
	run.forget()
	return !quiet
}

// unending is the context of what no request waits for.
type unending struct{ context.Context }

// Err implements context.Context.
func (unending) Err() error { return nil }

// Value implements context.Context.
func (unending) Value(any) any { return nil }

// screening is one input on its way through a screen.
type screening struct {
	input   *ast.Term // nil for any
	context topdown.BuiltinContext
	meter   *meter
	slots   []*ast.Term // the variables of all bodies that are being solved; nil where unbound
	trail   []int       // slots in the order in which they were bound
	values  []documentValue
	read    []int // documents in values
	paths   []inputPath
	reached []reached
	visited []int32 // numbers in reached

	arguments  []*ast.Term // of all calls that are being made
	output     *ast.Term   // of the last call of a built-in function
	outputs    int
	takeOutput func(*ast.Term) error
}

func newScreening(documents int, all []inputPath) *screening {
	s := &screening{values: make([]documentValue, documents), paths: all, reached: make([]reached, len(all))}
	s.takeOutput = func(output *ast.Term) error {
		s.output = output
		s.outputs++
		return nil
	}
	return s
}

// documentValue is what a document without arguments was found to be.
type documentValue struct {
	kept   bool
	result result
	term   *ast.Term
}

func (s *screening) forget() {
	for _, id := range s.read {
		s.values[id] = documentValue{}
	}
	for _, number := range s.visited {
		s.reached[number] = reached{}
	}
	clear(s.slots[:cap(s.slots)])
	clear(s.arguments[:cap(s.arguments)])
	s.slots, s.trail, s.arguments, s.read, s.visited = s.slots[:0], s.trail[:0], s.arguments[:0], s.read[:0], s.visited[:0]
	s.input, s.output, s.meter, s.context = nil, nil, nil, topdown.BuiltinContext{}
}

// outcome is what a policy says by the verbs asked. Where that is not known, for whatever reason, the evaluator will say it.
func (s *screening) outcome(said map[Verb]*document, asked []Verb) (out Outcome, known bool) {
	defer func() {
		if recover() != nil {
			out, known = Outcome{}, false
		}
	}()
	for _, verb := range asked {
		d := said[verb]
		if d == nil {
			continue
		}
		if d.opaque || !d.set {
			return Outcome{}, false
		}
		results := sink{all: true}
		if s.collect(d, &results) == unsure || results.set != nil && out.add(verb, results.set) != nil {
			return Outcome{}, false
		}
	}
	return out, true
}

// quiet tells that a verb says nothing, whatever the input is.
func (s *screening) quiet(d *document) (quiet bool) {
	defer func() {
		if recover() != nil {
			quiet = false
		}
	}()
	if d == nil || d.opaque {
		return d == nil
	}
	for _, definition := range d.definitions {
		if s.solve(definition, nil, nil) != none {
			return false
		}
	}
	return true
}
