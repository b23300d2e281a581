package scaffold_test

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/scaffold"
	"github.com/sluice-gate/sluice/rego"
)

// What is written passes, is covered, is lint-clean, and judges the kind that was asked for.
func TestRule(t *testing.T) {
	helpers, err := fs.ReadFile(rego.Rules, "lib/testing.rego")
	if err != nil {
		t.Fatal(err)
	}
	libs := fstest.MapFS{"testing.rego": &fstest.MapFile{Data: helpers}}
	for _, c := range []struct{ name, kind, want string }{
		{"ingress/my-rule", "", "networking.k8s.io/Ingress"},
		{"networkpolicy/a", "", "networking.k8s.io/NetworkPolicy"},
		{"service/a1", "", "Service"},
		{"namespace/a", "", "Namespace"},
		{"gateway/a", "", "gateway.networking.k8s.io/Gateway"},
		{"gateway/a", "gateway.networking.k8s.io/HTTPRoute", "gateway.networking.k8s.io/HTTPRoute"},
		{"ingress/a", "example.com/Ingress", "example.com/Ingress"},
		{"my-team/a-b-c", "ConfigMap", "ConfigMap"},
	} {
		t.Run(c.name+c.kind, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "new")
			files, err := scaffold.Rule(scaffold.Options{Name: c.name, Kind: c.kind, Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			if base := filepath.Join(dir, strings.ReplaceAll(c.name, "-", "_")); len(files) != 2 || filepath.Dir(files[0]) != base {
				t.Errorf("files are %v, want them in %s", files, base)
			}
			folder := os.DirFS(dir)
			library, err := engine.Load(folder)
			if err != nil {
				t.Fatal(err)
			}
			rule, ok := library.Rule(strings.ReplaceAll(c.name, "/", "-"))
			if !ok || len(rule.Kinds) != 1 || engine.FormatGroupKind(rule.Kinds[0]) != c.want {
				t.Fatalf("the rule is there: %t, %+v", ok, rule)
			}
			findings, err := engine.Lint(folder, libs)
			if err != nil || len(findings) > 0 {
				t.Errorf("%v, %+v", err, findings)
			}
			results, coverage, err := engine.Test(context.Background(), libs, folder)
			if err != nil {
				t.Fatal(err)
			}
			own := 0
			for _, r := range results {
				if strings.HasPrefix(r.Name, "data.sluice."+strings.NewReplacer("-", "_", "/", ".").Replace(c.name)+"_test.") {
					own++
				}
				if !r.Passed {
					t.Errorf("%+v", r)
				}
			}
			for _, covered := range coverage {
				if !strings.HasPrefix(covered.File, "testing") && covered.Percent != 100 {
					t.Errorf("%+v", covered)
				}
			}
			if own == 0 {
				t.Error("no test of its own")
			}
		})
	}
}

func TestBadNames(t *testing.T) {
	for name, want := range map[string]string{
		"":                                   "want AREA/NAME",
		"sluice":                             "want AREA/NAME",
		"My Rule":                            "want AREA/NAME",
		"ingress/My Rule":                    `because of "My Rule"`,
		"../x":                               `because of ".."`,
		"ingress/..":                         `because of ".."`,
		"/etc/x":                             `because of ""`,
		"a/b/c":                              `because of "b/c"`,
		"ingress/a_b":                        `because of "a_b"`,
		"ingress/-a":                         `because of "-a"`,
		"ingress/a-":                         `because of "a-"`,
		"ingress/1a":                         `because of "1a"`,
		"ingress/\x1b[2J":                    `because of "\x1b[2J"`,
		"ingress/naïve":                      `because of "naïve"`,
		"ingress/" + strings.Repeat("a", 64): "because of",
		"ingress/import":                     "means something else",
		"ingress/create":                     "means something else",
		"ingress/ingress":                    "means something else",
		"lib/a":                              "the area lib",
		"ingress/load-test":                  "files named …_test.rego are tests",
		"ingress/tls-required":               "Sluice ships a rule ingress-tls-required",
		"team/a":                             "add --kind",
	} {
		dir := t.TempDir()
		files, err := scaffold.Rule(scaffold.Options{Name: name, Dir: dir})
		if err == nil || !strings.Contains(err.Error(), want) || len(files) > 0 {
			t.Errorf("%q: got %v, %v, want %q", name, files, err, want)
		}
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("%q: wrote %v", name, left)
		}
	}
}

// No word of the files makes a name whose test does not pass: it is refused, or works.
func TestWordsOfTheFiles(t *testing.T) {
	helpers, err := fs.ReadFile(rego.Rules, "lib/testing.rego")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files, err := scaffold.Rule(scaffold.Options{Name: "ingress/first", Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	words := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range regexp.MustCompile(`[a-z_]+`).FindAllString(string(text), -1) {
			words[strings.Trim(strings.ReplaceAll(word, "_", "-"), "-")] = true
		}
	}
	written := 0
	for word := range words {
		if _, err := scaffold.Rule(scaffold.Options{Name: "ingress/" + word, Dir: dir}); err == nil {
			written++
		}
	}
	results, _, err := engine.Test(context.Background(), fstest.MapFS{"testing.rego": &fstest.MapFile{Data: helpers}}, os.DirFS(dir))
	if err != nil || len(results) < 3*written || written == 0 {
		t.Fatalf("%d rules, %d tests: %v", written, len(results), err)
	}
	for _, r := range results {
		if !r.Passed {
			t.Errorf("%+v", r)
		}
	}
}

// A rule that nothing could switch on is not written.
func TestKindsThatNoPolicyMatches(t *testing.T) {
	for _, kind := range []string{"Node", "coordination.k8s.io/Lease", "policy.sluice.dev/GatePolicy"} {
		dir := t.TempDir()
		_, err := scaffold.Rule(scaffold.Options{Name: "team/a", Kind: kind, Dir: dir})
		if left, _ := os.ReadDir(dir); err == nil || !strings.HasPrefix(err.Error(), "no policy can match "+kind+": ") || len(left) > 0 {
			t.Errorf("%s: %v, wrote %v", kind, err, left)
		}
	}
}

// Neither file is overwritten, nor is one written if the other is there; a link is a file, too.
func TestNothingIsOverwritten(t *testing.T) {
	for _, file := range []string{"a.rego", "a_test.rego"} {
		dir := t.TempDir()
		folder := filepath.Join(dir, "ingress", "a")
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("nowhere", filepath.Join(folder, file)); err != nil {
			t.Fatal(err)
		}
		_, err := scaffold.Rule(scaffold.Options{Name: "ingress/a", Dir: dir})
		if err == nil || !strings.Contains(err.Error(), filepath.Join(folder, file)+" is there already") {
			t.Errorf("%s: %v", file, err)
		}
		if left, _ := os.ReadDir(folder); len(left) != 1 {
			t.Errorf("%s: there is %v", file, left)
		}
	}
}
