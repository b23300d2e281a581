package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/metrics"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// Input is what the rules of one review see.
type Input struct {
	Request   Document // the AdmissionRequest: input.request
	Namespace Document // the whole Namespace object: input.namespace
	State     State    // what exists beside the request; nil answers every question with an error
	// Leaves: the request takes its object, or the Namespace that it is about, out of the policies: input.leaves.
	Leaves bool
}

// errNoRequest is the error of every policy that is asked about the zero Input.
var errNoRequest = errors.New("there is no request to judge")

func (in Input) term() (*ast.Term, error) {
	if in.Request.value == nil {
		return nil, errNoRequest
	}
	namespace := in.Namespace.value
	if namespace == nil {
		namespace = ast.InternedNullValue
	}
	return ast.NewTerm(ast.NewObject(
		[2]*ast.Term{keyTerm("request"), ast.NewTerm(in.Request.value)},
		[2]*ast.Term{keyTerm("namespace"), ast.NewTerm(namespace)},
		[2]*ast.Term{keyTerm("leaves"), ast.InternedTerm(in.Leaves)})), nil
}

// Outcome is what one policy said of a request. With Err set the policy could not be evaluated and said
// nothing.
type Outcome struct {
	Policy   int // index into Program.Policies
	Deny     []Finding
	Warn     []Finding
	Patch    []Operation6902
	Generate []Document
	Err      error
}

// Evaluate asks the active policies (indexes into Policies) for the given verbs. Outcomes come in the
// order of active. What the screen can't tell is one query for all of a unit, and most programs are one unit; when that fails or
// runs over its budget, each of the unit's policies is asked alone, so that an error is blamed on its policy and the
// others keep their results. The budget is for each of these: at most three for a policy. Without a request every policy
// fails.
func (p *Program) Evaluate(ctx context.Context, in Input, active []int, asked ...Verb) []Outcome {
	if len(active) == 0 {
		return nil
	}
	input, err := in.term()
	if err != nil {
		return unevaluated(active, err)
	}
	ctx = withResults(ctx, in.State)
	var buffer [unitSize]int
	first, together := p.seats[active[0]].unit, buffer[:0]
	for _, policy := range active {
		if p.seats[policy].unit == first {
			together = append(together, p.seats[policy].index)
		}
	}
	if len(together) == len(active) {
		outcomes := first.evaluate(ctx, p.budget, input, together, asked)
		for i := range outcomes {
			outcomes[i].Policy = active[i]
		}
		return outcomes
	}
	return p.evaluateUnits(ctx, input, active, asked)
}

// unevaluated is what policies say that can't be evaluated for one reason.
func unevaluated(active []int, reason error) []Outcome {
	outcomes := make([]Outcome, len(active))
	for i, policy := range active {
		outcomes[i] = Outcome{Policy: policy, Err: reason}
	}
	return outcomes
}

// evaluateUnits asks policies of several units.
func (p *Program) evaluateUnits(ctx context.Context, input *ast.Term, active []int, asked []Verb) []Outcome {
	var units []*unit
	members := map[*unit][]int{} // positions in active
	for at, policy := range active {
		u := p.seats[policy].unit
		if members[u] == nil {
			units = append(units, u)
		}
		members[u] = append(members[u], at)
	}
	out := make([]Outcome, len(active))
	for _, u := range units {
		local := make([]int, len(members[u]))
		for i, at := range members[u] {
			local[i] = p.seats[active[at]].index
		}
		for i, outcome := range u.evaluate(ctx, p.budget, input, local, asked) {
			outcome.Policy = active[members[u][i]]
			out[members[u][i]] = outcome
		}
	}
	return out
}

// evaluate asks policies of the unit, which active and the outcomes name by their indexes in it. The evaluator is asked about those
// of which the screen doesn't know what they say.
func (u *unit) evaluate(ctx context.Context, budget Budget, input *ast.Term, active []int, asked []Verb) []Outcome {
	outcomes, unknown := u.screen.outcomes(ctx, budget, input, active, asked)
	if len(unknown) == 0 {
		return outcomes
	}
	remaining := make([]int, len(unknown))
	for i, at := range unknown {
		remaining[i] = active[at]
	}
	for i, said := range u.ask(ctx, budget, input, remaining, asked) {
		outcomes[unknown[i]] = said
	}
	return outcomes
}

// ask asks the evaluator.
func (u *unit) ask(ctx context.Context, budget Budget, input *ast.Term, active []int, asked []Verb) []Outcome {
	if together, err := u.plan(active, asked); err == nil {
		if outcomes, err := u.run(ctx, budget, together, input); err == nil {
			return outcomes
		}
	}
	outcomes := make([]Outcome, 0, len(active))
	for _, policy := range active {
		if err := ctx.Err(); err != nil {
			outcomes = append(outcomes, Outcome{Policy: policy, Err: fmt.Errorf("the request's deadline passed: %w", err)})
			continue
		}
		outcomes = append(outcomes, u.evaluateOne(ctx, budget, input, policy, asked))
	}
	return outcomes
}

func (u *unit) evaluateOne(ctx context.Context, budget Budget, input *ast.Term, policy int, asked []Verb) Outcome {
	alone, err := u.plan([]int{policy}, asked)
	if err != nil {
		return Outcome{Policy: policy, Err: err}
	}
	outcomes, err := u.run(ctx, budget, alone, input)
	if err != nil {
		return Outcome{Policy: policy, Err: err}
	}
	return outcomes[0]
}

// run evaluates a plan. Any built-in error, an overrun, a conflict or a panic fails the whole of it.
func (u *unit) run(ctx context.Context, budget Budget, pl *plan, input *ast.Term) (outcomes []Outcome, err error) {
	defer func() {
		if caught := recover(); caught != nil {
			outcomes, err = nil, fmt.Errorf("panic in evaluation: %v", caught)
		}
	}()
	var builtinErrs []topdown.Error
	watch := newMeter(ctx, budget)
	query := topdown.NewQuery(pl.body).WithCompiler(u.compiler).WithStore(noData{}).WithInput(input).
		WithCancel(watch).WithBuiltins(evaluationBuiltins()).WithBuiltinErrorList(&builtinErrs).WithMetrics(metrics.NoOp())
	var values *ast.Array
	err = query.Iter(ctx, func(result topdown.QueryResult) error {
		if out := result["out"]; out != nil {
			values, _ = out.Value.(*ast.Array)
		}
		return nil
	})
	watch.check() // the last call may have taken long
	switch {
	case watch.reason != nil:
		return nil, watch.reason
	case err != nil:
		return nil, evaluationFault(err)
	case len(builtinErrs) > 0:
		return nil, evaluationFault(&builtinErrs[0])
	case values == nil || values.Len() != len(pl.parts):
		return nil, errors.New("the query has no result")
	}
	return collect(pl, values)
}

// evaluationFault is a topdown error in one line, for people who know nothing of the rule's source.
func evaluationFault(err error) error {
	var at *topdown.Error
	if errors.As(err, &at) && at.Location != nil {
		reason, _, _ := strings.Cut(at.Message, "\n")
		return fmt.Errorf("%s (%s:%d)", strings.TrimSuffix(reason, ":"), at.Location.File, at.Location.Row)
	}
	return err
}

func collect(pl *plan, values *ast.Array) ([]Outcome, error) {
	outcomes := make([]Outcome, len(pl.active))
	for i, policy := range pl.active {
		outcomes[i].Policy = policy
	}
	for i, part := range pl.parts {
		set, ok := values.Elem(i).Value.(ast.Set)
		if !ok {
			return nil, fmt.Errorf("%s is no set", part.verb)
		}
		if set.Len() == 0 {
			continue
		}
		outcome := &outcomes[slices.Index(pl.active, part.policy)]
		if err := outcome.add(part.verb, set); err != nil {
			return nil, err
		}
	}
	return outcomes, nil
}
