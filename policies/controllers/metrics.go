package controllers

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Metrics shows what is in use on this replica. Policies are named: platform teams have tens of them.
type Metrics struct {
	generation *prometheus.GaugeVec
	compiled   *prometheus.GaugeVec
	ready      *prometheus.GaugeVec // of the leader alone
	duration   prometheus.Histogram
}

// NewMetrics registers the metrics.
func NewMetrics(registerer prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		generation: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "sluice_policy_active_generation",
			Help: "The generation of the GatePolicy that this replica has in use; 0 if none compiles."}, []string{"policy"}),
		compiled: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "sluice_policy_compiled",
			Help: "1 if the newest generation of the GatePolicy compiles on this replica, else 0."}, []string{"policy"}),
		ready: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "sluice_policy_ready",
			Help: "1 if the newest generation of the GatePolicy judges what it matches, else 0, by the reason of its condition Ready. Only the leader has it."},
			[]string{"policy", "reason"}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "sluice_compile_duration_seconds",
			Help: "Time to compile all policies after a change.", Buckets: prometheus.ExponentialBuckets(0.001, 4, 8)}),
	}
	return m, errors.Join(registerer.Register(m.generation), registerer.Register(m.compiled), registerer.Register(m.ready), registerer.Register(m.duration))
}

// showReady shows a policy's condition Ready in place of the one before.
func (m *Metrics) showReady(policy string, ready metav1.Condition) {
	m.forgetReady(policy)
	value := 0.0
	if ready.Status == metav1.ConditionTrue {
		value = 1
	}
	m.ready.WithLabelValues(policy, ready.Reason).Set(value)
}

func (m *Metrics) forgetReady(policy string) {
	m.ready.DeletePartialMatch(prometheus.Labels{"policy": policy})
}

// observe shows a snapshot in place of the one before, which may be nil.
func (m *Metrics) observe(snapshot, before *Snapshot, took time.Duration) {
	m.duration.Observe(took.Seconds())
	if before != nil {
		for name := range before.Policies {
			if _, still := snapshot.Policies[name]; !still {
				m.generation.DeleteLabelValues(name)
				m.compiled.DeleteLabelValues(name)
			}
		}
	}
	for name, result := range snapshot.Policies {
		active, compiled := int64(0), 0.0
		if result.LastGood != nil {
			active = result.LastGood.Generation
		}
		if result.Err == nil {
			compiled = 1
		}
		m.generation.WithLabelValues(name).Set(float64(active))
		m.compiled.WithLabelValues(name).Set(compiled)
	}
}
