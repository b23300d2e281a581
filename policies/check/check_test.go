package check

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-gate/sluice/policies/manifest"
	"github.com/sluice-gate/sluice/policies/profile"
	"github.com/sluice-gate/sluice/policies/report"
)

// set is one rule that has something to say of every Service, after its patch.
func set(t *testing.T, rego string) *profile.Set {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rule.rego")
	text := `# METADATA
# title: A rule
# description: It does something.
# custom:
#   severity: high
#   kinds: [Service]
#   judges: [spec]
package sluice.own

` + rego
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	loaded, err := profile.Load(profile.Options{Paths: []string{file}})
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

func checked(t *testing.T, rego, input string) report.Report {
	t.Helper()
	r, err := Run(context.Background(), Options{Policies: set(t, rego), Paths: []string{"-"}, Stdin: strings.NewReader(input)})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const generated = `
apiVersion: v1
kind: Service
metadata: {generateName: web-, namespace: shop}
spec: {ports: [{port: 80}]}
`

func TestComposedRequest(t *testing.T) {
	r := checked(t, `
deny contains sprintf("%v", [without]) if {
	without := object.remove(input.request, ["object"])
}

deny contains sprintf("type %s", [input.request.object.spec.type]) if true
`, generated)
	var said []string
	for _, result := range r.Results {
		said = append(said, result.Message)
	}
	text := strings.Join(said, "\n")
	for _, want := range []string{
		"type ClusterIP", `"operation": "CREATE"`, `"dryRun": false`, `"userInfo": {}`, `"oldObject": null`, `"namespace": "shop"`,
		`"kind": {"group": "", "kind": "Service", "version": "v1"}`, `"requestKind": {"group": "", "kind": "Service", "version": "v1"}`,
		`"resource": {"group": "", "resource": "services", "version": "v1"}`, `"uid": "`, `"name": ""`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	if r.Results[0].Name != "web-…" || r.Results[0].Line != 2 {
		t.Errorf("%+v", r.Results[0])
	}
}

func TestEvaluationErrorsAreErrors(t *testing.T) {
	r := checked(t, `deny contains "never" if sluice.cidr.canonical(input.request.object.spec.clusterIP).problem == "x"
warn contains "so" if input.request.object.spec.type == "ClusterIP"
`, "apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {clusterIP: None, ports: [{port: 80}]}\n")
	if r.Summary.Errors != 1 || ExitCode(r, FailOnDeny) != ExitUnjudged {
		t.Errorf("%+v", r)
	}
	if len(r.Results) == 0 || r.Results[0].Action != report.ActionError || !strings.HasPrefix(r.Results[0].Message, "could not judge: ") {
		t.Errorf("%+v", r.Results)
	}
}

func TestSummaryCountsObjectsAndErrors(t *testing.T) {
	r := checked(t, `deny contains msg if some msg in ["a", "b"]
warn contains "c" if input.request.name == ""
`, generated+"---"+generated+"---\napiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {prots: []}\n---\na: b\n")
	if want := (report.Summary{Objects: 2, Denied: 2, Warned: 2, Errors: 1, Skipped: 1}); r.Summary != want {
		t.Errorf("got %+v, want %+v", r.Summary, want)
	}
	if len(r.Rules) != 1 || r.Rules[0].ID != "own" || len(r.Objects) != 2 {
		t.Errorf("rules %v, objects %v", r.Rules, r.Objects)
	}
}

func TestExitCode(t *testing.T) {
	for _, c := range []struct {
		summary report.Summary
		failOn  FailOn
		want    int
	}{
		{report.Summary{}, FailOnDeny, ExitClean},
		{report.Summary{Warned: 1}, FailOnDeny, ExitClean},
		{report.Summary{Warned: 1}, FailOnWarn, ExitFindings},
		{report.Summary{Denied: 1}, FailOnDeny, ExitFindings},
		{report.Summary{Denied: 1}, FailOnWarn, ExitFindings},
		{report.Summary{Denied: 1, Errors: 1}, FailOnDeny, ExitUnjudged},
	} {
		if got := ExitCode(report.Report{Summary: c.summary}, c.failOn); got != c.want {
			t.Errorf("%+v, %s: got %d, want %d", c.summary, c.failOn, got, c.want)
		}
	}
}

func TestFieldPath(t *testing.T) {
	for pointer, want := range map[string]string{
		"/spec/rules/0/host":             "spec.rules[0].host",
		"/spec/policyTypes/-":            "spec.policyTypes",
		"/metadata/annotations/a.b~1c~0": `metadata.annotations["a.b/c~"]`,
	} {
		if got := fieldPath(pointer); got != want {
			t.Errorf("%s: got %s, want %s", pointer, got, want)
		}
	}
}

func TestNoPoliciesIsAnError(t *testing.T) {
	if _, err := Run(context.Background(), Options{}); err == nil {
		t.Error("a check without policies must not pass")
	}
}

func TestProgress(t *testing.T) {
	var steps [][2]int
	_, err := Run(context.Background(), Options{
		Policies: set(t, `deny contains "x" if true`), Paths: []string{"-"}, Stdin: strings.NewReader(generated + "---" + generated),
		Progress: func(done, total int) { steps = append(steps, [2]int{done, total}) },
	})
	if err != nil || len(steps) != 2 || steps[1] != [2]int{2, 2} {
		t.Errorf("%v, %v", steps, err)
	}
}

func TestFixReportsPatchesThatCannotBeWritten(t *testing.T) {
	fixed, r, err := Fix(context.Background(), Options{
		Policies: set(t, `patch contains {"op": "add", "path": "/metadata/labels/a", "value": "b"} if true`),
		Paths:    []string{"-"},
		Stdin:    strings.NewReader("apiVersion: v1\nkind: Service\nmetadata: {name: x, labels: &l {c: d}}\nspec: {selector: *l, ports: [{port: 80}]}\n"),
	})
	if err != nil || len(fixed) != 1 || fixed[0].Name != manifest.StdinName {
		t.Fatalf("%v, %v", fixed, err)
	}
	if r.Summary.Errors == 0 && string(fixed[0].After) == string(fixed[0].Before) {
		t.Error("neither fixed nor said why not")
	}
}

func TestGeneratedObjectsHaveToBeValid(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rule.rego")
	text := `# METADATA
# title: A rule
# description: It does something.
# custom:
#   severity: high
#   kinds: [Namespace]
#   generates: [networking.k8s.io/NetworkPolicy]
package sluice.own

generate contains {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "x"}, "spec": {"podSelektor": {}}}
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	loaded, err := profile.Load(profile.Options{Paths: []string{file}})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Policies: loaded, Paths: []string{"-"}, Stdin: strings.NewReader("apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n")}
	made, r, err := Generate(context.Background(), o)
	if err != nil || len(made) != 0 || r.Summary.Errors != 1 || !strings.Contains(r.Results[0].Message, "podSelektor") {
		t.Errorf("%v, %+v, %v", made, r.Results, err)
	}
}

// A new Ingress without class gets the default one, as from the API server: the newest, then the first by name.
func TestDefaultIngressClass(t *testing.T) {
	class := func(name, created, isDefault string) string {
		return fmt.Sprintf("---\napiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {name: %s, creationTimestamp: %s, annotations: {ingressclass.kubernetes.io/is-default-class: %q}}\nspec: {controller: example.com/own}\n", name, created, isDefault)
	}
	old, young := "\"2026-01-01T00:00:00Z\"", "\"2026-02-01T00:00:00Z\""
	cases := map[string]struct{ classes, metadata, spec, want string }{
		"none":            {"", "", "", ""},
		"not default":     {class("a", old, "false"), "", "", ""},
		"default":         {class("a", old, "true"), "", "", "a"},
		"newest":          {class("a", old, "true") + class("b", young, "true"), "", "", "b"},
		"first by name":   {class("b", old, "true") + class("a", old, "true"), "", "", "a"},
		"has a class":     {class("a", old, "true"), "", "ingressClassName: own, ", "own"},
		"has the old way": {class("a", old, "true"), ", annotations: {kubernetes.io/ingress.class: own}", "", ""},
	}
	rego := `
# METADATA
# title: T
# description: D
# custom:
#   severity: low
#   kinds: [networking.k8s.io/Ingress]
package sluice.own

deny contains class if class := object.get(input.request.object.spec, "ingressClassName", "none")
`
	for name, c := range cases {
		dir := t.TempDir()
		state := filepath.Join(dir, "state.yaml")
		rule := filepath.Join(dir, "own.rego")
		if err := errors.Join(os.WriteFile(state, []byte(c.classes+"---\napiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n"), 0o600),
			os.WriteFile(rule, []byte(strings.TrimSpace(rego)+"\n"), 0o600)); err != nil {
			t.Fatal(err)
		}
		loaded, err := profile.Load(profile.Options{Paths: []string{rule}})
		if err != nil {
			t.Fatal(err)
		}
		input := fmt.Sprintf("apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: a, namespace: shop%s}\nspec: {%sdefaultBackend: {service: {name: a, port: {number: 80}}}}\n", c.metadata, c.spec)
		r, err := Run(context.Background(), Options{Policies: loaded, Paths: []string{"-"}, Stdin: strings.NewReader(input), State: []string{state}})
		if err != nil {
			t.Fatal(err)
		}
		want := c.want
		if want == "" {
			want = "none"
		}
		if len(r.Results) != 1 || r.Results[0].Message != want {
			t.Errorf("%s: got %+v, want %s", name, r.Results, want)
		}
	}
}
