package webhook

import (
	"context"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-gate/sluice/policies"
)

// With 2 slots and room for 3 to wait, of 10 reviews that come at once 2 are judged, 3 wait and 5 are
// refused at once; the waiting are refused after half of their time, or judged when a slot is free.
func TestConcurrencyIsBounded(t *testing.T) {
	for name, test := range map[string]struct {
		takes           time.Duration
		judged, refused int
		full, outOfTime float64
		version         int
		allWait         time.Duration
	}{
		"slow":             {version: 1, takes: 8 * time.Second, judged: 2, refused: 8, full: 5, outOfTime: 3, allWait: 8 * time.Second},
		"quick":            {version: 1, takes: time.Second, judged: 5, refused: 5, full: 5, allWait: 3 * time.Second},
		"slow over HTTP/2": {version: 2, takes: 8 * time.Second, judged: 2, refused: 8, full: 5, outOfTime: 3, allWait: 8 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				defer time.Sleep(2 * workerIdle) // of the bubble: idle workers go
				now, most := 0, 0
				var mu sync.Mutex
				count := func(n int) {
					mu.Lock()
					defer mu.Unlock()
					now += n
					most = max(most, now)
				}
				handlers, registry := handlersOf(t, fake(func(context.Context, policies.Request) policies.Decision {
					count(1)
					defer count(-1)
					time.Sleep(test.takes)
					return policies.Decision{Judged: true}
				}), func(o *Options) { o.Concurrency, o.Waiting = 2, 3 })
				answers := make(chan *httptest.ResponseRecorder, 10)
				start := time.Now()
				for range 10 {
					go func() { answers <- postBy(test.version, handlers.Validate, shopReview) }()
				}
				codes := map[int]int{}
				for range 10 {
					w := <-answers
					codes[w.Code]++
					if w.Code == 429 && (w.Header().Get("Retry-After") != "1" || !strings.Contains(w.Body.String(), "wait")) {
						t.Errorf("got %v %s", w.Header(), w.Body)
					}
				}
				if codes[200] != test.judged || codes[429] != test.refused || most != 2 {
					t.Errorf("codes %v, at most %d at once", codes, most)
				}
				if sum(t, registry, "sluice_reviews_rejected_total", "reason", "queue_full") != test.full ||
					sum(t, registry, "sluice_reviews_rejected_total", "reason", "queue_timeout") != test.outOfTime {
					t.Error("rejected for other reasons")
				}
				if took := time.Since(start); took != test.allWait {
					t.Errorf("took %v", took)
				}
				if w := post(handlers.Validate, shopReview); w.Code != 200 {
					t.Errorf("afterwards: %d", w.Code)
				}
			})
		})
	}
}

// A client that goes away frees its place.
func TestCanceledReviewLeaves(t *testing.T) {
	l := newLimiter(1, 0)
	ctx, cancel := context.WithCancel(t.Context())
	if !l.enter(1) || !l.acquire(ctx, 1) || l.enter(1) {
		t.Fatal("one place is not one place")
	}
	cancel()
	if l.acquire(ctx, 1) {
		t.Error("acquired a slot that is taken")
	}
	l.release(1)
	l.leave(1)
	if !l.enter(1) || !l.acquire(t.Context(), 1) {
		t.Error("the place is not free")
	}
}

// Large reviews are judged one by one, and held only as far as memory goes; small ones go on beside them.
func TestLargeReviewsAreBounded(t *testing.T) {
	l := newLimiter(16, 64)
	soon, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if !l.acquire(t.Context(), maxBody) || l.acquire(soon, 1000) {
		t.Error("something was judged beside a review of the largest size")
	}
	l.release(maxBody)
	if !l.acquire(t.Context(), maxJudged/2) || !l.acquire(t.Context(), 1000) {
		t.Error("a small review was not judged beside one of half the size")
	}
	for held := int64(0); held+maxBody <= maxBodies; held += maxBody {
		if !l.enter(maxBody) {
			t.Fatalf("refused after %d bytes", held)
		}
	}
	if l.enter(maxBody) || !l.enter(1000) {
		t.Error("the bound on what is held is not where it is")
	}
}

func TestCallTimeout(t *testing.T) {
	for query, want := range map[string]time.Duration{
		"timeout=10s": 10 * time.Second, "timeout=1s": time.Second, "timeout=300ms": 300 * time.Millisecond,
		"a=b&timeout=5s": 5 * time.Second, "timeout=5s&a=b": 5 * time.Second, "timeout=%35s": 5 * time.Second,
		"": defaultTimeout, "timeout=": defaultTimeout, "timeout=10": defaultTimeout, "timeout=-1s": defaultTimeout,
		"timeout=0s": defaultTimeout, "timeout=%zz": defaultTimeout, "timeout=1e9s": defaultTimeout,
		"timeout=1h": maxTimeout, "timeout=99999999999h": defaultTimeout, "x;timeout=5s": defaultTimeout,
	} {
		if got := callTimeout(query); got != want {
			t.Errorf("%q: got %v, want %v", query, got, want)
		}
	}
}

func TestReviewTime(t *testing.T) {
	for timeout, want := range map[time.Duration]time.Duration{
		30 * time.Second: 27 * time.Second, 10 * time.Second: 9 * time.Second, time.Second: 900 * time.Millisecond,
		500 * time.Millisecond: 400 * time.Millisecond, 150 * time.Millisecond: 75 * time.Millisecond, 2: 1,
	} {
		if got := reviewTime(timeout); got != want {
			t.Errorf("%v: got %v, want %v", timeout, got, want)
		}
	}
}
