package install

import (
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
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

// No right is to everything. Secrets are Sluice's own by name, and what it reads and writes in the whole cluster are short lists.
func TestRights(t *testing.T) {
	mayWrite := []string{
		"create,delete,patch,update networkpolicies", "create,patch events",
		"patch mutatingwebhookconfigurations[sluice]", "patch validatingwebhookconfigurations[sluice]",
		"patch,update gateexceptions/status", "patch,update gatepolicies/status",
	}
	mayRead := []string{
		"get,list,watch gatepolicies", "get,list,watch gateexceptions",
		"get,list,watch namespaces", "get,list,watch services", "get,list,watch ingresses", "get,list,watch ingressclasses", "get,list,watch networkpolicies", // the state
		"list pods", "list replicationcontrollers", "list daemonsets", "list deployments", "list replicasets", "list statefulsets", "list cronjobs", "list jobs", // the audit
		"get,list,watch daemonsets",                // --dataplane=auto
		"get,list,watch customresourcedefinitions", // kinds that are not there yet
		"get,list,watch mutatingwebhookconfigurations[sluice]", "get,list,watch validatingwebhookconfigurations[sluice]",
	}
	for _, overlay := range overlays {
		written, read := map[string]bool{}, map[string]bool{}
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
					reads := func(verb string) bool { return slices.Contains([]string{"get", "list", "watch"}, verb) }
					collect(written, rule, func(verb string) bool { return !reads(verb) })
					collect(read, rule, reads)
				}
			}
		}
		for does, rights := range map[string][2][]string{
			"write": {slices.Sorted(maps.Keys(written)), slices.Sorted(slices.Values(mayWrite))},
			"read":  {slices.Sorted(maps.Keys(read)), slices.Sorted(slices.Values(mayRead))},
		} {
			if !slices.Equal(rights[0], rights[1]) {
				t.Errorf("%s may %s in the whole cluster\n%q, want\n%q", overlay, does, rights[0], rights[1])
			}
		}
	}
}

// collect adds the rights of a rule to some verbs.
func collect(into map[string]bool, rule rbacv1.PolicyRule, of func(verb string) bool) {
	verbs := slices.DeleteFunc(slices.Sorted(slices.Values(rule.Verbs)), func(verb string) bool { return !of(verb) })
	for _, resource := range rule.Resources {
		if len(verbs) == 0 {
			continue
		}
		if len(rule.ResourceNames) > 0 {
			resource += "[" + strings.Join(rule.ResourceNames, ",") + "]"
		}
		into[strings.Join(verbs, ",")+" "+resource] = true
	}
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
	// Hosts and isolation are reserved; break-glass is told of. A dry run does neither.
	acting := []string{"validate.sluice.dev", "validate-core.sluice.dev", "guard-generated.sluice.dev", "guard-namespaces.sluice.dev", "guard-pods.sluice.dev"}
	effects := map[bool]admissionv1.SideEffectClass{false: admissionv1.SideEffectClassNone, true: admissionv1.SideEffectClassNoneOnDryRun}
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
			case hook.SideEffects == nil || *hook.SideEffects != effects[slices.Contains(acting, hook.Name)]:
				t.Errorf("%s: sideEffects is not as true as they are: %v", hook.Name, hook.SideEffects)
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
	if len(all) < 13 {
		t.Fatalf("%d webhooks", len(all))
	}
	return all
}

// Sluice's own NetworkPolicy lets the API server in, and Prometheus to the metrics only, and Sluice to the API server and DNS.
func TestNetworkPolicy(t *testing.T) {
	var policy networkingv1.NetworkPolicy
	into(t, kustomize(t, "networkpolicy")["NetworkPolicy sluice-system/sluice"].Object, &policy)
	deployment := deploymentOf(t, kustomize(t, "default"))
	if !labels.SelectorFromSet(policy.Spec.PodSelector.MatchLabels).Matches(labels.Set(deployment.Spec.Template.Labels)) || len(policy.Spec.PolicyTypes) != 2 {
		t.Errorf("it is about %v, %v", policy.Spec.PodSelector, policy.Spec.PolicyTypes)
	}
	open := map[string]string{} // a port to who may come in
	for _, rule := range policy.Spec.Ingress {
		for _, port := range rule.Ports {
			from := "everyone"
			if len(rule.From) == 1 {
				from = metav1.FormatLabelSelector(rule.From[0].NamespaceSelector)
			}
			open[port.Port.String()] = from
		}
	}
	if want := map[string]string{"webhook": "everyone", "probes": "everyone", "metrics": "policy.sluice.dev/metrics=allowed"}; !maps.Equal(open, want) {
		t.Errorf("open are %v, want %v", open, want)
	}
	for _, port := range deployment.Spec.Template.Spec.Containers[0].Ports {
		if open[port.Name] == "" {
			t.Errorf("nobody may come in at %s", port.Name)
		}
	}
	reach := map[string]bool{}
	for _, rule := range policy.Spec.Egress {
		to := "everywhere"
		if len(rule.To) == 1 {
			to = metav1.FormatLabelSelector(rule.To[0].PodSelector) + " in " + metav1.FormatLabelSelector(rule.To[0].NamespaceSelector)
		}
		for _, port := range rule.Ports {
			protocol := corev1.ProtocolTCP
			if port.Protocol != nil {
				protocol = *port.Protocol
			}
			reach[fmt.Sprintf("%s %s %s", to, protocol, port.Port)] = true
		}
	}
	const dns = "k8s-app=kube-dns in kubernetes.io/metadata.name=kube-system"
	want := []string{"everywhere TCP 16443", "everywhere TCP 443", "everywhere TCP 6443", "everywhere TCP 8443", dns + " TCP 53", dns + " UDP 53"}
	if got := slices.Sorted(maps.Keys(reach)); !slices.Equal(got, want) {
		t.Errorf("Sluice may reach %q, want %q", got, want)
	}
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
