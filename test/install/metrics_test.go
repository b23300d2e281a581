package install

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

var (
	metricInGo = regexp.MustCompile(`"(sluice_[a-z_]+)"`)
	labelInGo  = regexp.MustCompile(`"([a-z_]+)"[,})]`)
)

// ofEvery is what a scrape brings beside Sluice's own, and the labels that it adds.
var ofEvery = []string{"up", "go_goroutines", "process_resident_memory_bytes", "process_cpu_seconds_total", "job", "pod", "le"}

// Alerts and the dashboard ask for what the program measures, in words that Prometheus understands.
func TestMetricsExist(t *testing.T) {
	measured, labelled := measures(t)
	asked := map[string]bool{}
	for name, expression := range expressions(t) {
		parsed, err := parser.NewParser(parser.Options{}).ParseExpr(strings.ReplaceAll(expression, "$__rate_interval", "5m"))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
			var used []string
			switch n := node.(type) {
			case *parser.VectorSelector:
				asked[n.Name] = true
				if !slices.Contains(ofEvery, n.Name) && !measured[strings.TrimSuffix(n.Name, "_bucket")] {
					t.Errorf("%s: nothing measures %s", name, n.Name)
				}
				for _, matcher := range n.LabelMatchers {
					used = append(used, matcher.Name)
				}
			case *parser.AggregateExpr:
				used = n.Grouping
			}
			for _, label := range used {
				if label != labels.MetricName && !slices.Contains(ofEvery, label) && !labelled[label] {
					t.Errorf("%s: nothing has the label %s", name, label)
				}
			}
			return nil
		})
	}
	for name := range measured {
		if !asked[name] && !asked[name+"_bucket"] && name != "sluice_certificate_expiry_timestamp_seconds" { // the same as the seconds left
			t.Errorf("neither an alert nor the dashboard shows %s", name)
		}
	}
}

// measures are the metrics that the code defines, and the labels in the files that do.
func measures(t *testing.T) (metrics, labels map[string]bool) {
	t.Helper()
	metrics, labels = map[string]bool{}, map[string]bool{}
	for _, folder := range []string{"webhook", "policies/controllers", "certs", "cmd"} {
		err := filepath.WalkDir("../../"+folder, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			content, err := os.ReadFile(path)
			found := metricInGo.FindAllStringSubmatch(string(content), -1)
			for _, metric := range found {
				metrics[metric[1]] = true
			}
			for _, label := range labelInGo.FindAllStringSubmatch(string(content), -1) {
				labels[label[1]] = labels[label[1]] || len(found) > 0
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return metrics, labels
}

// expressions are those of the alerts and of the dashboard's panels, by where they are.
func expressions(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for name, expression := range alerts(t, kustomize(t, "prometheus")) {
		all["alert "+name] = expression
	}
	count := len(all)
	for _, panel := range dashboard(t).Panels {
		for _, target := range panel.Targets {
			all["panel "+panel.Title+": "+target.Expr] = target.Expr
		}
	}
	if count < 8 || len(all) < count+20 {
		t.Fatalf("%d alerts and %d expressions in the dashboard", count, len(all)-count)
	}
	return all
}

// alerts are the expressions of alerts by their names.
func alerts(t *testing.T, objects Objects) map[string]string {
	t.Helper()
	var rules struct {
		Spec struct {
			Groups []struct {
				Rules []struct{ Alert, Expr string }
			}
		}
	}
	through(t, objects["PrometheusRule sluice-system/sluice"].Object, &rules)
	all := map[string]string{}
	for _, group := range rules.Spec.Groups {
		for _, rule := range group.Rules {
			all[rule.Alert] = rule.Expr
		}
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
