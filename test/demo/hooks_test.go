package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"sigs.k8s.io/yaml"
)

// The entries for objects carry no rules, which the manager sets; those for policies do, and never intercept a deletion:
// that is the way to undo a policy. What judges workloads must not hold them up.
func TestShippedHooks(t *testing.T) {
	var validating admissionv1.ValidatingWebhookConfiguration
	readManifest(t, "../../config/webhook/validating.yaml", &validating)
	var mutating admissionv1.MutatingWebhookConfiguration
	readManifest(t, "../../config/webhook/mutating.yaml", &mutating)
	var names []string
	check := func(name string, failure *admissionv1.FailurePolicyType, rules []admissionv1.RuleWithOperations, conditions []admissionv1.MatchCondition) {
		names = append(names, name)
		ofPods := strings.Contains(name, "workloads") || strings.Contains(name, "host-network")
		if conditional := ofPods || strings.HasSuffix(name, "-core.sluice.dev"); conditional && len(conditions) == 0 {
			t.Errorf("%s has no matchConditions", name)
		}
		if slices.Contains([]string{"validate.sluice.dev", "mutate.sluice.dev"}, name) && len(conditions) > 0 {
			t.Errorf("%s has matchConditions, for which every write of an Ingress or a NetworkPolicy pays", name)
		}
		forPolicies := strings.HasPrefix(name, "gate")
		if forPolicies != (len(rules) > 0) {
			t.Errorf("%s has %d rules", name, len(rules))
		}
		for _, rule := range rules {
			if slices.Contains(rule.Operations, "DELETE") || slices.Contains(rule.Operations, "*") {
				t.Errorf("%s intercepts deletions", name)
			}
		}
		if ignores := *failure == admissionv1.Ignore; ignores != ofPods {
			t.Errorf("%s has failurePolicy %s", name, *failure)
		}
	}
	for _, hook := range validating.Webhooks {
		check(hook.Name, hook.FailurePolicy, hook.Rules, hook.MatchConditions)
	}
	for _, hook := range mutating.Webhooks {
		check(hook.Name, hook.FailurePolicy, hook.Rules, hook.MatchConditions)
	}
	want := []string{"validate.sluice.dev", "validate-workloads.sluice.dev", "validate-host-network.sluice.dev", "gatepolicies.sluice.dev", "gateexceptions.sluice.dev",
		"guard-generated.sluice.dev", "guard-namespaces.sluice.dev", "guard-pods.sluice.dev", "validate-core.sluice.dev",
		"mutate.sluice.dev", "mutate-workloads.sluice.dev", "hold-pods.sluice.dev", "mutate-core.sluice.dev"}
	if !slices.Equal(names, want) {
		t.Errorf("the entries are %q, want %q", names, want)
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
