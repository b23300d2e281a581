package webhook

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/engine"
)

// metrics are all that the webhook measures. No label takes a value that a request could make up.
type metrics struct {
	reviews  *prometheus.CounterVec
	duration *prometheus.HistogramVec
	findings *prometheus.CounterVec
	errors   *prometheus.CounterVec
	inFlight prometheus.Gauge
	rejected *prometheus.CounterVec

	breakGlass    *prometheus.CounterVec
	eventsDropped *prometheus.CounterVec
}

func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &metrics{
		reviews: counter("sluice_reviews_total",
			"Reviews by what they came to: allow, warn, patch, deny, error (could not be judged, and denied) or exempt.",
			"handler", "operation", "kind", "decision"),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "sluice_review_duration_seconds", Help: "Time to answer a review, from its header to the answer.",
			Buckets: []float64{50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3, 1, 2.5, 10},
		}, []string{"handler"}),
		findings: counter("sluice_findings_total", "Findings by policy and action: deny, warn, audit, error or excused (by a GateException).", "policy", "action"),
		errors:   counter("sluice_evaluation_errors_total", "Reviews that a policy could not judge.", "policy"),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{Name: "sluice_reviews_in_flight", Help: "Reviews being read, waiting or judged."}),
		rejected: counter("sluice_reviews_rejected_total", "Requests refused unjudged, with a code other than 200.", "reason"),
		breakGlass: counter("sluice_break_glass_total", "Requests by members of a break-glass group that were admitted although only Sluice may make them.",
			"policy", "kind", "operation"),
		eventsDropped: counter("sluice_events_dropped_total", "Events about denials that were not made, by which bound there were enough: namespace or total.", "bound"),
	}
	// Prometheus sees no increase where there was no series.
	for _, reason := range []string{"method", "content_type", "too_large", "slow_body", "malformed", "unsupported", "not_ready", "queue_full", "queue_timeout"} {
		m.rejected.WithLabelValues(reason)
	}
	for _, bound := range []string{"namespace", "total"} {
		m.eventsDropped.WithLabelValues(bound)
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.reviews, m.duration, m.findings, m.errors, m.inFlight, m.rejected, m.breakGlass, m.eventsDropped} {
		errs = append(errs, registerer.Register(c))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("register webhook metrics: %w", err)
	}
	return m, nil
}

func (m *metrics) count(handler string, current *snapshot, request policies.Request, decision policies.Decision) {
	m.reviews.WithLabelValues(handler, operationName(request.Operation), current.kindName(request.Kind.GroupKind()), outcome(decision)).Inc()
	for _, f := range decision.Findings {
		m.findings.WithLabelValues(f.Policy, action(f)).Inc()
		if f.Failed {
			m.errors.WithLabelValues(f.Policy).Inc()
		}
		if decision.BreakGlass && !request.DryRun {
			m.breakGlass.WithLabelValues(f.Policy, current.kindName(request.Kind.GroupKind()), operationName(request.Operation)).Inc()
		}
	}
}

func operationName(operation engine.Operation) string {
	switch operation {
	case engine.Create, engine.Update, engine.Delete:
		return string(operation)
	}
	return "other"
}

// outcome names what a decision comes to.
func outcome(d policies.Decision) string {
	switch {
	case d.Allowed() && d.Exempt != "":
		return "exempt"
	case d.Allowed() && len(d.Patches) > 0:
		return "patch"
	case d.Allowed() && len(d.Warnings()) > 0:
		return "warn"
	case d.Allowed():
		return "allow"
	}
	for _, f := range d.Denials() {
		if !f.Failed {
			return "deny"
		}
	}
	return "error"
}

// action is what the command line calls a finding's action, or excused.
func action(f policies.Finding) string {
	switch {
	case f.Excused != "":
		return "excused"
	case f.Failed:
		return "error"
	case f.Effect == policies.EffectWarn, f.Effect == policies.EffectAudit:
		return string(f.Effect)
	}
	return "deny"
}
