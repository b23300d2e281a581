package authoring_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"github.com/sluice-gate/sluice/test/installed"
	"github.com/sluice-gate/sluice/test/plane"
)

var update = flag.Bool("update", false, "rewrite the outputs in rego/AUTHORING.md")

const guideFile = "../../rego/AUTHORING.md"

// TestGuide does what the guide says. What needs no cluster is also done where there is none.
func TestGuide(t *testing.T) {
	g := readGuide(t)
	a := newAuthor(t)
	inCluster := func(p part) bool { return p.language == console && strings.Contains(p.text, "kubectl ") }
	first := slices.IndexFunc(g.parts, inCluster)
	if first < 0 {
		t.Fatal("the guide never uses kubectl")
	}
	last := first
	for i, p := range g.parts {
		if inCluster(p) {
			last = i
		}
	}
	t.Run("without a cluster", func(t *testing.T) { follow(t, a, g.parts[:first]) })
	t.Run("in the cluster", func(t *testing.T) {
		if os.Getenv(plane.AssetsVariable) == "" {
			t.Skip(plane.ErrNoAssets)
		}
		a.enter(t, startDemo(t))
		follow(t, a, g.parts[first:last+1])
	})
	t.Run("the reference", func(t *testing.T) { follow(t, a, g.parts[last+1:]) })
	if *update {
		if err := os.WriteFile(guideFile, []byte(g.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func readGuide(t *testing.T) guide {
	t.Helper()
	text, err := os.ReadFile(guideFile)
	if err != nil {
		t.Fatal(err)
	}
	g, err := parseGuide(string(text))
	if err != nil {
		t.Fatalf("rego/AUTHORING.md: %v", err)
	}
	if g.String() != string(text) {
		t.Fatal("rego/AUTHORING.md: indented or unusual fences: the guide would not be the same when written back")
	}
	return g
}

// startDemo is the cluster of `make demo KEEP=1`, with the samples that it leaves there.
func startDemo(t *testing.T) *plane.Plane {
	t.Helper()
	cluster, err := plane.Start(t.Context(), plane.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
	})
	manager, err := installed.Start(t.Context(), cluster, installed.Options{
		Manifests: "../../config/local", Profile: "baseline", AuditInterval: 10 * time.Minute, Log: logr.Discard(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := manager.Stop(); err != nil {
			t.Error(err)
		}
	})
	// Some samples are refused, which is what the demo shows of them.
	out, _, _ := cluster.Kubectl(t.Context(), "apply", "-f", "../../config/samples")
	if out == "" {
		t.Fatal("no sample of the demo was admitted")
	}
	return cluster
}

// follow writes the files and runs the commands of some parts of the guide. With -update it puts what they print into
// the parts; otherwise each difference fails.
func follow(t *testing.T, a *author, parts []part) {
	t.Helper()
	for i, p := range parts {
		if p.file != "" {
			a.save(t, p)
		}
		if p.language != console {
			continue
		}
		steps, err := p.steps()
		if err != nil {
			t.Fatal(err)
		}
		for j, s := range steps {
			got := a.run(t, s.command)
			if got != s.output && !*update {
				t.Errorf("rego/AUTHORING.md:%d: $ %s\n--- what it prints\n%s\n--- what the guide says\n%s", s.line, s.command, got, s.output)
			}
			steps[j].output = got
		}
		if *update {
			parts[i].text = consoleText(steps)
		}
	}
}

// What the guide refers to is there.
func TestGuideRefersToWhatIsThere(t *testing.T) {
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	text := readGuide(t).String()
	for _, match := range regexp.MustCompile(`make ([a-z]+)\b`).FindAllStringSubmatch(text, -1) {
		if !strings.Contains(string(makefile), "\n"+match[1]+":") {
			t.Errorf("the guide says make %s, which the Makefile does not know", match[1])
		}
	}
	for _, match := range regexp.MustCompile(`\]\(([^)#]*)[^)]*\)`).FindAllStringSubmatch(text, -1) {
		if match[1] == "" || strings.HasPrefix(match[1], "https://") {
			continue
		}
		if _, err := os.Stat(filepath.Join("../../rego", match[1])); err != nil {
			t.Errorf("the guide links to what is not there: %v", err)
		}
	}
}
