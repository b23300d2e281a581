package webhook

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/webhook/decisionlog"
)

// discard is a ResponseWriter that costs nothing.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

func serveAll(b *testing.B, handler http.Handler, body string) {
	b.Helper()
	reader := strings.NewReader(body)
	r := httptest.NewRequest("POST", "/validate?timeout=10s", reader)
	r.Header.Set("Content-Type", "application/json")
	w := discard{http.Header{}}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		reader.Reset(body)
		r.Body = io.NopCloser(reader)
		handler.ServeHTTP(w, r)
	}
}

// BenchmarkValidate takes a review of 1.5 KB apart: what decoding, evaluating and responding cost, together
// and alone, with controller-runtime's handler that allows everything as the base to compare with.
func BenchmarkValidate(b *testing.B) {
	gate := newGate(b, "ingress-tls-required")
	ours, _ := handlersOf(b, gate, nil)
	empty, _ := handlersOf(b, allowing, nil)
	b.Run("controller-runtime allow-all", func(b *testing.B) {
		serveAll(b, allowAll, shopFixed)
	})
	b.Run("sluice allow-all", func(b *testing.B) { serveAll(b, empty.Validate, shopFixed) })
	b.Run("gate allows", func(b *testing.B) { serveAll(b, ours.Validate, shopFixed) })
	b.Run("gate denies", func(b *testing.B) { serveAll(b, ours.Validate, shopReview) })
	b.Run("gate allows, decision log", func(b *testing.B) {
		log, err := decisionlog.Open(decisionlog.Options{Output: os.DevNull, Registerer: prometheus.NewRegistry()})
		if err != nil {
			b.Fatal(err)
		}
		logging, _ := handlersOf(b, gate, func(o *Options) { o.Decisions = log })
		serveAll(b, logging.Validate, shopFixed)
	})
	b.Run("decode", func(b *testing.B) {
		body, reader := []byte(shopFixed), engine.NewReviewReader()
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		for b.Loop() {
			if _, rejected := decode(reader, body); rejected != nil {
				b.Fatal(rejected)
			}
		}
	})
	b.Run("evaluate", func(b *testing.B) {
		request, _ := decode(engine.NewReviewReader(), []byte(shopFixed))
		ctx, cancel := context.WithTimeout(b.Context(), time.Hour)
		defer cancel()
		b.ReportAllocs()
		for b.Loop() {
			gate.Review(ctx, request)
		}
	})
	b.Run("respond", func(b *testing.B) {
		request, _ := decode(engine.NewReviewReader(), []byte(shopFixed))
		decision := gate.Review(b.Context(), request)
		var out []byte
		b.ReportAllocs()
		for b.Loop() {
			a, _ := newAnswer(request, decision)
			out = appendReview(out[:0], request.UID, a)
		}
	})
	b.Run("respond deny", func(b *testing.B) {
		request, _ := decode(engine.NewReviewReader(), []byte(shopReview))
		decision := gate.Review(b.Context(), request)
		var out []byte
		b.ReportAllocs()
		for b.Loop() {
			a, _ := newAnswer(request, decision)
			out = appendReview(out[:0], request.UID, a)
		}
	})
}

// allowAll is the floor that most webhooks start from.
var allowAll = &admission.Webhook{Handler: admission.HandlerFunc(func(context.Context, admission.Request) admission.Response {
	return admission.Allowed("")
})}

// BenchmarkServer is the whole way over TLS and HTTP/2, with 8 workers, client included.
func BenchmarkServer(b *testing.B) {
	ours, _ := handlersOf(b, newGate(b, "ingress-tls-required"), nil)
	for name, handlers := range map[string]*Handlers{"controller-runtime allow-all": {Validate: allowAll, Mutate: allowAll}, "gate": ours} {
		b.Run(name, func(b *testing.B) {
			url, config := start(b, handlers, ServerOptions{})
			client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}}
			b.SetParallelism(4)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					response, err := client.Post(url+"/validate?timeout=10s", "application/json", bytes.NewReader([]byte(shopFixed)))
					if err != nil {
						b.Error(err)
						return
					}
					_, _ = io.Copy(io.Discard, response.Body)
					response.Body.Close()
				}
			})
		})
	}
}
