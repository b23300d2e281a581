package installed

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/sluice-gate/sluice/policies/profile"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
	"github.com/sluice-gate/sluice/test/plane"
)

// Install applies manifests and returns once the API server serves GatePolicies and GateExceptions.
func Install(ctx context.Context, cluster *plane.Plane, manifests string) error {
	if _, _, err := cluster.Kubectl(ctx, "apply", "-k", manifests); err != nil {
		return fmt.Errorf("install: %w", err)
	}
	_, _, err := cluster.Kubectl(ctx, "wait", "--for=condition=Established", "--timeout=60s",
		"crd/gatepolicies.policy.sluice.dev", "crd/gateexceptions.policy.sluice.dev")
	if err != nil {
		return fmt.Errorf("install: %w", err)
	}
	return nil
}

// ApplyPolicies applies policies and exceptions with kubectl and returns once all policies are ready.
func ApplyPolicies(ctx context.Context, cluster *plane.Plane, set *profile.Set) error {
	list := map[string]any{"apiVersion": "v1", "kind": "List"}
	var items []any
	for _, p := range set.Policies {
		p.APIVersion, p.Kind = v1alpha1.GroupVersion().String(), "GatePolicy"
		items = append(items, map[string]any{"apiVersion": p.APIVersion, "kind": p.Kind, "metadata": map[string]any{"name": p.Name}, "spec": p.Spec})
	}
	for _, e := range set.Exceptions {
		items = append(items, map[string]any{"apiVersion": v1alpha1.GroupVersion().String(), "kind": "GateException",
			"metadata": map[string]any{"name": e.Name}, "spec": e.Spec})
	}
	list["items"] = items
	encoded, err := json.Marshal(list)
	if err != nil {
		return fmt.Errorf("encode policies: %w", err)
	}
	if err := AwaitVetting(ctx, cluster); err != nil {
		return err
	}
	if _, _, err := cluster.KubectlInput(ctx, strings.NewReader(string(encoded)), "apply", "-f", "-"); err != nil {
		return fmt.Errorf("apply policies: %w", err)
	}
	return AwaitPolicies(ctx, cluster)
}

// AwaitPolicies returns once every GatePolicy is ready.
func AwaitPolicies(ctx context.Context, cluster *plane.Plane) error {
	if _, _, err := cluster.Kubectl(ctx, "wait", "--for=condition=Ready", "--timeout=60s", "gatepolicies", "--all"); err != nil {
		out, _, _ := cluster.Kubectl(ctx, "get", "gatepolicies", "-o", "wide") // to say which
		return fmt.Errorf("wait for the policies: %w\n%s", err, out)
	}
	return nil
}

// unvettable is a policy that Sluice refuses.
const unvettable = `{"apiVersion": "policy.sluice.dev/v1alpha1", "kind": "GatePolicy", "metadata": {"name": "probe"}, "spec": {"rule": "no-such-rule"}}`

// AwaitVetting returns once the API server asks Sluice about policies: it takes a moment to see what Trust changed.
func AwaitVetting(ctx context.Context, cluster *plane.Plane) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, pollInterval, readyTimeout, true, func(ctx context.Context) (bool, error) {
		_, _, last = cluster.KubectlInput(ctx, strings.NewReader(unvettable), "apply", "--dry-run=server", "-f", "-")
		return last != nil && strings.Contains(last.Error(), "there is no rule"), nil
	})
	if err != nil {
		return fmt.Errorf("wait until policies are vetted: %w; last answer: %w", err, last)
	}
	return nil
}
