package engine

import (
	"context"
	"fmt"
	"time"
)

// Budget bounds one evaluation. The zero Budget allows nothing.
type Budget struct {
	// Time is the wall-clock time for one policy. The request's own deadline counts besides.
	Time time.Duration
	// Steps is the number of expressions that one policy may evaluate. It bounds memory: a step
	// allocates little beside what the operand checks of built-in functions allow.
	Steps int
}

// DefaultBudget is 100 ms and a million steps: a rule that reads facts takes some hundred steps and
// microseconds.
func DefaultBudget() Budget { return Budget{Time: 100 * time.Millisecond, Steps: 1_000_000} }

// meter is the topdown.Cancel of one evaluation. The evaluator polls it on every step in the goroutine
// that evaluates, so that it needs neither a goroutine nor atomics; it looks at the clock on every
// 256th poll.
type meter struct {
	ctx      context.Context
	deadline time.Time
	limit    int
	steps    int
	reason   error
}

func newMeter(ctx context.Context, b Budget) *meter {
	return &meter{ctx: ctx, deadline: time.Now().Add(b.Time), limit: b.Steps}
}

// Cancel implements topdown.Cancel. Nobody calls it: the meter stops itself.
func (m *meter) Cancel() { m.reason = context.Canceled }

// Cancelled implements topdown.Cancel.
func (m *meter) Cancelled() bool {
	m.charge(1)
	return m.reason != nil
}

// charge counts steps. A call of a built-in function that works through its operands is charged by their size,
// so that the clock is looked at as often as work is done.
func (m *meter) charge(steps int) {
	before := m.steps
	m.steps += steps
	switch {
	case m.reason != nil:
	case m.steps > m.limit:
		m.reason = fmt.Errorf("stopped after %d steps: the rule loops over too much", m.limit)
	case before>>8 != m.steps>>8:
		m.check()
	}
}

// check looks at the clock and at the request.
func (m *meter) check() {
	switch {
	case m.reason != nil:
	case m.ctx.Err() != nil:
		m.reason = fmt.Errorf("the request's deadline passed: %w", m.ctx.Err())
	case time.Now().After(m.deadline):
		m.reason = fmt.Errorf("stopped after its time was used up, at step %d", m.steps)
	}
}
