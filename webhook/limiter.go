package webhook

import (
	"context"
	"runtime"
	"time"
)

// limiter bounds the reviews that are judged at the same time (slots), and those that are being read or
// wait for a slot (the places beyond the slots). Memory is bounded by places × the body limit plus
// slots × what a review takes.
type limiter struct {
	places chan struct{}
	slots  chan struct{}
	tasks  chan task // received by idle workers
}

// defaultConcurrency is for rules that compute: more at once only makes each slower. Some may wait for
// the API server (a live GET of a namespace), hence a few per processor.
func defaultConcurrency() int { return max(16, 4*runtime.GOMAXPROCS(0)) }

func newLimiter(concurrency, waiting int) *limiter {
	return &limiter{places: make(chan struct{}, concurrency+waiting), slots: make(chan struct{}, concurrency), tasks: make(chan task)}
}

// enter takes a place, or tells that there is none. Who entered has to leave.
func (l *limiter) enter() bool {
	select {
	case l.places <- struct{}{}:
		return true
	default:
		return false
	}
}

func (l *limiter) leave() { <-l.places }

// acquire takes a slot. It waits no longer than half of the time until the context's deadline: a review
// that starts later than that is unlikely to finish. Who acquired has to release.
func (l *limiter) acquire(ctx context.Context) bool {
	select {
	case l.slots <- struct{}{}:
		return true
	default:
	}
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(defaultTimeout)
	}
	patience := time.NewTimer(time.Until(deadline) / 2)
	defer patience.Stop()
	select {
	case l.slots <- struct{}{}:
		return true
	case <-patience.C:
		return false
	case <-ctx.Done():
		return false
	}
}

func (l *limiter) release() { <-l.slots }

// task is work for a worker, which says when it is done: nil, or what it panicked with.
type task struct {
	do   func()
	done chan any
}

// workerIdle is how long a worker without work stays.
const workerIdle = 30 * time.Second

// run does what a slot was acquired for on a worker and waits for it. Workers keep their stacks: evaluation
// recurses deeply, and a server's goroutine is new for each request; growing its stack step by step took
// a third of the time of a review. There are never more workers than slots. A panic is the caller's.
func (l *limiter) run(do func()) {
	t := task{do, make(chan any, 1)}
	select {
	case l.tasks <- t:
	default: // no worker is idle
		go l.work(t)
	}
	if caught := <-t.done; caught != nil {
		panic(caught)
	}
}

func (l *limiter) work(t task) {
	idle := time.NewTimer(workerIdle)
	defer idle.Stop()
	for {
		t.run()
		idle.Reset(workerIdle)
		select {
		case t = <-l.tasks:
		case <-idle.C:
			return
		}
	}
}

func (t task) run() {
	defer func() { t.done <- recover() }()
	t.do()
}
