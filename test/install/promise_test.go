package install

import (
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

func TestEveryFolderRenders(t *testing.T) {
	found := 0
	err := filepath.WalkDir(Config, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Base(path) != "kustomization.yaml" {
			return err
		}
		folder, err := filepath.Rel(Config, filepath.Dir(path))
		if folder == "observe/warn" { // a component
			return err
		}
		found++
		if objects := kustomize(t, folder); len(objects) == 0 {
			t.Errorf("%s is empty", folder)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if found < 14 {
		t.Errorf("%d folders were found", found)
	}
}

// overlays are what a cluster gets.
var overlays = []string{"default", "selfmanaged"}

// No right is to everything. Secrets are Sluice's own by name, and what it writes in the whole cluster is a short list.
func TestRights(t *testing.T) {
	may := []string{
		"create,delete,patch,update networkpolicies", "create,patch events",
		"patch mutatingwebhookconfigurations[sluice]", "patch validatingwebhookconfigurations[sluice]",
		"patch,update gateexceptions/status", "patch,update gatepolicies/status",
	}
	for _, overlay := range overlays {
		written := map[string]bool{}
		for name, object := range kustomize(t, overlay) {
			var role rbacv1.ClusterRole // a Role has the same rules
			if kind := object.GetKind(); kind != "ClusterRole" && kind != "Role" {
				continue
			}
			into(t, object.Object, &role)
			for _, rule := range role.Rules {
				if all := slices.Concat(rule.Verbs, rule.Resources, rule.APIGroups); slices.Contains(all, "*") {
					t.Errorf("%s: %s has a wildcard", overlay, name)
				}
				if slices.Contains(rule.Resources, "secrets") {
					if object.GetKind() != "Role" || overlay != "selfmanaged" || !slices.Equal(rule.ResourceNames, []string{"sluice-webhook-cert"}) ||
						!slices.Equal(rule.Verbs, []string{"get", "update"}) {
						t.Errorf("%s: %s gives Secrets: %v", overlay, name, rule)
					}
				}
				if object.GetKind() == "ClusterRole" {
					maps.Copy(written, writes(rule))
				}
			}
		}
		if got := slices.Sorted(maps.Keys(written)); !slices.Equal(got, slices.Sorted(slices.Values(may))) {
			t.Errorf("%s may write in the whole cluster\n%q, want\n%q", overlay, got, may)
		}
	}
}

// writes are the rights of a rule that change something.
func writes(rule rbacv1.PolicyRule) map[string]bool {
	var verbs []string
	for _, verb := range rule.Verbs {
		if !slices.Contains([]string{"get", "list", "watch"}, verb) {
			verbs = append(verbs, verb)
		}
	}
	slices.Sort(verbs)
	all := map[string]bool{}
	for _, resource := range rule.Resources {
		if len(verbs) == 0 {
			continue
		}
		if len(rule.ResourceNames) > 0 {
			resource += "[" + strings.Join(rule.ResourceNames, ",") + "]"
		}
		all[strings.Join(verbs, ",")+" "+resource] = true
	}
	return all
}

// hook is what both kinds of webhook have.
type hook struct {
	Name              string                          `json:"name"`
	ClientConfig      admissionv1.WebhookClientConfig `json:"clientConfig"`
	TimeoutSeconds    *int32                          `json:"timeoutSeconds"`
	FailurePolicy     *admissionv1.FailurePolicyType  `json:"failurePolicy"`
	MatchPolicy       *admissionv1.MatchPolicyType    `json:"matchPolicy"`
	SideEffects       *admissionv1.SideEffectClass    `json:"sideEffects"`
	NamespaceSelector *metav1.LabelSelector           `json:"namespaceSelector"`
}

func TestHooks(t *testing.T) {
	// What they are about is cluster-scoped, and no selector of namespaces applies; or it is Namespaces themselves.
	global := []string{"guard-namespaces.sluice.dev", "gatepolicies.sluice.dev", "gateexceptions.sluice.dev"}
	for _, overlay := range overlays {
		objects := kustomize(t, overlay)
		for _, hook := range hooksOf(t, objects) {
			switch {
			case hook.TimeoutSeconds == nil || *hook.TimeoutSeconds < 1 || *hook.TimeoutSeconds > 10:
				t.Errorf("%s: timeoutSeconds is not 1 to 10", hook.Name)
			case hook.FailurePolicy == nil:
				t.Errorf("%s: no failurePolicy", hook.Name)
			case hook.MatchPolicy == nil || *hook.MatchPolicy != admissionv1.Equivalent:
				t.Errorf("%s: matchPolicy is not Equivalent", hook.Name)
			case hook.SideEffects == nil || *hook.SideEffects != admissionv1.SideEffectClassNone && *hook.SideEffects != admissionv1.SideEffectClassNoneOnDryRun:
				t.Errorf("%s: sideEffects is neither None nor NoneOnDryRun", hook.Name)
			case hook.ClientConfig.Service == nil || objects["Service "+hook.ClientConfig.Service.Namespace+"/"+hook.ClientConfig.Service.Name] == nil:
				t.Errorf("%s: its Service is not in %s", hook.Name, overlay)
			case !slices.Contains(global, hook.Name) && !leavesOutSystem(hook):
				t.Errorf("%s does not leave out the system namespaces and Sluice's own", hook.Name)
			}
		}
	}
}

func leavesOutSystem(h hook) bool {
	return h.NamespaceSelector != nil && slices.ContainsFunc(h.NamespaceSelector.MatchExpressions, func(e metav1.LabelSelectorRequirement) bool {
		return e.Key == "kubernetes.io/metadata.name" && e.Operator == metav1.LabelSelectorOpNotIn &&
			slices.Equal(slices.Sorted(slices.Values(e.Values)), []string{"kube-node-lease", "kube-public", "kube-system", "sluice-system"})
	})
}

func hooksOf(t *testing.T, objects Objects) []hook {
	t.Helper()
	var all []hook
	for _, kind := range []string{"ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"} {
		var configuration struct {
			Webhooks []hook `json:"webhooks"`
		}
		into(t, objects[kind+" sluice"].Object, &configuration)
		all = append(all, configuration.Webhooks...)
	}
	if len(all) < 11 {
		t.Fatalf("%d webhooks", len(all))
	}
	return all
}

func TestObserveOnlyWarns(t *testing.T) {
	for folder, profile := range map[string]string{"observe": "profiles/restricted", "observe/baseline": "profiles/baseline"} {
		observed := kustomize(t, folder)
		if got, want := slices.Sorted(maps.Keys(observed)), slices.Sorted(maps.Keys(kustomize(t, profile))); !slices.Equal(got, want) {
			t.Errorf("%s has %q, want those of %s: %q", folder, got, profile, want)
		}
		for name, object := range observed {
			if spec := object.Object["spec"].(map[string]any); spec["action"] != "Warn" {
				t.Errorf("%s: %s is on %v", folder, name, spec["action"])
			}
		}
	}
}

func deploymentOf(t *testing.T, objects Objects) *appsv1.Deployment {
	t.Helper()
	object := objects["Deployment sluice-system/sluice"]
	if object == nil {
		t.Fatal("there is no Deployment")
	}
	deployment := &appsv1.Deployment{}
	into(t, object.Object, deployment)
	return deployment
}

func serviceOf(t *testing.T, objects Objects) *corev1.Service {
	t.Helper()
	service := &corev1.Service{}
	into(t, objects["Service sluice-system/sluice-webhook"].Object, service)
	return service
}

func into(t *testing.T, object map[string]any, typed any) {
	t.Helper()
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object, typed, false); err != nil {
		t.Fatal(err)
	}
}
