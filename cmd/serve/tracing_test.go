package serve

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	collectorv1 "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

// collector takes spans by OTLP over HTTP, or answers with a status.
type collector struct {
	mu       sync.Mutex
	status   int
	requests []string // as "path service span"
}

// ServeHTTP implements http.Handler.
func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.status != 0 {
		w.WriteHeader(c.status)
		return
	}
	body, _ := io.ReadAll(r.Body)
	var export collectorv1.ExportTraceServiceRequest
	if err := proto.Unmarshal(body, &export); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	for _, resource := range export.ResourceSpans {
		for _, attribute := range resource.Resource.Attributes {
			if attribute.Key == "service.name" {
				c.requests = append(c.requests, r.URL.Path+" "+attribute.Value.GetStringValue()+" "+resource.ScopeSpans[0].Spans[0].Name)
			}
		}
	}
}

func (c *collector) answer(status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status = status
}

func TestSpansReachTheCollector(t *testing.T) {
	for path, want := range map[string]string{"": "/v1/traces sluice review", "/": "/v1/traces sluice review", "/tenant/v1/traces": "/tenant/v1/traces sluice review"} {
		taken := &collector{}
		server := httptest.NewServer(taken)
		made, err := newObservers(t.Context(), Options{TracingEndpoint: server.URL + path, TracingRatio: 1, Registerer: prometheus.NewRegistry()})
		if err != nil {
			t.Fatal(err)
		}
		_, span := made.tracer().Start(t.Context(), "review")
		span.End()
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := made.close(ended); err != nil { // what waits is sent though the process ends
			t.Error(err)
		}
		server.Close()
		if len(taken.requests) != 1 || taken.requests[0] != want {
			t.Errorf("%q: %q, want %q", path, taken.requests, want)
		}
	}
}

func TestACollectorThatIsAwayIsTold(t *testing.T) {
	taken := &collector{status: http.StatusBadRequest} // unlike 503, it is not tried again
	server := httptest.NewServer(taken)
	defer server.Close()
	var said []string
	registry := prometheus.NewRegistry()
	tracing, err := newTracing(t.Context(), Options{TracingEndpoint: server.URL, TracingRatio: 1, Registerer: registry,
		Log: funcr.New(func(_, args string) { said = append(said, args) }, funcr.Options{})})
	if err != nil {
		t.Fatal(err)
	}
	for _, status := range []int{400, 400, 0, 400} {
		taken.answer(status)
		_, span := tracing.Tracer(tracerName).Start(t.Context(), "review")
		span.End()
		if err := tracing.ForceFlush(t.Context()); err != nil {
			t.Error(err)
		}
	}
	tracing.close(t.Context())
	if len(said) != 3 || !strings.Contains(said[0], "can't be sent") || !strings.Contains(said[1], "sent again") || !strings.Contains(said[2], "can't be sent") {
		t.Errorf("said %q", said)
	}
	families, err := registry.Gather()
	if err != nil || len(families) != 1 || families[0].GetMetric()[0].GetCounter().GetValue() != 3 {
		t.Errorf("%v %v", families, err)
	}
	if problems, err := promlint.NewWithMetricFamilies(families).Lint(); err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
}

func TestNobodyIsTold(t *testing.T) {
	made, err := newObservers(t.Context(), Options{})
	if err != nil || made.decisions != nil || made.tracer() != nil {
		t.Error("what is off is made", err)
	}
	if err := made.close(t.Context()); err != nil {
		t.Error(err)
	}
}
