package engine

import (
	"context"
	"fmt"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/metrics"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// Explanation is what the definitions of one verb made of a request. All of its text is the author's source, or
// a value in Rego's notation cut to a line.
type Explanation struct {
	Verb Verb
	// Definitions are in the order of the source.
	Definitions []Definition
	// Err is why the evaluation ended early; the definitions are as far as it came.
	Err error
}

// Definition is one body of a rule or function, or the body of an every.
type Definition struct {
	Head string // the source up to the body, such as `deny contains {"msg": msg} if`
	File string
	Line int
	// Arguments are a function's operands, or the key and value of an every.
	Arguments []Variable
	// Value is what a definition that held stands for; empty where that is just true.
	Value string
	// Endings are the ways in which the evaluation of the body ended, the furthest first. None means that the
	// body was not evaluated.
	Endings []Ending
}

// Held is how often the definition held, for different variables.
func (d Definition) Held() int {
	if len(d.Endings) > 0 && d.Endings[0].Held {
		return d.Endings[0].Count
	}
	return 0
}

// Ending is one of the places at which the evaluation of a body ended: the first time in detail.
type Ending struct {
	Held  bool
	Count int // how often
	Steps []Step
}

// Step is one expression of a body.
type Step struct {
	Mark   Mark
	Line   int
	Source string // may have several lines
	// Values are the variables that an expression that held has bound, or what one that failed has read.
	Values []Variable
	// Within are the definitions because of which the expression failed; for a negated one, those that held.
	Within []Definition
	// Elsewhere is how many more definitions there are of what was called, for other arguments.
	Elsewhere int
}

// Mark is what became of an expression.
type Mark string

// The marks.
const (
	StepHeld      Mark = "held"
	StepFailed    Mark = "failed"
	StepUnreached Mark = "unreached"
)

// Variable is a name, or an expression, and its value.
type Variable struct{ Name, Value string }

// explainFactor is how much more than a verdict an explanation may cost: nothing is skipped by rule indexes.
const explainFactor = 10

// Explain evaluates the verbs of one policy (an index into Policies) and tells of each definition how far it
// came. What a policy says is Evaluate's to tell: this is only how.
func (p *Program) Explain(ctx context.Context, in Input, policy int, asked ...Verb) []Explanation {
	var out []Explanation
	ctx = withState(ctx, in.State)
	input, err := in.term()
	for _, verb := range asked {
		switch {
		case !p.policies[policy].Rule.States(verb):
		case err != nil:
			out = append(out, Explanation{Verb: verb, Err: err})
		default:
			out = append(out, p.explain(ctx, input, policy, verb))
		}
	}
	return out
}

func (p *Program) explain(ctx context.Context, input *ast.Term, policy int, verb Verb) (out Explanation) {
	out.Verb = verb
	seat := p.seats[policy]
	t := newTracer(verb, seat.unit.compiler)
	defer func() {
		if caught := recover(); caught != nil {
			out.Err = fmt.Errorf("panic in evaluation: %v", caught)
		}
		out.Definitions = t.definitions()
	}()
	pl, err := seat.unit.prepare([]int{seat.index}, []Verb{verb})
	if err != nil {
		out.Err = err
		return out
	}
	budget := p.budget
	budget.Time *= explainFactor
	budget.Steps *= explainFactor
	watch := newMeter(ctx, budget)
	var builtinErrs []topdown.Error
	err = topdown.NewQuery(pl.body).WithCompiler(seat.unit.compiler).WithStore(noData{}).WithInput(input).WithCancel(watch).
		WithBuiltins(evaluationBuiltins()).WithBuiltinErrorList(&builtinErrs).WithMetrics(metrics.NoOp()).
		WithIndexing(false).WithQueryTracer(t).
		Iter(ctx, func(topdown.QueryResult) error { return nil })
	switch {
	case watch.reason != nil:
		out.Err = watch.reason
	case err != nil:
		out.Err = evaluationFault(err)
	case len(builtinErrs) > 0:
		out.Err = evaluationFault(&builtinErrs[0])
	}
	return out
}
