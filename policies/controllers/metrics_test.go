package controllers

import (
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

// Names and units are those of https://prometheus.io/docs/practices/naming; labels take values from policies and from what they
// generate, or of a fixed set.
func TestMetricsKeepTheConventions(t *testing.T) {
	registry := prometheus.NewRegistry()
	m, err := NewMetrics(registry)
	if err != nil {
		t.Fatal(err)
	}
	g, err := NewGenerateMetrics(registry)
	if err != nil {
		t.Fatal(err)
	}
	m.generation.WithLabelValues("p")
	m.compiled.WithLabelValues("p")
	m.ready.WithLabelValues("p", "Active")
	g.written.WithLabelValues("p", "Service", "created")
	g.removed.WithLabelValues("p", "Service")
	g.failures.WithLabelValues("p")
	g.triggers.WithLabelValues("p", "pending")
	families, err := registry.Gather()
	if err != nil || len(families) != 10 {
		t.Fatalf("%d families: %v", len(families), err)
	}
	if problems, err := promlint.NewWithMetricFamilies(families).Lint(); err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
	for _, family := range families {
		for _, label := range family.GetMetric()[0].GetLabel() {
			if !strings.HasPrefix(family.GetName(), "sluice_") || !slices.Contains([]string{"policy", "kind", "reason", "state"}, label.GetName()) {
				t.Errorf("%s has a label %s", family.GetName(), label.GetName())
			}
		}
	}
}
