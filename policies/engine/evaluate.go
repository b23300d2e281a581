package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
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
}

func (in Input) term() *ast.Term {
	namespace := in.Namespace.value
	if namespace == nil {
		namespace = ast.InternedNullValue
	}
	return ast.NewTerm(ast.NewObject(
		[2]*ast.Term{keyTerm("request"), ast.NewTerm(in.Request.value)},
		[2]*ast.Term{keyTerm("namespace"), ast.NewTerm(namespace)}))
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

// planKey names a set of policies, by their indexes, and the verbs asked of them.
type planKey string

// plan is one query that asks several policies at once.
type plan struct {
	active []int
	body   ast.Body
	parts  []planPart
}

type planPart struct {
	policy int
	verb   Verb
}

// maxPlans bounds the plans kept for several policies at once. Which policies match depends on the namespace
// and labels, so that few sets are in use; beyond the bound some plan makes room. Plans of one policy are kept
// beside them: there are as many as policies.
const maxPlans = 512

// Evaluate asks the active policies (indexes into Policies) for the given verbs. Outcomes come in the
// order of active. The common path is one query for all; when that fails or runs over its
// budget, each policy is asked alone, so that an error is blamed on its policy and the others keep
// their results.
func (p *Program) Evaluate(ctx context.Context, in Input, active []int, asked ...Verb) []Outcome {
	if len(active) == 0 {
		return nil
	}
	input := in.term()
	ctx = withState(ctx, in.State)
	if together, err := p.plan(active, asked); err == nil {
		if outcomes, err := p.run(ctx, together, input); err == nil {
			return outcomes
		}
	}
	outcomes := make([]Outcome, 0, len(active))
	for _, policy := range active {
		if err := ctx.Err(); err != nil {
			outcomes = append(outcomes, Outcome{Policy: policy, Err: fmt.Errorf("the request's deadline passed: %w", err)})
			continue
		}
		outcomes = append(outcomes, p.evaluateOne(ctx, input, policy, asked))
	}
	return outcomes
}

func (p *Program) evaluateOne(ctx context.Context, input *ast.Term, policy int, asked []Verb) Outcome {
	alone, err := p.plan([]int{policy}, asked)
	if err != nil {
		return Outcome{Policy: policy, Err: err}
	}
	outcomes, err := p.run(ctx, alone, input)
	if err != nil {
		return Outcome{Policy: policy, Err: err}
	}
	return outcomes[0]
}

// plan returns the kept plan for the policies, or prepares and keeps one.
func (p *Program) plan(active []int, asked []Verb) (*plan, error) {
	var name strings.Builder
	for _, i := range active {
		name.WriteString(strconv.Itoa(i))
		name.WriteByte(' ')
	}
	for _, verb := range asked {
		name.WriteString(string(verb))
	}
	key := planKey(name.String())
	p.mu.RLock()
	kept, found := p.plans[key]
	p.mu.RUnlock()
	if found {
		return kept, nil
	}
	prepared, err := p.prepare(active, asked)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(active) > 1 {
		if p.joint++; p.joint > maxPlans {
			p.forgetOne()
		}
	}
	p.plans[key] = prepared
	return prepared, nil
}

// forgetOne drops some plan of several policies.
func (p *Program) forgetOne() {
	for key, kept := range p.plans {
		if len(kept.active) > 1 {
			delete(p.plans, key)
			p.joint--
			return
		}
	}
}

// prepare writes the query out := [data.gate.a.deny, data.gate.b.deny, …].
func (p *Program) prepare(active []int, asked []Verb) (*plan, error) {
	out := &plan{active: slices.Clone(active)}
	var refs []*ast.Term
	for _, i := range active {
		for _, verb := range asked {
			if p.policies[i].Rule.States(verb) {
				refs = append(refs, ast.NewTerm(ast.Ref{ast.DefaultRootDocument, ast.StringTerm("gate"),
					ast.StringTerm(p.policies[i].Name), ast.StringTerm(string(verb))}))
				out.parts = append(out.parts, planPart{i, verb})
			}
		}
	}
	query := ast.NewBody(ast.Equality.Expr(ast.VarTerm("out"), ast.ArrayTerm(refs...)))
	body, err := p.compiler.QueryCompiler().Compile(query)
	if err != nil {
		return nil, fmt.Errorf("prepare query: %w", err)
	}
	out.body = body
	return out, nil
}

// run evaluates a plan. Any built-in error, an overrun, a conflict or a panic fails the whole of it.
func (p *Program) run(ctx context.Context, pl *plan, input *ast.Term) (outcomes []Outcome, err error) {
	defer func() {
		if caught := recover(); caught != nil {
			outcomes, err = nil, fmt.Errorf("panic in evaluation: %v", caught)
		}
	}()
	var builtinErrs []topdown.Error
	watch := newMeter(ctx, p.budget)
	query := topdown.NewQuery(pl.body).WithCompiler(p.compiler).WithStore(noData{}).WithInput(input).
		WithCancel(watch).WithBuiltins(p.bounded).WithBuiltinErrorList(&builtinErrs).WithMetrics(metrics.NoOp())
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
