package controllers

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// GenerateMetrics shows what the leader generates. Other replicas have none of it.
type GenerateMetrics struct {
	written  *prometheus.CounterVec
	removed  *prometheus.CounterVec
	failures *prometheus.CounterVec
	triggers *prometheus.GaugeVec
	released prometheus.Counter
	held     prometheus.Gauge
}

// NewGenerateMetrics registers the metrics.
func NewGenerateMetrics(registerer prometheus.Registerer) (*GenerateMetrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &GenerateMetrics{
		written: counter("sluice_generated_writes_total",
			"Generated objects that were written, by why: created, updated (the policy asks for something else), or repaired after somebody had changed or deleted them.",
			"policy", "kind", "reason"),
		removed:  counter("sluice_generated_removals_total", "Generated objects that were deleted because a policy no longer asks for them.", "policy", "kind"),
		failures: counter("sluice_generate_failures_total", "Attempts to generate what a policy asks for that failed.", "policy"),
		triggers: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "sluice_generate_triggers",
			Help: "Objects, such as namespaces, for which a policy generates something, by state: satisfied, pending, failed or older (than the policy, and left alone)."},
			[]string{"policy", "state"}),
		released: prometheus.NewCounter(prometheus.CounterOpts{Name: "sluice_pods_released_total", Help: "Pods whose scheduling gate was taken, because their namespace has what is generated for it."}),
		held:     prometheus.NewGauge(prometheus.GaugeOpts{Name: "sluice_pods_held", Help: "Pods that wait for what is generated for their namespace."}),
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.written, m.removed, m.failures, m.triggers, m.released, m.held} {
		errs = append(errs, registerer.Register(c))
	}
	return m, errors.Join(errs...)
}
