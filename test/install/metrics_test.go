package install

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Alerts and the dashboard ask for what the program measures, in words that Prometheus understands.
func TestMetricsExist(t *testing.T) {
	measured := measures(t)
	asked := map[string]bool{}
	for name, expression := range expressions(t) {
		for _, metric := range measured.check(expression, func(format string, args ...any) { t.Errorf(name+": "+format, args...) }) {
			asked[metric] = true
		}
	}
	for name := range measured.own {
		if !asked[name] && !asked[name+"_bucket"] && name != "sluice_certificate_expiry_timestamp_seconds" { // the same as the seconds left
			t.Errorf("neither an alert nor the dashboard shows %s", name)
		}
	}
}

// An expression fits each metric in it, not only some other.
func TestMismatchesAreSeen(t *testing.T) {
	measured := measures(t)
	for expression, problems := range map[string]int{
		`sum by (policy, state) (sluice_generate_triggers{state="failed",job="x"})`:                       0,
		`sum by (le, handler) (rate(sluice_review_duration_seconds_bucket[5m]))`:                          0,
		`sluice_policy_compiled == 0 and on (policy) sluice_policy_ready{reason=~"Active|Inactive"} == 0`: 1,
		`sluice_generate_triggers{state=~"failed|pending"}`:                                               0,
		`sluice_generate_triggers{state="fail"}`:                                                          1,
		`rate(sluice_review_duration_seconds_sum{handler="fail"}[5m])`:                                    1,
		`sluice_generate_triggers{policy="any",state!="fail"}`:                                            1,
		`sluice_pods_held{policy="p"}`:                                                                    1,
		`sum by (policy) (sluice_pods_held)`:                                                              1,
		`sum by (policy) (rate(sluice_evaluation_errors_total[5m])) / sum(sluice_pods_held)`:              0,
		`sluice_policy_compiled * on (reason) sluice_policy_ready`:                                        1,
		`sum by (le) (sluice_review_duration_seconds_count)`:                                              1,
		`sluice_review_duration_seconds`:                                                                  1,
		`sluice_pods_held_bucket`:                                                                         1,
		`sluice_pods`:                                                                                     1,
		`sluice_pods_held +`:                                                                              1,
	} {
		seen := 0
		measured.check(expression, func(string, ...any) { seen++ })
		if seen != problems {
			t.Errorf("%s: %d problems, want %d", expression, seen, problems)
		}
	}
}

var growth = regexp.MustCompile(`(?:rate|increase)\((\w+)\[([^]]+)\]\)`)

// A counter of a policy has no series before it first counts, nor one of a replica before the first scrape. Findings come in streams; of all others the first one matters.
func TestTheFirstTimeCounts(t *testing.T) {
	measured := measures(t)
	for name, expression := range expressions(t) {
		for _, found := range growth.FindAllStringSubmatch(expression, -1) {
			counter, window := found[1], found[2]
			first := fmt.Sprintf("((%[1]s unless %[1]s offset %[2]s) and on (job, instance) up offset %[2]s == 1) or increase(%[1]s[%[2]s])", counter, window)
			matters := slices.Contains(measured.own[counter].labels, "policy") && counter != "sluice_findings_total"
			if matters && !strings.Contains(strings.Join(strings.Fields(expression), " "), first) {
				t.Errorf("%s: it does not see the first time: %s", name, first)
			}
		}
	}
}

// expressions are those of the alerts and of the dashboard's panels, by where they are.
func expressions(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, alert := range alerts(t, kustomize(t, "prometheus")) {
		all["alert "+alert.Alert] = alert.Expr
	}
	inRules := len(all)
	for _, panel := range dashboard(t).Panels {
		for _, target := range panel.Targets {
			all["panel "+panel.Title+": "+target.Expr] = target.Expr
		}
	}
	if inRules < 8 || len(all) < inRules+20 {
		t.Fatalf("%d alerts and %d expressions in the dashboard", inRules, len(all)-inRules)
	}
	return all
}

type board struct {
	Title  string
	Panels []struct {
		ID      int
		Type    string
		Title   string
		GridPos struct{ X, Y, W, H int }
		Targets []struct{ Expr string }
	}
}

func dashboard(t *testing.T) (read board) {
	t.Helper()
	content, err := os.ReadFile(Config + "/prometheus/sluice.json")
	if err == nil {
		err = json.Unmarshal(content, &read)
	}
	if err != nil {
		t.Fatal(err)
	}
	return read
}

func TestDashboard(t *testing.T) {
	shown := dashboard(t)
	ids := map[int]bool{}
	taken := map[[2]int]string{}
	for _, panel := range shown.Panels {
		if ids[panel.ID] {
			t.Errorf("panel %d is there twice", panel.ID)
		}
		ids[panel.ID] = true
		if panel.Type != "row" && len(panel.Targets) == 0 {
			t.Errorf("%s shows nothing", panel.Title)
		}
		for x := range panel.GridPos.W {
			for y := range panel.GridPos.H {
				at := [2]int{panel.GridPos.X + x, panel.GridPos.Y + y}
				if other := taken[at]; other != "" {
					t.Fatalf("%s lies over %s", panel.Title, other)
				}
				taken[at] = panel.Title
			}
		}
	}
	if shown.Title != "Sluice" || len(ids) < 15 {
		t.Errorf("%q has %d panels", shown.Title, len(ids))
	}
}

// through reads an object whose kind has no Go type here.
func through(t *testing.T, object map[string]any, typed any) {
	t.Helper()
	text, err := json.Marshal(object)
	if err == nil {
		err = json.Unmarshal(text, typed)
	}
	if err != nil {
		t.Fatal(err)
	}
}
