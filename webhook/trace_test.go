package webhook

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/engine"
)

const (
	callersTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	callersSpan  = "00f067aa0ba902b7"
)

// spansOf posts a review and returns its spans by their names.
func spansOf(t *testing.T, reviewer Reviewer, sampler sdktrace.Sampler, traceparent, body string) map[string]tracetest.SpanStub {
	t.Helper()
	kept := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(kept), sdktrace.WithSampler(sampler))
	handlers, _ := handlersOf(t, reviewer, func(o *Options) { o.Tracer = provider.Tracer("test") })
	r := httptest.NewRequest(http.MethodPost, "/validate?timeout=10s", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	if traceparent != "" {
		r.Header.Set("Traceparent", traceparent)
	}
	handlers.Validate.ServeHTTP(httptest.NewRecorder(), r)
	spans := map[string]tracetest.SpanStub{}
	for _, span := range kept.GetSpans() {
		spans[span.Name] = span
	}
	return spans
}

func TestReviewsAreTraced(t *testing.T) {
	gate := newGate(t, "ingress-tls-required")
	spans := spansOf(t, gate, sdktrace.AlwaysSample(), "", shopReview)
	review, evaluation := spans["sluice validate"], spans["evaluate"]
	if len(spans) != 2 || evaluation.Parent.SpanID() != review.SpanContext.SpanID() || review.Parent.IsValid() || review.SpanKind != trace.SpanKindServer {
		t.Fatalf("%+v", spans)
	}
	got := map[string]string{}
	for _, a := range review.Attributes {
		got[string(a.Key)] = a.Value.String()
	}
	for key, want := range map[string]string{"sluice.uid": shopUID, "sluice.kind": "networking.k8s.io/Ingress", "sluice.operation": "CREATE", "sluice.decision": "deny",
		"sluice.denied_by": "ingress-tls-required", "sluice.namespace": "shop", "sluice.name": "web", "sluice.dry_run": "false"} {
		if got[key] != want {
			t.Errorf("%s is %q, want %q", key, got[key], want)
		}
	}
	if review.Status.Code != codes.Unset {
		t.Error("a denial is no error")
	}
	if spans := spansOf(t, deciding(policies.Decision{}), sdktrace.AlwaysSample(), "", shopReview); spans["sluice validate"].Status.Code != codes.Error {
		t.Error("what could not be judged is an error")
	}
	if spans := spansOf(t, gate, sdktrace.AlwaysSample(), "", "{"); len(spans) != 1 || spans["sluice validate"].Status.Code != codes.Error {
		t.Errorf("no review at all: %v", spans)
	}
}

func TestTheAPIServersTraceGoesOn(t *testing.T) {
	ours := sdktrace.ParentBased(sdktrace.NeverSample())
	tests := map[string]struct {
		traceparent string
		sampler     sdktrace.Sampler
		traced      bool
		below       bool // the caller's span
	}{
		"sampled by the caller":   {"00-" + callersTrace + "-" + callersSpan + "-01", ours, true, true},
		"left out by the caller":  {"00-" + callersTrace + "-" + callersSpan + "-00", sdktrace.ParentBased(sdktrace.AlwaysSample()), false, false},
		"no caller":               {"", ours, false, false},
		"a header that is no one": {"00-x-y-01", sdktrace.ParentBased(sdktrace.AlwaysSample()), true, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			span, traced := spansOf(t, allowing, test.sampler, test.traceparent, shopReview)["sluice validate"]
			if traced != test.traced {
				t.Fatalf("traced: %v", traced)
			}
			below := span.SpanContext.TraceID().String() == callersTrace && span.Parent.SpanID().String() == callersSpan
			if traced && below != test.below {
				t.Errorf("below the caller's span: %v", below)
			}
		})
	}
}

// What is off allocates nothing in a review; BenchmarkValidate shows the whole.
func TestObserversThatAreOffCostNothing(t *testing.T) {
	handlers, _ := handlersOf(t, allowing, nil)
	e := handlers.Validate.(*endpoint)
	request, _ := decode(engine.NewReviewReader(), []byte(shopFixed))
	decision := policies.Decision{Judged: true}
	if n := testing.AllocsPerRun(100, func() {
		e.events.tell(request, decision)
		e.traceDecision(t.Context(), request, decision)
		if e.decisions != nil || e.tracer != nil {
			t.Fatal("they are on")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
