package webhook

import (
	"context"
	"runtime"
	"time"

	"golang.org/x/sync/semaphore"
)

// limiter bounds the reviews that are judged at the same time (slots), and those that are being read or
// wait for a slot (the places beyond the slots). Their sizes are bounded besides: a review takes some
// hundred times its size in memory while it is judged, so that large ones go one by one.
type limiter struct {
	places chan struct{}
	slots  chan struct{}
	bodies *semaphore.Weighted // bytes that are held
	judged *semaphore.Weighted // bytes that are judged
	tasks  chan task           // received by idle workers
}

// Limits on the bytes of all reviews together. What is larger than maxJudged counts as maxJudged.
const (
	maxBodies = 64 << 20
	maxJudged = 1 << 20
)

// defaultConcurrency is for rules that compute: more at once only makes each slower. Some may wait for
// the API server (a live GET of a namespace), hence a few per processor.
func defaultConcurrency() int { return max(16, 4*runtime.GOMAXPROCS(0)) }

func newLimiter(concurrency, waiting int) *limiter {
	return &limiter{places: make(chan struct{}, concurrency+waiting), slots: make(chan struct{}, concurrency), tasks: make(chan task),
		bodies: semaphore.NewWeighted(maxBodies), judged: semaphore.NewWeighted(maxJudged)}
}

// enter takes a place for a review of that size, or tells that there is none. Who entered has to leave.
func (l *limiter) enter(size int64) bool {
	if !l.bodies.TryAcquire(size) {
		return false
	}
	select {
	case l.places <- struct{}{}:
		return true
	default:
		l.bodies.Release(size)
		return false
	}
}

func (l *limiter) leave(size int64) {
	<-l.places
	l.bodies.Release(size)
}

// acquire takes a slot for a review of that size. It waits no longer than half of the time until the
// context's deadline: a review that starts later than that is unlikely to finish. Who acquired has to release.
func (l *limiter) acquire(ctx context.Context, size int64) bool {
	size = min(size, maxJudged)
	if l.judged.TryAcquire(size) {
		select {
		case l.slots <- struct{}{}:
			return true
		default:
			l.judged.Release(size)
		}
	}
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(defaultTimeout)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Until(deadline)/2)
	defer cancel()
	select {
	case l.slots <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	if l.judged.Acquire(ctx, size) != nil {
		<-l.slots
		return false
	}
	return true
}

func (l *limiter) release(size int64) {
	l.judged.Release(min(size, maxJudged))
	<-l.slots
}

// task is work for a worker, which says when it is done: nil, or what it panicked with.
type task struct {
	do   func()
	done chan any
}

// workerIdle is how long a worker without work stays.
const workerIdle = 30 * time.Second

// run does what a slot was acquired for on a worker and waits for it. Workers keep their stacks: evaluation
// recurses deeply, and over HTTP/2 a server's goroutine is new for each request; growing its stack step by step took
// a third of the time of a review. Handing over wakes another thread, which costs less, but not nothing. There are about as
// many workers as slots. A panic is the caller's.
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
