package webhook

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"k8s.io/client-go/tools/events"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/webhook/decisionlog"
)

// Options are what Handlers are made of.
type Options struct {
	Current    *Current
	Registerer prometheus.Registerer
	// Log gets a line for every denial, and at V(1) for every other review. The zero Logger is silent.
	Log logr.Logger
	// Events tells of denials, a few in each namespace, and of what was done by break-glass; nil tells nobody.
	Events events.EventRecorder
	// Decisions gets a line for every review; nil for none. Who made it closes it.
	Decisions *decisionlog.Log
	// Tracer makes a span for every review; nil for none.
	Tracer trace.Tracer
	// Concurrency bounds the reviews judged at once, over both handlers; 0 is 4 per processor, at least 16.
	Concurrency int
	// Waiting bounds those that are read or wait beside them; 0 is 4 × Concurrency. A review beyond that, or
	// that has waited for half of its time, is answered with 429 and Retry-After: the API server asks again
	// within the webhook's timeout, and then goes by failurePolicy.
	Waiting int
}

// Handlers answer AdmissionReviews. All share the limits on what runs at once.
type Handlers struct {
	Validate http.Handler // asks Reviewer.Review
	Mutate   http.Handler // asks Reviewer.Mutate
	Guard    http.Handler // asks Reviewer.Guard
	Hold     http.Handler // asks Reviewer.Hold
}

// NewHandlers registers the metrics and returns the handlers.
func NewHandlers(o Options) (*Handlers, error) {
	if o.Current == nil || o.Registerer == nil {
		return nil, errors.New("new webhook handlers: Current and Registerer are required")
	}
	if o.Concurrency < 0 || o.Waiting < 0 {
		return nil, errors.New("new webhook handlers: Concurrency and Waiting can't be negative")
	}
	if o.Concurrency == 0 {
		o.Concurrency = defaultConcurrency()
	}
	if o.Waiting == 0 {
		o.Waiting = 4 * o.Concurrency
	}
	m, err := newMetrics(o.Registerer)
	if err != nil {
		return nil, err
	}
	shared := endpoint{current: o.Current, reader: engine.NewReviewReader(), limiter: newLimiter(o.Concurrency, o.Waiting), metrics: m, log: o.Log, decisions: o.Decisions, tracer: o.Tracer}
	if o.Events != nil {
		shared.events = newTeller(o.Events, m.eventsDropped)
	}
	return &Handlers{
		Validate: shared.serving("validate", Reviewer.Review),
		Mutate:   shared.serving("mutate", Reviewer.Mutate),
		Guard:    shared.serving("guard", Reviewer.Guard),
		Hold:     shared.serving("hold", Reviewer.Hold),
	}, nil
}

// endpoint is one of the handlers.
type endpoint struct {
	name     string
	ask      func(Reviewer, context.Context, policies.Request) policies.Decision
	current  *Current
	reader   *engine.ReviewReader
	limiter  *limiter
	metrics  *metrics
	duration prometheus.Observer

	log       logr.Logger
	events    *teller          // nil if nobody is told
	decisions *decisionlog.Log // nil if there is none
	tracer    trace.Tracer     // nil if there is none
}

func (e endpoint) serving(name string, ask func(Reviewer, context.Context, policies.Request) policies.Decision) *endpoint {
	e.name, e.ask, e.duration = name, ask, e.metrics.duration.WithLabelValues(name)
	return &e
}

// buffers hold responses while they are written. They never hold what came in.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// maxKeptBuffer keeps a rare huge response from staying in the pool.
const maxKeptBuffer = 64 << 10

// ServeHTTP implements http.Handler.
func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	e.metrics.inFlight.Inc()
	defer e.metrics.inFlight.Dec()
	var span trace.Span
	if e.tracer != nil {
		r, span = e.traced(r)
		defer span.End()
	}
	buffer := buffers.Get().(*[]byte)
	out, rejected := e.review((*buffer)[:0], w, r, start)
	if rejected != nil {
		if span != nil {
			traceRejection(span, rejected)
		}
		e.refuse(w, rejected)
	} else {
		write(w, r, out)
	}
	e.duration.Observe(time.Since(start).Seconds())
	if cap(out) <= maxKeptBuffer {
		*buffer = out
		buffers.Put(buffer)
	}
}

// netBuffer is what net/http keeps of a response until the handler has returned.
const netBuffer = 4 << 10

var jsonContent = []string{"application/json"}

// write writes an answer. One that net/http can't hold in its buffer waits for the client to read, but not for long.
func write(w http.ResponseWriter, r *http.Request, out []byte) {
	header := w.Header()
	header["Content-Type"] = jsonContent
	header["Content-Length"] = []string{strconv.Itoa(len(out))}
	controller := http.NewResponseController(w)
	if len(out) > netBuffer {
		_ = controller.SetWriteDeadline(time.Now().Add(defaultTimeout)) // a writer of a test has none
		if r.ProtoMajor < 2 {                                           // there it is the connection's, and outlives the request
			defer func() { _ = controller.SetWriteDeadline(time.Time{}) }()
		}
	}
	_, _ = w.Write(out) // whoever asked may be gone: nothing is left to tell
}

// review appends the answer to out.
func (e *endpoint) review(out []byte, w http.ResponseWriter, r *http.Request, start time.Time) ([]byte, *rejection) {
	if rejected := checkHeader(r); rejected != nil {
		return out, rejected
	}
	current := e.current.snapshot.Load()
	if current == nil {
		return out, reject(http.StatusServiceUnavailable, "not_ready", "no policies have been compiled yet")
	}
	size := bodySize(r)
	if !e.limiter.enter(size) {
		return out, reject(http.StatusTooManyRequests, "queue_full", "too many reviews are waiting")
	}
	defer e.limiter.leave(size)
	ctx, cancel := context.WithDeadline(r.Context(), start.Add(reviewTime(callTimeout(r.URL.RawQuery))))
	defer cancel()
	body, rejected := readWithin(ctx, w, r)
	if rejected != nil {
		return out, rejected
	}
	judged := int64(len(body))
	if !e.limiter.acquire(ctx, judged) {
		return out, reject(http.StatusTooManyRequests, "queue_timeout", "the review waited too long to be judged")
	}
	defer e.limiter.release(judged)
	if r.ProtoMajor < 2 { // the goroutine is its connection's, and keeps its stack
		return e.answer(ctx, out, current, body, start)
	}
	e.limiter.run(func() { out, rejected = e.answer(ctx, out, current, body, start) })
	return out, rejected
}

// answer judges a review and appends what there is to say.
func (e *endpoint) answer(ctx context.Context, out []byte, current *snapshot, body []byte, start time.Time) ([]byte, *rejection) {
	request, rejected := decode(e.reader, body)
	var decision policies.Decision
	switch {
	case rejected == nil:
		decision = e.traceJudging(ctx, current.reviewer, request)
	case request.UID != "":
		decision.Failure = rejected.text
	default:
		return out, rejected
	}
	answer, decision := newAnswer(request, decision)
	e.record(current, request, decision, start)
	e.traceDecision(ctx, request, decision)
	return appendReview(out, request.UID, answer), nil
}

// refuse answers with a reason in plain text, which the API server puts into its own error.
func (e *endpoint) refuse(w http.ResponseWriter, rejected *rejection) {
	e.metrics.rejected.WithLabelValues(rejected.reason).Inc()
	header := w.Header()
	switch rejected.code {
	case http.StatusMethodNotAllowed:
		header.Set("Allow", http.MethodPost)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		header.Set("Retry-After", "1")
	}
	http.Error(w, rejected.text, rejected.code)
}
