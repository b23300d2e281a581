package webhook

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/engine"
)

// traced begins the span of a review, below the API server's if it sent one (W3C traceparent). Only an endpoint with a tracer
// has spans.
func (e *endpoint) traced(r *http.Request) (*http.Request, trace.Span) {
	ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	ctx, span := e.tracer.Start(ctx, "sluice "+e.name, trace.WithSpanKind(trace.SpanKindServer))
	return r.WithContext(ctx), span
}

// traceRejection marks the span of a request that is no review.
func traceRejection(span trace.Span, rejected *rejection) {
	span.SetAttributes(attribute.String("sluice.rejected", rejected.reason))
	span.SetStatus(codes.Error, rejected.text)
}

// traceJudging is judge in a span of its own, if there are spans.
func (e *endpoint) traceJudging(ctx context.Context, reviewer Reviewer, request policies.Request) policies.Decision {
	if e.tracer == nil {
		return e.judge(ctx, reviewer, request)
	}
	ctx, span := e.tracer.Start(ctx, "evaluate")
	defer span.End()
	return e.judge(ctx, reviewer, request)
}

// traceDecision tells the span of a review what it came to. That a request is denied is no error, that it could not be judged is.
func (e *endpoint) traceDecision(ctx context.Context, request policies.Request, decision policies.Decision) {
	if e.tracer == nil {
		return
	}
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	result := outcome(decision)
	span.SetAttributes(
		attribute.String("sluice.uid", request.UID),
		attribute.String("sluice.kind", engine.FormatGroupKind(request.Kind.GroupKind())),
		attribute.String("sluice.namespace", request.Namespace),
		attribute.String("sluice.name", request.Name),
		attribute.String("sluice.operation", string(request.Operation)),
		attribute.Bool("sluice.dry_run", request.DryRun),
		attribute.String("sluice.decision", result),
		attribute.String("sluice.denied_by", namesOf(decision.Denials(), func(policies.Finding) bool { return true })),
	)
	if result == "error" {
		span.SetStatus(codes.Error, "could not be judged")
	}
}
