package engine

import (
	"cmp"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Bounds of what an explanation shows.
const (
	maxHelpers     = 6  // of helpers within helpers
	maxWithin      = 5  // definitions of what an expression called
	maxShownValue  = 90 // characters
	maxShownValues = 6  // of an expression that failed
)

// definitions are what the verb's definitions made of the request, in the order of the source.
func (t *tracer) definitions() []Definition {
	var out []Definition
	for _, f := range t.roots {
		out = append(out, t.definition(f, 0))
	}
	slices.SortFunc(out, func(a, b Definition) int { return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line)) })
	return out
}

// definition shows a frame. The verb's own definitions have all of their endings, helpers only the furthest.
func (t *tracer) definition(f *frame, depth int) Definition {
	var d Definition
	at := f.layout.body[0].Location
	if f.rule != nil {
		at = f.rule.Location
		d.Head = headSource(f.rule)
		if f.value != nil && !f.value.Equal(ast.InternedTerm(true)) && f.rule.Head.RuleKind() == ast.SingleValue {
			d.Value = shown(f.value.Value)
		}
	}
	if at != nil {
		d.File, d.Line = at.File, at.Row
	}
	d.Arguments = variables(f.args)
	endings := slices.SortedFunc(slices.Values(f.endings), func(a, b *ending) int { return b.index - a.index })
	if depth > 0 && len(endings) > 1 {
		endings = endings[:1]
	}
	for _, n := range endings {
		d.Endings = append(d.Endings, t.ending(f, n, depth))
	}
	return d
}

func (t *tracer) ending(f *frame, n *ending, depth int) Ending {
	l := f.layout
	out := Ending{Held: n.index == len(l.body), Count: n.count}
	failing := headStep
	if !out.Held {
		failing = l.of[n.index]
	}
	for i, s := range l.steps {
		step := Step{Mark: l.mark(i, n.index), Line: s.at.Row, Source: s.source}
		if step.Mark == StepHeld {
			step.Values = variables(slices.DeleteFunc(slices.Clone(n.vars), func(b bound) bool { return b.step != i }))
		}
		if step.Mark == StepFailed {
			t.blame(&step, l.body[n.index], n, depth)
		}
		out.Steps = append(out.Steps, step)
	}
	if !out.Held && failing == headStep {
		step := Step{Mark: StepFailed}
		if at := l.body[n.index].Location; at != nil {
			step.Line, step.Source = at.Row, string(at.Text)
		}
		t.blame(&step, l.body[n.index], n, depth)
		out.Steps = append(out.Steps, step)
	}
	return out
}

// mark tells what became of a step if the evaluation ended at an index of the body. The compiler may have put
// the steps into another order.
func (l *layout) mark(step, end int) Mark {
	if end < len(l.body) && l.of[end] == step {
		return StepFailed
	}
	for i, of := range l.of {
		if of == step && i > end {
			return StepUnreached
		}
	}
	return StepHeld
}

// blame adds what a failed step read, and the definitions because of which it failed.
func (t *tracer) blame(step *Step, expr *ast.Expr, n *ending, depth int) {
	step.Values = variables(n.read)
	if len(step.Values) > maxShownValues {
		step.Values = step.Values[:maxShownValues]
	}
	if depth == maxHelpers {
		return
	}
	_, block := expr.Terms.(*ast.Not)
	negated := expr.Negated || block
	applied := slices.DeleteFunc(slices.Clone(n.within), func(f *frame) bool { return len(f.endings) == 0 })
	step.Elsewhere = len(n.within) - len(applied)
	var held []*frame
	for _, f := range applied {
		if f.held() {
			held = append(held, f)
		}
	}
	if _, every := expr.Terms.(*ast.Every); every {
		applied = slices.DeleteFunc(applied, (*frame).held)
	} else if negated || len(held) > 0 {
		step.Elsewhere += len(applied) - len(held)
		applied = held
	}
	if negated {
		step.Elsewhere = 0
	}
	if len(applied) > maxWithin {
		step.Elsewhere += len(applied) - maxWithin
		applied = applied[:maxWithin]
	}
	for _, f := range applied {
		step.Within = append(step.Within, t.definition(f, depth+1))
	}
}

func (f *frame) held() bool {
	return slices.ContainsFunc(f.endings, func(n *ending) bool { return n.index == len(f.layout.body) })
}

func variables(all []bound) []Variable {
	var out []Variable
	for _, b := range all {
		out = append(out, Variable{b.name, shown(b.value)})
	}
	return out
}

// shown is a value in one line of bounded length.
func shown(v ast.Value) string {
	if v == nil {
		return "undefined"
	}
	if termSize(v, maxFindingText) >= maxFindingText {
		return "too large to show"
	}
	return cut(v.String())
}

func cut(text string) string {
	if runes := []rune(text); len(runes) > maxShownValue {
		return string(runes[:maxShownValue]) + "…"
	}
	return text
}

func oneLineSource(text string) string { return cut(strings.Join(strings.Fields(text), " ")) }
