package webhook

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/sluice-gate/sluice/policies"
)

// sum adds up the samples of a counter, gauge or histogram (its count) that have the labels, given as
// name, value pairs.
func sum(t testing.TB, registry *prometheus.Registry, name string, labels ...string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	total := 0.0
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, metric := range family.GetMetric() {
			matching := 0
			for _, label := range metric.GetLabel() {
				if i := slices.Index(labels, label.GetName()); i >= 0 && labels[i+1] == label.GetValue() {
					matching += 2
				}
			}
			if matching == len(labels) {
				total += metric.GetCounter().GetValue() + metric.GetGauge().GetValue() + float64(metric.GetHistogram().GetSampleCount())
			}
		}
	}
	return total
}

func TestOutcomesAreCounted(t *testing.T) {
	finding := func(effect policies.Effect, failed bool) policies.Decision {
		return policies.Decision{Judged: true, Findings: []policies.Finding{{Policy: "p", Effect: effect, Failed: failed}}}
	}
	tests := map[string]struct {
		decision        policies.Decision
		outcome, action string
	}{
		"allow":         {policies.Decision{Judged: true}, "allow", ""},
		"zero":          {policies.Decision{}, "error", ""},
		"exempt":        {policies.Decision{Judged: true, Exempt: "x"}, "exempt", ""},
		"patch":         {policies.Decision{Judged: true, Patches: make([]policies.Patch, 1)}, "patch", ""},
		"deny":          {finding(policies.EffectDeny, false), "deny", "deny"},
		"unknown":       {finding("?", false), "deny", "deny"},
		"warn":          {finding(policies.EffectWarn, false), "warn", "warn"},
		"audit":         {finding(policies.EffectAudit, false), "allow", "audit"},
		"failed":        {finding(policies.EffectDeny, true), "error", "error"},
		"failed warn":   {finding(policies.EffectWarn, true), "warn", "error"},
		"exempt, zero":  {policies.Decision{Exempt: "x"}, "error", ""},
		"failed, deny":  {policies.Decision{Judged: true, Findings: append(finding(policies.EffectDeny, true).Findings, finding(policies.EffectDeny, false).Findings...)}, "deny", "deny"},
		"failure, warn": {policies.Decision{Judged: true, Failure: "x", Findings: finding(policies.EffectWarn, false).Findings}, "error", "warn"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			handlers, registry := handlersOf(t, deciding(test.decision), nil)
			post(handlers.Validate, shopReview)
			if sum(t, registry, "sluice_reviews_total") != 1 || sum(t, registry, "sluice_reviews_total",
				"handler", "validate", "operation", "CREATE", "kind", "networking.k8s.io/Ingress", "decision", test.outcome) != 1 {
				t.Errorf("not counted as %s", test.outcome)
			}
			if test.action != "" && sum(t, registry, "sluice_findings_total", "policy", "p", "action", test.action) != 1 {
				t.Errorf("finding not counted as %s", test.action)
			}
			if got := sum(t, registry, "sluice_evaluation_errors_total", "policy", "p"); (got > 0) != strings.HasPrefix(name, "failed") {
				t.Errorf("%v evaluation errors", got)
			}
			if sum(t, registry, "sluice_review_duration_seconds", "handler", "validate") != 1 || sum(t, registry, "sluice_reviews_in_flight") != 0 {
				t.Error("duration or in-flight is wrong")
			}
		})
	}
}

// An alert on an increase sees the first refusal only if there was a zero before it.
func TestReasonsAreThereFromTheStart(t *testing.T) {
	_, registry := handlersOf(t, nil, nil)
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	reasons := map[string]bool{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range regexp.MustCompile(`reject\(http\.\w+, "(\w+)"`).FindAllStringSubmatch(string(content), -1) {
			reasons[match[1]] = true
		}
	}
	if got, want := values(t, registry, "sluice_reviews_rejected_total", "reason"), slices.Sorted(maps.Keys(reasons)); !slices.Equal(got, want) || len(want) < 5 {
		t.Errorf("reasons %v, want %v", got, want)
	}
	if got := values(t, registry, "sluice_events_dropped_total", "bound"); !slices.Equal(got, []string{"namespace", "total"}) {
		t.Errorf("bounds %v", got)
	}
}

// values are those that a label of a metric has, sorted.
func values(t *testing.T, registry *prometheus.Registry, name, label string) (out []string) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			for _, pair := range metric.GetLabel() {
				if family.GetName() == name && pair.GetName() == label {
					out = append(out, pair.GetValue())
				}
			}
		}
	}
	slices.Sort(out)
	return out
}

// A client that makes up kinds can't make up time series.
func TestLabelsAreBounded(t *testing.T) {
	handlers, registry := handlersOf(t, allowing, nil)
	for _, kind := range []string{"A", "B", "C"} {
		post(handlers.Validate, strings.Replace(shopReview, `"kind":"Ingress"}`, `"kind":"`+kind+`"}`, 1))
	}
	if got := sum(t, registry, "sluice_reviews_total", "kind", "other"); got != 3 {
		t.Errorf("%v of 3 are other", got)
	}
}

// Names and units are those of https://prometheus.io/docs/practices/naming; labels take values from policies and from what they
// match, or of a fixed set, never from a request alone.
func TestMetricsKeepTheConventions(t *testing.T) {
	registry := prometheus.NewRegistry()
	m, err := newMetrics(registry)
	if err != nil {
		t.Fatal(err)
	}
	m.reviews.WithLabelValues("validate", "CREATE", "Service", "deny")
	m.findings.WithLabelValues("p", "deny")
	m.errors.WithLabelValues("p")
	m.breakGlass.WithLabelValues("p", "Service", "CREATE")
	m.duration.WithLabelValues("validate")
	families, err := registry.Gather()
	if err != nil || len(families) != 8 {
		t.Fatalf("%d families: %v", len(families), err)
	}
	if problems, err := promlint.NewWithMetricFamilies(families).Lint(); err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
	bounded := []string{"handler", "operation", "kind", "decision", "policy", "action", "reason", "bound"}
	for _, family := range families {
		for _, label := range family.GetMetric()[0].GetLabel() {
			if !strings.HasPrefix(family.GetName(), "sluice_") || !slices.Contains(bounded, label.GetName()) {
				t.Errorf("%s has a label %s", family.GetName(), label.GetName())
			}
		}
	}
}
