package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/sluice-gate/sluice/policies/manifest"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

const sharedLib = `# METADATA
# title: Names of teams
# description: Who is who.
package sluice.lib.team

import data.sluice.lib.words

known(name) if name in words.teams
`

const wordsLib = "package sluice.lib.words\n\nteams := {\"crm\", \"shop\"} # \u00e4\n"

func teamRule(name, kind, body string) string {
	return "# METADATA\n# title: A team\n# description: Somebody has to be called.\n# custom:\n#   severity: low\n#   kinds: [" + kind + "]\n" +
		"#   judges: [metadata, spec]\npackage sluice.team." + name + "\n\nimport data.sluice.lib.team\n\n" + body
}

// twoRules is a folder with two rules that share a lib, which needs another, and a lib that nobody needs.
func twoRules(t *testing.T) {
	t.Helper()
	for file, text := range map[string]string{
		"rules/lib/team.rego":   sharedLib,
		"rules/lib/words.rego":  wordsLib,
		"rules/lib/unused.rego": "package sluice.lib.unused\n\nx := 1\n",
		"rules/a.rego": teamRule("alone", "Service", `deny contains {"msg": msg, "field": "metadata.labels.team", "fix": "team: shop"} if {
	name := object.get(input.request.object.metadata, ["labels", "team"], "")
	not team.known(name)
	msg := sprintf("%q is no team", [name])
}
`),
		"rules/b.rego": teamRule("both", "networking.k8s.io/Ingress", `warn contains "the team is not known" if not team.known(input.request.object.metadata.labels.team)

deny contains {"msg": "the class is missing", "field": "spec.ingressClassName"} if not input.request.object.spec.ingressClassName
`),
		"rules/b_test.rego": "package sluice.team.both_test\n\ntest_nothing if true\n",
	} {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, file, text)
	}
}

func bundledPolicies(t *testing.T, text string) []v1alpha1.GatePolicy {
	t.Helper()
	var out []v1alpha1.GatePolicy
	for _, object := range manifest.Read("rules.yaml", []byte(text)).Objects {
		var policy v1alpha1.GatePolicy
		if problems := manifest.DecodeInto(object, &policy); len(problems) > 0 {
			t.Fatal(problems)
		}
		out = append(out, policy)
	}
	return out
}

// A policy has the libs that its rule reaches, and the source as the file has it.
func TestBundleHoldsWhatTheRuleReaches(t *testing.T) {
	t.Chdir(t.TempDir())
	twoRules(t)
	stdout, stderr, code := sluice(t, "", "bundle", "rules")
	got := bundledPolicies(t, stdout)
	if code != 0 || stderr != "" || len(got) != 2 || got[0].Name != "team-alone" || got[1].Name != "team-both" {
		t.Fatalf("exit %d, %s\n%s", code, stderr, stdout)
	}
	for i, file := range []string{"rules/a.rego", "rules/b.rego"} {
		if libs := got[i].Spec.Libs; len(libs) != 2 || libs[0] != sharedLib || libs[1] != wordsLib {
			t.Errorf("%s: libs %q", file, libs)
		}
		if got[i].Spec.Rego != readFile(t, file) || got[i].Spec.Action != v1alpha1.ActionDeny || got[i].Spec.Rule != "" {
			t.Errorf("%s: %+v", file, got[i].Spec)
		}
	}
	again, _, _ := sluice(t, "", "bundle", "rules/lib", "rules/b.rego", "rules/a.rego")
	if again != stdout {
		t.Errorf("the order of arguments shows:\n%s", again)
	}
}

// A folder of rules and the policies made from it say the same, to the byte.
func TestBundleJudgesAsItsFolder(t *testing.T) {
	policies, err := filepath.Abs("testdata/policies")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	twoRules(t)
	write(t, "objects.yaml", `apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {stage: production}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: other, namespace: shop}
spec: {podSelector: {}}
---
apiVersion: v1
kind: Service
metadata: {name: a, namespace: shop, labels: {team: nobody}}
spec: {selector: {app: a}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: b, namespace: shop, labels: {team: crm, owner: crm}}
spec: {selector: {app: a}, ports: [{port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, namespace: shop, labels: {team: nobody}}
spec: {ingressClassName: nginx, rules: [{host: shop.example.com}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: none, namespace: shop}
spec: {defaultBackend: {service: {name: web, port: {number: 80}}}}
`)
	for _, folder := range []string{"rules", policies + "/tls", policies + "/unique", policies + "/owner", policies + "/quarantine", policies + "/keep"} {
		if _, stderr, code := sluice(t, "", "bundle", "-o", "rules.yaml", folder); code != 0 {
			t.Fatalf("%s: exit %d, %s", folder, code, stderr)
		}
		for _, format := range []string{"json", "text", "sarif", "junit"} {
			want, stderr, code := sluice(t, "", "check", "--profile", "none", "--policies", folder, "-o", format, "objects.yaml")
			got, gotErr, gotCode := sluice(t, "", "check", "--profile", "none", "--policies", "rules.yaml", "-o", format, "objects.yaml")
			if got != want || gotErr != stderr || gotCode != code {
				t.Errorf("%s, %s: exit %d and %d\n--- folder\n%s%s--- bundle\n%s%s", folder, format, code, gotCode, want, stderr, got, gotErr)
			}
			if format == "text" && folder == "rules" && (!strings.Contains(want, `"nobody" is no team`) || !strings.Contains(want, "the team is not known")) {
				t.Errorf("the rules say nothing:\n%s", want)
			}
		}
	}
}

// Whatever a file holds comes back, as a block that a person can read wherever YAML has one.
func TestBundledSourceIsTheFiles(t *testing.T) {
	for text, block := range map[string]bool{
		"a\n": true, "a": true, "a\n\n\n": true, "a\n\nb\n": true, "\n\na\n": true, "  a\nb\n": true, "\ta\n\tb\n": true, "a  \nb\t\n": true,
		"a\n   \nb\n": true, "   \na\n": true, "a\n   ": true, "a\n   \n": true, "a\n\t\n": true, "# ---\n--- # x\n...\n": true, "\u00e4\u20ac\U0001F600\n": true, "%a: {b\n": true,
		"a\r\nb\r\n": false, "a\rb\n": false, "a\u2028b\n": false, "a\u0085b\n": false, "\ufeffa\n": false, "a\x00b\n": false, "a\x7f\n": false, "": false,
	} {
		scalar, err := yamlSource(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if strings.HasPrefix(scalar, "|") != block {
			t.Errorf("%q: block %v expected, got %q", text, block, scalar)
		}
		document := "spec:\n  libs:\n  - " + scalar + "  rego: " + scalar + "---\nspec: {}\n"
		var got struct {
			Spec struct {
				Libs []string
				Rego string
			}
		}
		if err := yaml.Unmarshal([]byte(strings.TrimSuffix(document, "---\nspec: {}\n")), &got); err != nil || got.Spec.Rego != text || len(got.Spec.Libs) != 1 || got.Spec.Libs[0] != text {
			t.Errorf("%q: %v, %+v from\n%s", text, err, got, document)
		}
		file := "apiVersion: policy.sluice.dev/v1alpha1\nkind: GatePolicy\nmetadata: {name: x}\n" + document
		var policy v1alpha1.GatePolicy
		objects := manifest.Read("x.yaml", []byte(file)).Objects
		if len(objects) == 0 {
			t.Errorf("%q: no object in\n%s", text, file)
			continue
		}
		if problems := manifest.DecodeInto(objects[0], &policy); len(problems) > 0 || policy.Spec.Rego != text {
			t.Errorf("%q: %v, %q from\n%s", text, problems, policy.Spec.Rego, file)
		}
	}
	if _, err := yamlSource("a\xff"); err == nil {
		t.Error("no YAML holds what is not UTF-8")
	}
}

// What no GatePolicy can hold is not written, and a policy that someone wrote by hand fails the check as it would fail
// at kubectl apply.
func TestBundleOfTooMuch(t *testing.T) {
	t.Chdir(t.TempDir())
	var imports, uses strings.Builder
	for _, name := range strings.Split("abcdefghi", "") {
		write(t, "l"+name+".rego", "package sluice.lib.l"+name+"\n\nx := 1\n")
		imports.WriteString("import data.sluice.lib.l" + name + "\n")
		uses.WriteString("\ndeny contains \"x\" if l" + name + ".x == 2\n")
	}
	rule := strings.Replace(teamRule("many", "Service", ""), "import data.sluice.lib.team\n\n", imports.String()+uses.String(), 1)
	write(t, "rule.rego", rule)
	for _, c := range []struct{ rule, want string }{
		{rule, "rule.rego: spec.libs: 9 modules, at most 8 fit in a GatePolicy"},
		{rule + "# " + strings.Repeat("x", v1alpha1.MaxRegoLength) + "\n", "rule.rego: spec.rego: 131"},
	} {
		write(t, "rule.rego", c.rule)
		stdout, stderr, code := sluice(t, "", "bundle", "-o", "out.yaml", ".")
		if _, err := os.Stat("out.yaml"); err == nil || code != 2 || stdout != "" || !strings.Contains(stderr, c.want) {
			t.Errorf("exit %d, stdout %q, stderr %q, %v", code, stdout, stderr, err)
		}
	}
	write(t, "policy.yaml", "apiVersion: policy.sluice.dev/v1alpha1\nkind: GatePolicy\nmetadata: {name: x}\nspec:\n  rego: \"package x\"\n  libs: [a, b, c, d, e, f, g, h, i]\n")
	if _, stderr, code := sluice(t, "", "check", "--policies", "policy.yaml", "policy.yaml"); code != 2 || !strings.Contains(stderr, "policy.yaml:6:3: spec.libs: 9 modules") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

// A rule for a kind that no policy may match loads, and no policy is made of it.
func TestBundleOfWhatNoPolicyMatches(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "rule.rego", strings.Replace(teamRule("x", "coordination.k8s.io/Lease", "deny contains \"x\" if input.request.name == \"x\"\n"), "import data.sluice.lib.team\n\n", "", 1))
	stdout, stderr, code := sluice(t, "", "bundle", ".")
	if code != 2 || stdout != "" || !strings.HasPrefix(stderr, "Error: rule.rego: METADATA custom.kinds: no policy can match coordination.k8s.io/Lease: ") {
		t.Errorf("exit %d, stdout %q, stderr %q", code, stdout, stderr)
	}
}

// A file that is named twice, however spelt, is read once.
func TestFilesNamedTwice(t *testing.T) {
	t.Chdir(t.TempDir())
	twoRules(t)
	for _, command := range [][]string{{"lint"}, {"test", "--no-lint"}, {"bundle"}} {
		once, _, want := sluice(t, "", append(command, "rules")...)
		twice, stderr, code := sluice(t, "", append(command, "rules", "./rules/a.rego", "rules/../rules/lib")...)
		if code != want || strings.Count(twice, "\n") != strings.Count(once, "\n") {
			t.Errorf("%v: exit %d, want %d; stdout %s, want %s; stderr %s", command, code, want, twice, once, stderr)
		}
	}
}
