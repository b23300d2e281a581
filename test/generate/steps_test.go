package generate_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// inline is a policy with a rule of its own, which generates one NetworkPolicy.
func inline(policy, name, spec string) string {
	return fmt.Sprintf(`apiVersion: policy.sluice.dev/v1alpha1
kind: GatePolicy
metadata:
  name: %[1]s
spec:
  match:
    namespaceSelector: {matchLabels: {suite: %[1]s}}
  rego: |
    # METADATA
    # title: A NetworkPolicy
    # description: For a test.
    # custom:
    #   severity: low
    #   kinds: [Namespace]
    #   generates: [networking.k8s.io/NetworkPolicy]
    package example.generate

    generate contains {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "%[2]s"}, "spec": %[3]s}
`, policy, name, spec)
}

// relabel sets the label suite of a namespace, a JSON value.
func relabel(ctx context.Context, namespace, suite string) {
	GinkgoHelper()
	object := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	Expect(patch(ctx, admin, object, `{"metadata": {"labels": {"suite": `+suite+`}}}`)).To(Succeed())
}

// gone waits until nothing that is generated is in a namespace.
func gone(ctx context.Context, namespace string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		var all networkingv1.NetworkPolicyList
		g.Expect(admin.List(ctx, &all, client.InNamespace(namespace))).To(Succeed())
		g.Expect(all.Items).To(BeEmpty())
	}).Should(Succeed())
}

// unguarded does something while the API server asks Sluice about nothing: for what happens while it is down.
func unguarded(ctx context.Context, do func()) {
	GinkgoHelper()
	var validating admissionv1.ValidatingWebhookConfiguration
	var mutating admissionv1.MutatingWebhookConfiguration
	key := client.ObjectKey{Name: "sluice"}
	Expect(admin.Get(ctx, key, &validating)).To(Succeed())
	Expect(admin.Get(ctx, key, &mutating)).To(Succeed())
	for _, object := range []client.Object{&validating, &mutating} {
		Expect(patch(ctx, admin, object.DeepCopyObject().(client.Object), `{"webhooks": null}`)).To(Succeed())
	}
	awaitNobody(ctx)
	do()
	for i, hook := range validating.Webhooks { // rules that Sluice sets would be the test's from now on
		if !strings.HasPrefix(hook.Name, "gate") {
			validating.Webhooks[i].Rules = nil
		}
	}
	for i := range mutating.Webhooks {
		mutating.Webhooks[i].Rules = nil
	}
	for _, object := range []client.Object{&validating, &mutating} {
		current := object.DeepCopyObject().(client.Object)
		Expect(admin.Get(ctx, key, current)).To(Succeed())
		object.SetResourceVersion(current.GetResourceVersion())
		Expect(admin.Update(ctx, object)).To(Succeed())
	}
}

// awaitNobody waits until the API server asks nobody about an Ingress that every profile refuses.
func awaitNobody(ctx context.Context) {
	GinkgoHelper()
	Eventually(func() error {
		_, _, err := cluster.KubectlInput(ctx, strings.NewReader(`{"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "probe", "namespace": "default"},
			"spec": {"rules": [{"host": "probe.example.com"}]}}`), "create", "--dry-run=server", "-f", "-")
		return err
	}).Should(Succeed())
}

// owned is a NetworkPolicy that people write: it lets pods of the namespace in.
func owned(namespace, name string) *networkingv1.NetworkPolicy {
	np := named(namespace, name)
	np.Spec.PodSelector.MatchLabels = map[string]string{"app": "web"}
	np.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{From: []networkingv1.NetworkPolicyPeer{{PodSelector: &metav1.LabelSelector{}}}}}
	return np
}

func inAnHour() string { return time.Now().Add(time.Hour).UTC().Format(time.RFC3339) }

// awaitNextSecond ends in a later second than it began in: creation times have whole seconds.
func awaitNextSecond() { time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second))) }

func quantity(text string) resource.Quantity { return resource.MustParse(text) }

func asJSON(object client.Object) string {
	GinkgoHelper()
	gvk, err := admin.GroupVersionKindFor(object)
	Expect(err).NotTo(HaveOccurred())
	object = object.DeepCopyObject().(client.Object)
	object.GetObjectKind().SetGroupVersionKind(gvk)
	data, err := json.Marshal(object)
	Expect(err).NotTo(HaveOccurred())
	return string(data)
}

// onceClient asks once, where client-go asks again after an answer that says when.
func onceClient(config *rest.Config) client.Client {
	GinkgoHelper()
	config = rest.CopyConfig(config)
	config.WrapTransport = func(next http.RoundTripper) http.RoundTripper { return withoutRetryAfter{next} }
	return clientOf(config)
}

type withoutRetryAfter struct{ http.RoundTripper }

func (w withoutRetryAfter) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := w.RoundTripper.RoundTrip(r)
	if err == nil {
		response.Header.Del("Retry-After")
	}
	return response, err
}
