package install

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	metricOf   = regexp.MustCompile(`\bsluice_[a-z_]+`)
	metricInGo = regexp.MustCompile(`"(sluice_[a-z_]+)"`)
)

// Alerts and the dashboard ask for what the program measures.
func TestMetricsExist(t *testing.T) {
	measured := map[string]bool{}
	for _, folder := range []string{"webhook", "policies/controllers", "certs", "cmd"} {
		err := filepath.WalkDir("../../"+folder, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			content, err := os.ReadFile(path)
			for _, found := range metricInGo.FindAllStringSubmatch(string(content), -1) {
				measured[found[1]] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"rules.yaml", "sluice.json"} {
		content, err := os.ReadFile(Config + "/prometheus/" + file)
		if err != nil {
			t.Fatal(err)
		}
		asked := metricOf.FindAllString(string(content), -1)
		if len(asked) < 8 {
			t.Errorf("%s asks for %d metrics", file, len(asked))
		}
		for _, name := range asked {
			if !measured[name] && !measured[strings.TrimSuffix(name, "_bucket")] {
				t.Errorf("%s: nothing measures %s", file, name)
			}
		}
	}
}

func TestDashboard(t *testing.T) {
	content, err := os.ReadFile(Config + "/prometheus/sluice.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Title  string
		Panels []struct {
			ID      int
			Type    string
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(content, &dashboard); err != nil {
		t.Fatal(err)
	}
	ids := map[int]bool{}
	for _, panel := range dashboard.Panels {
		if ids[panel.ID] {
			t.Errorf("panel %d is there twice", panel.ID)
		}
		ids[panel.ID] = true
		if panel.Type != "row" && len(panel.Targets) == 0 {
			t.Errorf("%s shows nothing", panel.Title)
		}
	}
	if dashboard.Title != "Sluice" || len(ids) < 15 {
		t.Errorf("%q has %d panels", dashboard.Title, len(ids))
	}
}
