package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/profile"
	"github.com/sluice-gate/sluice/policies/state"
	"github.com/sluice-gate/sluice/webhook"
)

func restricted(b *testing.B) *policies.Gate {
	b.Helper()
	set, err := profile.Load(profile.Options{Name: "restricted"})
	if err != nil {
		b.Fatal(err)
	}
	known := state.NewFiles()
	gate, err := policies.NewGate(policies.Options{Library: set.Library, Policies: set.Policies, State: known, Namespaces: known})
	if err != nil {
		b.Fatal(err)
	}
	return gate
}

func decoded(b *testing.B, body []byte) policies.Request {
	b.Helper()
	review, err := engine.ParseJSON(body)
	if err != nil {
		b.Fatal(err)
	}
	request, err := policies.NewRequest(review.Get("request"))
	if err != nil {
		b.Fatal(err)
	}
	return request
}

// BenchmarkDecode reads a review into what rules see.
func BenchmarkDecode(b *testing.B) {
	for _, s := range samples() {
		b.Run(s.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(s.body)))
			for b.Loop() {
				decoded(b, s.body)
			}
		})
	}
}

// BenchmarkEvaluate judges a decoded review by every rule of restricted.
func BenchmarkEvaluate(b *testing.B) {
	gate := restricted(b)
	for _, s := range samples() {
		b.Run(s.name, func(b *testing.B) {
			request := decoded(b, s.body)
			b.ReportAllocs()
			for b.Loop() {
				if gate.Review(context.Background(), request).Allowed() != s.allowed {
					b.Fatal("wrong verdict")
				}
			}
		})
	}
}

// BenchmarkHandler is a review from body to answer, without the network.
func BenchmarkHandler(b *testing.B) {
	gate := restricted(b)
	current := &webhook.Current{}
	current.Set(gate, gate.Kinds())
	handlers, err := webhook.NewHandlers(webhook.Options{Current: current, Registerer: prometheus.NewRegistry()})
	if err != nil {
		b.Fatal(err)
	}
	for _, s := range samples() {
		b.Run(s.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				request := httptest.NewRequest(http.MethodPost, "/validate?timeout=10s", bytes.NewReader(s.body))
				request.Header.Set("Content-Type", "application/json")
				answer := httptest.NewRecorder()
				handlers.Validate.ServeHTTP(answer, request)
				if answer.Code != http.StatusOK {
					b.Fatal(answer.Body)
				}
			}
		})
	}
}
