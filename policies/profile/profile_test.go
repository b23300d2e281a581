package profile_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/profile"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

func TestNames(t *testing.T) {
	if got := profile.Names(); !slices.Equal(got, []string{"baseline", "none", "restricted"}) {
		t.Errorf("%v", got)
	}
	if _, err := profile.Load(profile.Options{Name: "strict"}); err == nil || !strings.Contains(err.Error(), "baseline, none, restricted") {
		t.Errorf("%v", err)
	}
}

// TestShippedProfiles holds the places that the design's table gives each rule.
func TestShippedProfiles(t *testing.T) {
	const deny, warn = v1alpha1.ActionDeny, v1alpha1.ActionWarn
	for name, want := range map[string]map[string]v1alpha1.Action{
		"baseline": {
			"ingress-tls-required": deny, "ingress-https-redirect": warn, "ingress-enforce-redirect": deny, "ingress-wildcard-host": warn,
			"networkpolicy-wildcard-egress": deny, "networkpolicy-cidr-canonical": deny, "networkpolicy-policy-types": warn,
			"networkpolicy-isolate-egress": deny, "service-external-ips": deny,
		},
		"restricted": {
			"ingress-tls-required": deny, "ingress-https-redirect": deny, "ingress-wildcard-host": deny,
			"networkpolicy-wildcard-egress": deny, "networkpolicy-cidr-canonical": deny, "networkpolicy-policy-types": deny,
			"service-external-ips": deny, "namespace-default-deny": deny,
		},
	} {
		t.Run(name, func(t *testing.T) {
			set, err := profile.Load(profile.Options{Name: name})
			if err != nil {
				t.Fatal(err)
			}
			gate, err := set.Gate(policies.Options{})
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]v1alpha1.Action{}
			for _, p := range gate.Policies() {
				if p.Name != p.Rule.ID {
					t.Errorf("policy %s is of rule %s: a shipped policy is named by its rule", p.Name, p.Rule.ID)
				}
				got[p.Name] = p.Action
			}
			for rule, action := range want {
				if got[rule] != action {
					t.Errorf("%s is %q, want %q", rule, got[rule], action)
				}
			}
		})
	}
}

const rule = `# METADATA
# title: A rule
# description: It does something.
# custom:
#   severity: high
#   kinds: [Service]
package sluice.own.%

deny contains "x" if input.request.name == "x"
`

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Files of one name in different folders, absolute paths and paths upwards are told apart.
func TestFaultsNameFilesAsTheUserDoes(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "a/rule.rego"), "package a\n\nfoo contains 1 if {")
	write(t, filepath.Join(root, "b/rule.rego"), "package b\n\nbar contains 1 if {")
	write(t, filepath.Join(root, "work/rule.rego"), "package c\n\nbaz contains 1 if {")
	t.Chdir(filepath.Join(root, "work"))
	paths := []string{filepath.Join(root, "a/rule.rego"), "../b", "rule.rego"}
	_, err := profile.Load(profile.Options{Paths: paths})
	var problems profile.Problems
	if !errors.As(err, &problems) || len(problems) != 3 {
		t.Fatalf("%v", err)
	}
	var files []string
	for _, p := range problems {
		files = append(files, p.File)
		if p.Line != 3 || p.Column < 1 {
			t.Errorf("%s: place %d:%d", p.File, p.Line, p.Column)
		}
	}
	slices.Sort(files)
	if want := []string{"../b/rule.rego", paths[0], "rule.rego"}; !slices.Equal(files, want) {
		t.Errorf("files %q, want %q", files, want)
	}
}

func TestLooseRulesDeny(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "ingress/tls_required/tls_required.rego", strings.ReplaceAll(rule, "%", "one")) // the path of a shipped rule
	write(t, "more/two.rego", strings.ReplaceAll(rule, "%", "two"))
	write(t, "more/two_test.rego", "package two_test\n\ntest_x if false")
	write(t, "more/.hidden/three.rego", "not read")
	write(t, "more/policy.yaml", "apiVersion: policy.sluice.dev/v1alpha1\nkind: GatePolicy\nmetadata: {name: second}\nspec: {rule: own-two, action: Warn}\n")
	write(t, "more/kustomization.yaml", "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [policy.yaml]\n")
	set, err := profile.Load(profile.Options{Name: profile.None, Paths: []string{"ingress", "more"}})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]v1alpha1.Action{}
	for _, p := range set.Policies {
		got[p.Name] = p.Spec.Action
	}
	if len(got) != 2 || got["own-one"] != v1alpha1.ActionDeny || got["second"] != v1alpha1.ActionWarn {
		t.Errorf("%v", got)
	}
	one, _ := set.Library.Rule("own-one")
	if got := set.Source(one); got != "ingress/tls_required/tls_required.rego" {
		t.Errorf("source %q", got)
	}
	shipped, _ := set.Library.Rule("ingress-tls-required")
	if got := set.Source(shipped); got != "rego/ingress/tls_required/tls_required.rego" {
		t.Errorf("shipped source %q", got)
	}
}

// Two rules of one id would be one policy too few.
func TestRuleIDsAreUnique(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "a.rego", strings.ReplaceAll(rule, "%", "one"))
	write(t, "b.rego", strings.ReplaceAll(rule, "%", "one"))
	_, err := profile.Load(profile.Options{Paths: []string{"a.rego", "b.rego"}})
	if err == nil || !strings.Contains(err.Error(), "b.rego:7:1: the rule own-one is already in a.rego") {
		t.Errorf("%v", err)
	}
	t.Chdir(t.TempDir())
	write(t, "c.rego", strings.ReplaceAll(rule, "%", "one"))
	other, err := filepath.Abs("c.rego")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	write(t, "d.rego", strings.ReplaceAll(rule, "%", "one"))
	if _, err = profile.Load(profile.Options{Paths: []string{other, "d.rego"}}); err == nil || !strings.Contains(err.Error(), other) {
		t.Errorf("want %s in %v", other, err)
	}
}

// A file is read once, however often and by whatever path it is named.
func TestFilesAreReadOnce(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "p/a.rego", strings.ReplaceAll(rule, "%", "one"))
	write(t, "p/a.yaml", "apiVersion: policy.sluice.dev/v1alpha1\nkind: GatePolicy\nmetadata: {name: a}\nspec: {rule: own-one}\n")
	absolute, err := filepath.Abs("p")
	if err != nil {
		t.Fatal(err)
	}
	set, err := profile.Load(profile.Options{Name: profile.None, Paths: []string{"p", absolute, "p/a.rego", "p/a.yaml"}})
	if err != nil || len(set.Policies) != 1 {
		t.Errorf("%v, %+v", err, set)
	}
}
