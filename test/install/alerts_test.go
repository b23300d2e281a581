package install

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

// alertCases has for each alert what must fire it and what comes near and must not, as promtool writes series: a value a minute,
// where 1x5 is a 1 and five more, 1+2x5 grows by 2 five times, and _ is a minute without a sample.
var alertCases = map[string]struct{ fires, quiet []string }{
	"SluiceDown": {
		fires: []string{`up{job="sluice-metrics",pod="a"} 1x5 0x5`, `up{job="other",pod="a"} 1x10`},
		quiet: []string{`up{job="sluice-metrics",pod="a"} 1x5 0x1 1x5`},
	},
	"SluiceReplicaMissing": {
		fires: []string{`up{job="sluice-metrics",pod="a"} 1x30`, `up{job="sluice-metrics",pod="b"} 1x5 0x25`},
		quiet: []string{`up{job="sluice-metrics",pod="a"} 1x30`, `up{job="sluice-metrics",pod="b"} 1x5 0x13 1x10`},
	},
	"SluiceCantJudge": { // each replica once: no series grows
		fires: []string{`up{job="j",instance="a"} 1x30`, `sluice_evaluation_errors_total{policy="p",job="j",instance="a"} _x5 1x30`,
			`up{job="j",instance="b"} 1x30`, `sluice_evaluation_errors_total{policy="p",job="j",instance="b"} _x9 1x30`,
			`up{job="j",instance="c"} 1x30`, `sluice_evaluation_errors_total{policy="p",job="j",instance="c"} _x13 1x30`},
		quiet: []string{`up{job="j",instance="a"} 1x40`, `sluice_evaluation_errors_total{policy="p",job="j",instance="a"} _x5 1x30`,
			`up{job="j",instance="b"} 1x40`, `sluice_evaluation_errors_total{policy="p",job="j",instance="b"} 7x30`},
	},
	"SluicePolicyDoesNotCompile": {
		fires: []string{`sluice_policy_compiled{policy="p",pod="a"} 1x10`, `sluice_policy_compiled{policy="p",pod="b"} 0x10`},
		quiet: []string{`sluice_policy_compiled{policy="p",pod="a"} 1 0x3 1x10`, `sluice_policy_compiled{policy="p",pod="b"} 1x10`},
	},
	"SluicePolicyNotReady": { // another leader does not begin anew
		fires: []string{`sluice_policy_ready{policy="p",reason="NotIntercepted",pod="a"} 0x5 stale`, `sluice_policy_ready{policy="p",reason="NotIntercepted",pod="b"} _x6 0x6`},
		quiet: []string{`sluice_policy_ready{policy="p",reason="NotIntercepted",pod="a"} 0x3`, `sluice_policy_ready{policy="p",reason="Active",pod="a"} _x4 1x20`,
			`sluice_policy_ready{policy="gateway",reason="KindNotServed",pod="a"} 0x20`},
	},
	"SluiceNoLeader": {
		fires: []string{`leader_election_master_status{job="sluice-metrics",pod="a"} 1x5 0x10`, `leader_election_master_status{job="sluice-metrics",pod="b"} 0x15`,
			`leader_election_master_status{job="other",pod="c"} 1x15`},
		quiet: []string{`leader_election_master_status{job="sluice-metrics",pod="a"} 1x5 0x10`, `leader_election_master_status{job="sluice-metrics",pod="b"} 0x8 1x8`},
	},
	"SluiceRejects": {
		fires: []string{`sluice_reviews_rejected_total{reason="queue_full",pod="a"} 0x5 1+1x15`},
		quiet: []string{`sluice_reviews_rejected_total{reason="queue_full",pod="a"} 0x5 1+1x3 4x20`},
	},
	"SluiceSlow": {
		fires: []string{`sluice_review_duration_seconds_bucket{handler="validate",le="0.1"} 0+97x20`, `sluice_review_duration_seconds_bucket{handler="validate",le="0.25"} 0+100x20`,
			`sluice_review_duration_seconds_bucket{handler="validate",le="+Inf"} 0+100x20`},
		quiet: []string{`sluice_review_duration_seconds_bucket{handler="validate",le="0.1"} 0+995x20`, `sluice_review_duration_seconds_bucket{handler="validate",le="0.25"} 0+1000x20`,
			`sluice_review_duration_seconds_bucket{handler="validate",le="+Inf"} 0+1000x20`},
	},
	"SluiceGenerateFails": {
		fires: []string{`sluice_generate_triggers{policy="p",state="failed"} 1x15`},
		quiet: []string{`sluice_generate_triggers{policy="p",state="failed"} 1x8 0x10`, `sluice_generate_triggers{policy="p",state="pending"} 1x20`},
	},
	"SluicePodsHeld": {
		fires: []string{`sluice_pods_held{pod="a"} 0x10`, `sluice_pods_held{pod="b"} 3x10`},
		quiet: []string{`sluice_pods_held{pod="a"} 3x4 0x10`},
	},
	"SluiceBreakGlass": {
		fires: []string{`up{job="j",instance="a"} 1x30`, `sluice_break_glass_total{policy="p",kind="Pod",operation="UPDATE",job="j",instance="a"} _x20 1x10`},
		quiet: []string{ // never used; used before Prometheus came; a scrape that failed; nobody scraped for a while
			`up{job="j",instance="a"} 1x60`, `sluice_break_glass_total{policy="p",kind="Pod",operation="UPDATE",job="j",instance="a"} _x20 0x10`,
			`up{job="j",instance="b"} 1x60`, `sluice_break_glass_total{policy="p",kind="Pod",operation="UPDATE",job="j",instance="b"} 3x60`,
			`up{job="j",instance="c"} 1x20 0 1x39`, `sluice_break_glass_total{policy="p",kind="Pod",operation="UPDATE",job="j",instance="c"} 3x20 stale 3x39`,
			`up{job="j",instance="d"} 1x20 _x9 1x30`, `sluice_break_glass_total{policy="p",kind="Pod",operation="UPDATE",job="j",instance="d"} 3x20 _x9 3x30`},
	},
	"SluiceCertificateNotAccepted": {
		fires: []string{`sluice_certificate_valid{pod="a"} 1x10`, `sluice_certificate_valid{pod="b"} 0x10`},
		quiet: []string{`sluice_certificate_valid{pod="a"} 0x3 1x10`, `sluice_certificate_valid{pod="b"} 1x10`},
	},
	"SluiceCertificateEnds": { // 14 days are 1209600 s
		fires: []string{`sluice_certificate_remaining_seconds{pod="a"} 7776000x70`, `sluice_certificate_remaining_seconds{pod="b"} 1209599x70`},
		quiet: []string{`sluice_certificate_remaining_seconds{pod="a"} 1209600x70`, `sluice_certificate_remaining_seconds{pod="b"} 1209599x50 7776000x20`},
	},
	"SluiceWebhookNotTrusted": {
		fires: []string{`sluice_webhooks_without_ca_bundle{pod="a"} 1x10`},
		quiet: []string{`sluice_webhooks_without_ca_bundle{pod="a"} 5x3 0x10`},
	},
	"SluiceDecisionLogIncomplete": {
		fires: []string{`sluice_decision_log_dropped_total{reason="queue_full",pod="a"} 0x20 1x5`},
		quiet: []string{`sluice_decision_log_dropped_total{reason="queue_full",pod="a"} 5x30`},
	},
}

var (
	labelInText = regexp.MustCompile(`\$labels\.(\w+)`)
	reference   = regexp.MustCompile(`See ("[^.]+") in config/README\.md`)
)

func TestAlertsNameHeadings(t *testing.T) {
	manual, err := os.ReadFile(Config + "/README.md")
	if err != nil {
		t.Fatal(err)
	}
	referring := 0
	for _, rule := range alerts(t, kustomize(t, "prometheus")) {
		for _, found := range reference.FindAllStringSubmatch(rule.Annotations.Description, -1) {
			referring++
			for _, heading := range strings.Split(found[1], " and ") {
				if !strings.Contains(string(manual), "\n## "+strings.Trim(heading, `"`)+"\n") {
					t.Errorf("%s: config/README.md has no heading %s", rule.Alert, heading)
				}
			}
		}
	}
	if referring < 5 {
		t.Errorf("%d alerts name a heading", referring)
	}
}

func TestAlerts(t *testing.T) {
	rules := alerts(t, kustomize(t, "prometheus"))
	for _, name := range slices.Sorted(maps.Keys(alertCases)) {
		if !slices.ContainsFunc(rules, func(r alert) bool { return r.Alert == name }) {
			t.Errorf("there is no alert %s", name)
		}
	}
	for _, rule := range rules {
		t.Run(rule.Alert, func(t *testing.T) {
			cases := alertCases[rule.Alert]
			if len(cases.fires) == 0 || len(cases.quiet) == 0 {
				t.Fatal("alertCases need what fires it, and what does not")
			}
			fired := rule.firings(t, cases.fires)
			if len(fired) == 0 {
				t.Error("it does not fire")
			}
			for _, found := range labelInText.FindAllStringSubmatch(rule.Annotations.Summary+rule.Annotations.Description, -1) {
				for _, one := range fired {
					if !one.Has(found[1]) {
						t.Errorf("its text names the label %s, and it has %s", found[1], one)
					}
				}
			}
			if fired := rule.firings(t, cases.quiet); len(fired) > 0 {
				t.Errorf("it fires for %v", fired)
			}
		})
	}
}

// firings are the label sets by which the alert fires at some minute while the series last.
func (a alert) firings(t *testing.T, written []string) (fired []labels.Labels) {
	t.Helper()
	wait := time.Duration(0)
	if a.For != "" {
		var err error
		if wait, err = time.ParseDuration(a.For); err != nil {
			t.Fatal(err)
		}
	}
	series, end := stored(t, written)
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1e6, Timeout: time.Minute, Parser: parser.NewParser(parser.Options{})})
	pending := map[string]time.Time{} // since when, by labels
	for now := time.Unix(0, 0); !now.After(end); now = now.Add(time.Minute) {
		query, err := engine.NewInstantQuery(t.Context(), series, nil, a.Expr, now)
		if err != nil {
			t.Fatal(err)
		}
		result, err := query.Exec(t.Context()).Vector()
		if err != nil {
			t.Fatal(err)
		}
		still := map[string]time.Time{}
		for _, sample := range result {
			key := sample.Metric.String()
			still[key] = now
			if since, ok := pending[key]; ok {
				still[key] = since
			}
			if now.Sub(still[key]) >= wait {
				fired = append(fired, sample.Metric)
			}
		}
		pending = still
	}
	return fired
}

// stored are the series as Prometheus would have them, and the time of the last sample.
func stored(t *testing.T, written []string) (storage.Queryable, time.Time) {
	t.Helper()
	var series []storage.Series
	end := int64(0)
	for _, one := range written {
		name, values, err := parser.NewParser(parser.Options{}).ParseSeriesDesc(one)
		if err != nil {
			t.Fatalf("%s: %v", one, err)
		}
		var samples []chunks.Sample
		for minute, value := range values {
			at := int64(minute) * time.Minute.Milliseconds()
			end = max(end, at)
			if !value.Omitted {
				samples = append(samples, float{t: at, v: value.Value})
			}
		}
		series = append(series, storage.NewListSeries(name, samples))
	}
	return &storage.MockQueryable{MockQuerier: &storage.MockQuerier{
		SelectMockFunction: func(_ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
			found := &seriesSet{}
			for _, one := range series {
				if !slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches(one.Labels().Get(m.Name)) }) {
					found.left = append(found.left, one)
				}
			}
			return found
		},
	}}, time.UnixMilli(end)
}

type seriesSet struct {
	at   storage.Series
	left []storage.Series
}

func (s *seriesSet) Next() bool {
	if len(s.left) == 0 {
		return false
	}
	s.at, s.left = s.left[0], s.left[1:]
	return true
}

func (s *seriesSet) At() storage.Series                { return s.at }
func (s *seriesSet) Err() error                        { return nil }
func (s *seriesSet) Warnings() annotations.Annotations { return nil }

// float is a sample that is no histogram.
type float struct {
	chunks.Sample
	t int64
	v float64
}

func (f float) T() int64                 { return f.t }
func (f float) ST() int64                { return 0 }
func (f float) F() float64               { return f.v }
func (f float) Type() chunkenc.ValueType { return chunkenc.ValFloat }
func (f float) Copy() chunks.Sample      { return f }

type alert struct {
	Alert, Expr, For string
	Annotations      struct{ Summary, Description string }
}

// alerts are those of the PrometheusRule.
func alerts(t *testing.T, objects Objects) (all []alert) {
	t.Helper()
	var rules struct {
		Spec struct {
			Groups []struct{ Rules []alert }
		}
	}
	through(t, objects["PrometheusRule sluice-system/sluice"].Object, &rules)
	for _, group := range rules.Spec.Groups {
		all = append(all, group.Rules...)
	}
	return all
}
