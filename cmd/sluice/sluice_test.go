package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

func TestVersion(t *testing.T) {
	stdout, stderr, code := sluice(t, "", "version", "-o", "json")
	var v versions
	if err := json.Unmarshal([]byte(stdout), &v); err != nil || code != 0 || stderr != "" {
		t.Fatalf("%v, exit %d, %s", err, code, stderr)
	}
	if v.Version == "" || v.Commit == "" || v.OPA == "" || v.Kubernetes == "" {
		t.Errorf("something is missing: %+v", v)
	}
	if text, _, _ := sluice(t, "", "version"); !strings.HasPrefix(text, "sluice "+v.Version+"\ncommit ") || !strings.Contains(text, "\nOPA ") {
		t.Errorf("text: %s", text)
	}
	v = versions{}
	v.read(&debug.BuildInfo{
		Main:     debug.Module{Version: "v1.2.3"},
		Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.modified", Value: "true"}},
		Deps:     []*debug.Module{{Path: "github.com/open-policy-agent/opa", Version: "v1.22.2"}, {Path: "k8s.io/api", Version: "v0.37.2"}},
	})
	if v != (versions{"v1.2.3", "abc (modified)", "v1.22.2", "v1.37.2"}) {
		t.Errorf("from build info: %+v", v)
	}
}

func TestCapabilitiesNameTheFacts(t *testing.T) {
	stdout, _, code := sluice(t, "", "capabilities")
	var capabilities struct{ Builtins []struct{ Name string } }
	if err := json.Unmarshal([]byte(stdout), &capabilities); err != nil || code != 0 {
		t.Fatalf("exit %d: %v", code, err)
	}
	found := map[string]bool{}
	for _, b := range capabilities.Builtins {
		found[b.Name] = true
	}
	if !found["sluice.ingress.hosts"] || !found["count"] || found["http.send"] {
		t.Error("want sluice.ingress.hosts and count, and no http.send")
	}
}

func TestSARIFNamesItsRules(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "x.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {externalIPs: [192.0.2.1], ports: [{port: 80}]}\n")
	stdout, stderr, code := sluice(t, "", "check", "-o", "sarif", "x.yaml")
	if code != 1 || stderr != "" {
		t.Fatalf("exit %d, %s", code, stderr)
	}
	for _, want := range []string{`"ruleId": "service-external-ips"`, `"id": "ingress-tls-required"`, `"uri": "x.yaml"`} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %s in\n%s", want, stdout)
		}
	}
}

func TestShippedProfilesAndRules(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "ns.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"test"}, " passed, 0 failed\n"},
		{[]string{"rules"}, "\nnetworkpolicy-wildcard-egress "},
		{[]string{"rules", "-o", "markdown"}, "## namespace-default-deny\n"},
		{[]string{"rules", "-o", "json"}, `"source": "rego/ingress/tls_required/tls_required.rego"`},
		{[]string{"generate", "-f", "ns.yaml"}, "name: sluice-default-deny\n"},
		{[]string{"completion", "bash"}, "sluice"},
		{[]string{"check", "--help"}, "helm template"},
	} {
		stdout, stderr, code := sluice(t, "", c.args...)
		if code != 0 || !strings.Contains(stdout, c.want) {
			t.Errorf("%v: exit %d, want %q in\n%s%s", c.args, code, c.want, stdout, stderr)
		}
	}
}

func TestEveryCommandHasHelp(t *testing.T) {
	for _, c := range newRootCommand().Commands() {
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: short help is %q", c.Name(), c.Short)
		}
		if c.Name() != "serve" && c.Example == "" {
			t.Errorf("%s: no example", c.Name())
		}
	}
}

func TestInterruptedCheckJudgesNothing(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "x.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {ports: [{port: 80}]}\n")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, args := range [][]string{{"check", "x.yaml"}, {"fix", "x.yaml"}, {"generate", "-f", "x.yaml"}} {
		var stdout, stderr bytes.Buffer
		if code := run(ctx, args, streams{strings.NewReader(""), &stdout, &stderr}); code != 2 || stdout.Len() > 0 {
			t.Errorf("%v: exit %d, %s", args, code, stdout.String())
		}
	}
}

func TestWriteKeepsModeAndLinks(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "real.yaml"), filepath.Join(dir, "link.yaml")
	if err := os.WriteFile(file, []byte("old"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	if err := replaceFile(link, []byte("new")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(file)
	if err != nil || info.Mode() != 0o640 || readFile(t, file) != "new" {
		t.Errorf("%v, %v, %q", err, info.Mode(), readFile(t, file))
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Error("the link is no link any more")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".sluice-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestWriteKeepsDevices(t *testing.T) {
	before, err := os.Stat(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "null")
	if err := os.Symlink(os.DevNull, link); err != nil {
		t.Fatal(err)
	}
	if err := writeWhole(link, []byte("text")); err != nil {
		t.Error(err)
	}
	if after, err := os.Stat(os.DevNull); err != nil || after.Mode() != before.Mode() {
		t.Fatalf("%s is %v, %v", os.DevNull, after.Mode(), err)
	}
	if err := replaceFile(link, nil); err == nil {
		t.Error("a device was replaced")
	}
	for _, name := range []string{"", t.TempDir()} {
		if err := writeWhole(name, nil); err == nil {
			t.Errorf("%q was written to", name)
		}
	}
}

func TestProgressIsShownOnlyAfterAWhile(t *testing.T) {
	var out bytes.Buffer
	p := newProgress(&out, "objects")
	if p.w != nil {
		t.Fatal("a buffer is no terminal")
	}
	p.w = &out
	p.step(1, 9)
	p.end()
	if out.Len() > 0 {
		t.Errorf("at once: %q", out.String())
	}
	p.start = time.Now().Add(-time.Minute)
	p.step(2, 9)
	p.step(3, 9)
	p.end()
	if want := "\r\x1b[K2 of 9 objects\r\x1b[K"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func TestErrorsCannotMoveTheCursor(t *testing.T) {
	_, stderr, code := sluice(t, "", "check", "--policies", "no\x1b[2Jsuch", "x.yaml")
	if code != 2 || strings.Contains(stderr, "\x1b") || !strings.Contains(stderr, `no\x1b[2Jsuch`) {
		t.Errorf("exit %d, %q", code, stderr)
	}
}

func TestParameterTypes(t *testing.T) {
	docs := parameterDocs(map[string]any{
		"required": []any{"hosts"},
		"properties": map[string]any{
			"hosts": map[string]any{"type": "array", "items": map[string]any{"type": "string"}},
			"mode":  map[string]any{"enum": []any{"a", 1.0}, "default": "a"},
			"pods": map[string]any{"type": "object", "default": map[string]any{}, "properties": map[string]any{
				"labels": map[string]any{"type": "object"},
			}},
		},
	})
	if len(docs) != 4 || docs[0].Type != "array of string" || docs[0].remark() != "required" ||
		docs[1].Type != `"a" or 1` || docs[1].remark() != `default "a"` ||
		docs[2].Name != "pods" || docs[3].Name != "pods.labels" || docs[3].Type != "object" || docs[3].remark() != "no default" {
		t.Errorf("%+v", docs)
	}
	rule := ruleDoc{ID: "x", Title: "t", State: []string{"Service"}, Generates: []string{"Pod"}, Parameters: docs, References: []string{"https://example.com"}}
	var text, markdown bytes.Buffer
	rule.text(&text)
	rule.markdown(&markdown)
	for _, want := range []string{"asks about  Service", "generates   Pod", "hosts (array of string, required)", "    https://example.com"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
	for _, want := range []string{"Asks about: Service", "Generates: Pod", "| `hosts` | array of string | required |", "- <https://example.com>"} {
		if !strings.Contains(markdown.String(), want) {
			t.Errorf("no %q in\n%s", want, markdown.String())
		}
	}
}

func TestFlagCompletion(t *testing.T) {
	stdout, _, code := sluice(t, "", cobra.ShellCompRequestCmd, "check", "--profile", "")
	if code != 0 || !strings.Contains(stdout, "baseline\nnone\nrestricted\n") {
		t.Errorf("exit %d: %s", code, stdout)
	}
	stdout, _, code = sluice(t, "", cobra.ShellCompRequestCmd, "rules", "")
	if code != 0 || !strings.Contains(stdout, "ingress-tls-required\n") {
		t.Errorf("exit %d: %s", code, stdout)
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
