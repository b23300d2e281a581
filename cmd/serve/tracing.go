package serve

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync/atomic"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// tracerName is the instrumentation scope of the spans.
const tracerName = "github.com/sluice-gate/sluice"

// tracesPath is where collectors take spans by OTLP over HTTP.
const tracesPath = "/v1/traces"

// tracing sends spans to a collector. Spans wait in a bounded queue; a collector that is away costs spans, never a review.
type tracing struct {
	*sdktrace.TracerProvider
	log logr.Logger
}

// newTracing does not connect: a collector may come later. What an endpoint doesn't say, such as headers, is in the environment
// variables of the OpenTelemetry specification (OTEL_EXPORTER_OTLP_…).
func newTracing(ctx context.Context, o Options) (*tracing, error) {
	endpoint, err := url.Parse(o.TracingEndpoint)
	if err != nil {
		return nil, fmt.Errorf("set up tracing: %w", err)
	}
	if endpoint.Path == "" || endpoint.Path == "/" {
		endpoint.Path = tracesPath
	}
	client, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(endpoint.String()))
	if err != nil {
		return nil, fmt.Errorf("set up tracing: %w", err)
	}
	exporter := &tellingExporter{SpanExporter: client, log: o.Log.WithName("tracing"),
		failures: prometheus.NewCounter(prometheus.CounterOpts{Name: "sluice_trace_export_failures_total", Help: "Batches of spans that the collector did not take."})}
	if err := o.Registerer.Register(exporter.failures); err != nil {
		return nil, errors.Join(fmt.Errorf("register metrics of tracing: %w", err), client.Shutdown(ctx))
	}
	about := resource.NewSchemaless(attribute.String("service.name", "sluice"), attribute.String("service.namespace", o.Namespace))
	if about, err = resource.Merge(about, resource.Environment()); err != nil {
		return nil, errors.Join(fmt.Errorf("set up tracing: %w", err), client.Shutdown(ctx))
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(o.TracingRatio))))
	return &tracing{provider, exporter.log}, nil
}

// close sends what waits. What the collector does not take any more is lost, which is no error of Sluice's.
func (t *tracing) close(ctx context.Context) {
	if err := t.Shutdown(ctx); err != nil {
		t.log.Error(err, "the last spans were not sent")
	}
}

// tellingExporter counts and logs what the collector does not take, in place of OpenTelemetry's handler for the whole process.
type tellingExporter struct {
	sdktrace.SpanExporter
	log      logr.Logger
	failures prometheus.Counter
	failing  atomic.Bool
}

// ExportSpans implements SpanExporter. It logs the first of a row of failures, and their end.
func (e *tellingExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	switch failed := err != nil; {
	case failed && !e.failing.Swap(failed):
		e.failures.Inc()
		e.log.Error(err, "spans can't be sent; reviews go on")
	case failed:
		e.failures.Inc()
	case e.failing.Swap(failed):
		e.log.Info("spans are sent again")
	}
	return nil
}
