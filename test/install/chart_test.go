package install

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// The chart makes what the kustomize folders make, but for the namespace, which is the release's, and the CRDs, which Helm
// applies before.
func TestChartMakesWhatKustomizeMakes(t *testing.T) {
	for _, test := range []struct {
		name    string
		values  map[string]any
		folders []string
	}{
		{"default", nil, []string{"default"}},
		{"self-managed", map[string]any{"certificate": "self-managed"}, []string{"selfmanaged"}},
		{"baseline", map[string]any{"profile": "baseline"}, []string{"default", "profiles/baseline"}},
		{"restricted", map[string]any{"profile": "restricted"}, []string{"default", "profiles/restricted"}},
		{"observe", map[string]any{"profile": "restricted", "observe": true}, []string{"default", "observe"}},
		{"observe baseline", map[string]any{"profile": "baseline", "observe": true}, []string{"default", "observe/baseline"}},
		{"prometheus", map[string]any{"prometheus": map[string]any{"enabled": true}}, []string{"default", "prometheus"}},
		{"exempt namespaces", map[string]any{"exemptNamespaces": []any{"cilium"}}, []string{documented(t)}},
		{"hold pods", map[string]any{"holdPods": map[string]any{"enabled": true}}, []string{"default", "holdpods"}},
		{"networkpolicy", map[string]any{"networkPolicy": map[string]any{"enabled": true}}, []string{"default", "networkpolicy"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			want := Objects{}
			for _, folder := range test.folders {
				maps.Copy(want, kustomize(t, folder))
			}
			delete(want, "Namespace sluice-system")
			maps.DeleteFunc(want, func(_ string, o *unstructured.Unstructured) bool { return o.GetKind() == "CustomResourceDefinition" })
			if diff := cmp.Diff(plain(want), plain(chart(t, "sluice-system", test.values))); diff != "" {
				t.Errorf("kustomize (-) and the chart (+) differ:\n%s", diff)
			}
		})
	}
}

func TestChartHasTheCRDs(t *testing.T) {
	got, err := ChartCRDs()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(plain(kustomize(t, "crd")), plain(got)); diff != "" {
		t.Errorf("kustomize (-) and the chart (+) differ:\n%s", diff)
	}
}

func TestChartInAnotherNamespace(t *testing.T) {
	all := map[string]any{"profile": "restricted", "prometheus": map[string]any{"enabled": true}, "networkPolicy": map[string]any{"enabled": true}, "holdPods": map[string]any{"enabled": true}}
	for _, certificate := range []string{"cert-manager", "self-managed"} {
		all["certificate"] = certificate
		for name, object := range chart(t, "gate", all) {
			if namespace := object.GetNamespace(); namespace != "" && namespace != "gate" {
				t.Errorf("%s is in %s", name, namespace)
			}
			if text := fmt.Sprint(object.Object); strings.Contains(text, "sluice-system") {
				t.Errorf("%s names another namespace", name)
			}
		}
	}
}

func TestChartOptions(t *testing.T) {
	objects := chart(t, "sluice-system", map[string]any{
		"image": map[string]any{"repository": "registry.example.com/sluice", "tag": "v1"}, "replicas": 3,
		"breakGlassGroups": []any{"example:a", "example:b"}, "exemptNamespaces": []any{"cilium", "ingress-*"}, "dataplane": "cilium",
		"extraArgs": []any{"--log-level=debug"}, "nodeSelector": map[string]any{"disk": "ssd"},
		"tolerations": []any{map[string]any{"operator": "Exists"}}, "imagePullSecrets": []any{map[string]any{"name": "pull"}},
	})
	deployment := deploymentOf(t, objects)
	want := []string{"serve", "--leader-elect", "--break-glass-groups=example:a,example:b", "--exempt-namespaces=cilium,ingress-*", "--dataplane=cilium", "--log-level=debug"}
	pod := deployment.Spec.Template.Spec
	if got := pod.Containers[0].Args; !slices.Equal(got, want) {
		t.Errorf("args %q, want %q", got, want)
	}
	if got := pod.Containers[0].Image; got != "registry.example.com/sluice:v1" {
		t.Errorf("image %s", got)
	}
	if *deployment.Spec.Replicas != 3 || pod.NodeSelector["disk"] != "ssd" || len(pod.Tolerations) != 1 || pod.ImagePullSecrets[0].Name != "pull" {
		t.Errorf("replicas, nodeSelector, tolerations or imagePullSecrets are not what the values say: %v", deployment.Spec)
	}
}

// What is given for the pods comes to what config/manager has.
func TestChartPod(t *testing.T) {
	objects := chart(t, "sluice-system", map[string]any{
		"resources":         map[string]any{"limits": map[string]any{"memory": "1Gi"}},
		"extraEnv":          []any{map[string]any{"name": "SSL_CERT_FILE", "value": "/roots/ca.crt"}},
		"extraVolumes":      []any{map[string]any{"name": "roots", "configMap": map[string]any{"name": "roots"}}},
		"extraVolumeMounts": []any{map[string]any{"name": "roots", "mountPath": "/roots"}},
		"podAnnotations":    map[string]any{"example.com/inject": "false"}, "podLabels": map[string]any{"example.com/mesh": "none"},
		"priorityClassName": "mine",
		"affinity":          map[string]any{"nodeAffinity": map[string]any{"preferredDuringSchedulingIgnoredDuringExecution": []any{}}},
	})
	got, want := deploymentOf(t, objects), deploymentOf(t, kustomize(t, "default"))
	template := &want.Spec.Template
	container := &template.Spec.Containers[0]
	container.Resources.Limits[corev1.ResourceMemory] = resource.MustParse("1Gi")
	container.Env = append(container.Env, corev1.EnvVar{Name: "SSL_CERT_FILE", Value: "/roots/ca.crt"})
	container.VolumeMounts = append(container.VolumeMounts, corev1.VolumeMount{Name: "roots", MountPath: "/roots"})
	template.Spec.Volumes = append(template.Spec.Volumes, corev1.Volume{Name: "roots", VolumeSource: corev1.VolumeSource{
		ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "roots"}}}})
	template.Annotations = map[string]string{"example.com/inject": "false"}
	template.Labels["example.com/mesh"] = "none"
	template.Spec.PriorityClassName = "mine"
	template.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
	var quota corev1.ResourceQuota
	into(t, objects["ResourceQuota sluice-system/sluice-critical-pods"].Object, &quota)
	if classes := quota.Spec.ScopeSelector.MatchExpressions[0].Values; !slices.Equal(classes, []string{"mine"}) {
		t.Errorf("the quota is for pods of the classes %q", classes)
	}
}

// The container's port, which the Service and the NetworkPolicy go by its name, and the program's are one.
func TestChartPorts(t *testing.T) {
	objects := chart(t, "sluice-system", map[string]any{"webhookPort": 10250, "networkPolicy": map[string]any{"enabled": true}})
	if port := webhookPort(t, objects); port != 10250 {
		t.Errorf("the Service leads to %d", port)
	}
	if args := deploymentOf(t, objects).Spec.Template.Spec.Containers[0].Args; !slices.Contains(args, "--webhook-port=10250") {
		t.Errorf("args %q", args)
	}
	var policy networkingv1.NetworkPolicy
	into(t, objects["NetworkPolicy sluice-system/sluice"].Object, &policy)
	if port := policy.Spec.Ingress[0].Ports[0].Port.String(); port != serviceOf(t, objects).Spec.Ports[0].TargetPort.String() {
		t.Errorf("the NetworkPolicy admits %s", port)
	}
}

func TestChartOnTheNodesNetwork(t *testing.T) {
	got, want := deploymentOf(t, chart(t, "sluice-system", map[string]any{"hostNetwork": true})), deploymentOf(t, kustomize(t, "default"))
	want.Spec.Template.Spec.HostNetwork, want.Spec.Template.Spec.DNSPolicy = true, corev1.DNSClusterFirstWithHostNet
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
}

// The API server leaves out exempt namespaces wherever it leaves out those of the system, and so Sluice need not be there for them.
func TestChartExemptNamespaces(t *testing.T) {
	objects := chart(t, "sluice-system", map[string]any{"exemptNamespaces": []any{"cilium", "ingress-*", "kube-system"}})
	leftOut := 0
	for _, hook := range hooksOf(t, objects) {
		if hook.NamespaceSelector == nil || hook.NamespaceSelector.MatchExpressions == nil {
			continue
		}
		leftOut++
		want := []string{"kube-system", "kube-public", "kube-node-lease", "sluice-system", "cilium"}
		if got := hook.NamespaceSelector.MatchExpressions[0].Values; !slices.Equal(got, want) {
			t.Errorf("%s leaves out %q, want %q", hook.Name, got, want)
		}
	}
	if leftOut != 10 {
		t.Errorf("%d webhooks leave namespaces out", leftOut)
	}
}

// documented is the folder, below Config, of the overlay that config/README.md shows.
func documented(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(Config + "/README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, overlay, _ := strings.Cut(string(text), "```yaml\n")
	overlay, _, _ = strings.Cut(overlay, "```")
	config, err := filepath.Abs(Config)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	up, err := filepath.Rel(folder, config)
	if err != nil {
		t.Fatal(err)
	}
	overlay = strings.Replace(overlay, "../default", up+"/default", 1)
	if err := os.WriteFile(folder+"/kustomization.yaml", []byte(overlay), 0o600); err != nil {
		t.Fatal(err)
	}
	down, err := filepath.Rel(config, folder)
	if err != nil {
		t.Fatal(err)
	}
	return down
}

// Prometheus finds what it is told by labels that are the cluster's, and misses replicas by their number.
func TestChartPrometheus(t *testing.T) {
	objects := chart(t, "sluice-system", map[string]any{"replicas": 3,
		"prometheus": map[string]any{"enabled": true, "labels": map[string]any{"release": "stack"}}})
	for _, name := range []string{"ServiceMonitor sluice-system/sluice", "PrometheusRule sluice-system/sluice"} {
		if got := objects[name].GetLabels(); !maps.Equal(got, map[string]string{"app.kubernetes.io/name": "sluice", "release": "stack"}) {
			t.Errorf("%s has the labels %v", name, got)
		}
	}
	want := alerts(t, kustomize(t, "prometheus"))
	for i := range want {
		if want[i].Alert == "SluiceReplicaMissing" {
			want[i].Expr = `sum(up{job="sluice-metrics"}) < 3`
		}
	}
	if diff := cmp.Diff(want, alerts(t, objects)); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
}

func TestChartRefuses(t *testing.T) {
	for name, values := range map[string]map[string]any{
		"a name it does not know": {"breakGlasGroups": []any{"a"}},
		"an unknown profile":      {"profile": "strict"},
		"an unknown certificate":  {"certificate": "mine"},
		"one replica":             {"replicas": 1},
		"what is no flag":         {"extraArgs": []any{"check"}},
		"what is no namespace":    {"exemptNamespaces": []any{"a,b"}},
		"a port of the system":    {"webhookPort": 443},
		"the port of metrics":     {"webhookPort": 8080},
		"the kubelet's port":      {"webhookPort": 10250, "hostNetwork": true},
		"a variable of its own":   {"extraEnv": []any{map[string]any{"name": "GOMEMLIMIT", "value": "1GiB"}}},
		"what is no resource":     {"resources": map[string]any{"memory": "1Gi"}},
		"a volume without a name": {"extraVolumes": []any{map[string]any{"emptyDir": map[string]any{}}}},
		"a mount of no folder":    {"extraVolumeMounts": []any{map[string]any{"name": "roots"}}},
		"another name of the pod": {"podLabels": map[string]any{"app.kubernetes.io/name": "gate"}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Chart("sluice-system", values); err == nil {
				t.Error("it was rendered")
			}
		})
	}
}

func kustomize(t *testing.T, folder string) Objects {
	t.Helper()
	objects, err := Kustomize(folder)
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

func chart(t *testing.T, namespace string, values map[string]any) Objects {
	t.Helper()
	objects, err := Chart(namespace, values)
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

// plain is for comparison: whole numbers are one type, and white space in CEL is one space, because kustomize adds lines to what
// is folded.
func plain(objects Objects) map[string]any {
	all := map[string]any{}
	for name, object := range objects {
		all[name] = whole(object.Object)
	}
	return all
}

func whole(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for key := range v {
			if text, ok := v[key].(string); ok && key == "expression" {
				v[key] = strings.Join(strings.Fields(text), " ")
				continue
			}
			v[key] = whole(v[key])
		}
	case []any:
		for i := range v {
			v[i] = whole(v[i])
		}
	case int64:
		return float64(v)
	}
	return value
}
