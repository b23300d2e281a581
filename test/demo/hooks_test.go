package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"sigs.k8s.io/yaml"

	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/profile"
)

// Whatever a shipped profile judges or repairs is sent to Sluice: a kind that is not would be admitted unseen.
func TestHooksCoverTheProfiles(t *testing.T) {
	var validating admissionv1.ValidatingWebhookConfiguration
	readManifest(t, "../../config/webhook/validating.yaml", &validating)
	var mutating admissionv1.MutatingWebhookConfiguration
	readManifest(t, "../../config/webhook/mutating.yaml", &mutating)
	var judged, repaired []admissionv1.RuleWithOperations
	for _, hook := range validating.Webhooks {
		judged = append(judged, hook.Rules...)
	}
	for _, hook := range mutating.Webhooks {
		repaired = append(repaired, hook.Rules...)
	}

	for _, name := range profile.Names() {
		set, err := profile.Load(profile.Options{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		for _, policy := range set.Policies {
			rule, ok := set.Library.Rule(policy.Spec.Rule)
			if !ok {
				t.Fatalf("profile %s: no rule %s", name, policy.Spec.Rule)
			}
			if rule.States(engine.Deny) || rule.States(engine.Warn) {
				reportMissing(t, name, rule, rule.Operations, judged, "config/webhook/validating.yaml")
			}
			if rule.States(engine.Patch) {
				// What is deleted needs no repair.
				operations := slices.DeleteFunc(slices.Clone(rule.Operations),
					func(o engine.Operation) bool { return string(o) == "DELETE" })
				reportMissing(t, name, rule, operations, repaired, "config/webhook/mutating.yaml")
			}
		}
	}
}

func readManifest(t *testing.T, path string, into any) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(content, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func reportMissing(t *testing.T, profile string, rule *engine.Rule, operations []engine.Operation,
	hooks []admissionv1.RuleWithOperations, file string) {
	t.Helper()
	for _, kind := range rule.Kinds {
		for _, operation := range operations {
			for _, resource := range append([]string{""}, rule.Subresources...) {
				name := strings.TrimSuffix(plural(kind.Kind)+"/"+resource, "/")
				covered := slices.ContainsFunc(hooks, func(hook admissionv1.RuleWithOperations) bool {
					return slices.Contains(hook.APIGroups, kind.Group) && slices.Contains(hook.Resources, name) &&
						slices.Contains(hook.Operations, admissionv1.OperationType(operation))
				})
				if !covered {
					t.Errorf("%s does not send %s %s, which %s of %s asks for", file, operation,
						fmt.Sprintf("%s.%s", name, kind.Group), rule.ID, profile)
				}
			}
		}
	}
}

// plural is the resource of a kind, by the convention that all kinds here follow.
func plural(kind string) string {
	name := strings.ToLower(kind)
	switch {
	case strings.HasSuffix(name, "y"):
		return strings.TrimSuffix(name, "y") + "ies"
	case strings.HasSuffix(name, "s"):
		return name + "es"
	}
	return name + "s"
}
