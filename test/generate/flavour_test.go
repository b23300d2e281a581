package generate_test

import (
	"context"
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

// custom is a CustomResourceDefinition that takes any spec, and gives it a default of its own.
func custom(group, version, kind, plural, scope string) string {
	return fmt.Sprintf(`apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: %[4]s.%[1]s
  annotations: {api-approved.kubernetes.io: "unapproved, of a test"}
spec:
  group: %[1]s
  names: {kind: %[3]s, plural: %[4]s}
  scope: %[5]s
  versions:
  - name: %[2]s
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            x-kubernetes-preserve-unknown-fields: true
            properties: {defaulted: {type: boolean, default: true}}
`, group, version, kind, plural, scope)
}

// others gives Sluice the right to keep objects of another kind, which the API server serves from now on.
func others(ctx context.Context, group, version, kind, plural, scope string) {
	GinkgoHelper()
	_, _, err := cluster.KubectlInput(ctx, strings.NewReader(custom(group, version, kind, plural, scope)), "apply", "-f", "-")
	Expect(err).NotTo(HaveOccurred())
	_, _, err = cluster.Kubectl(ctx, "wait", "--for=condition=Established", "crd/"+plural+"."+group)
	Expect(err).NotTo(HaveOccurred())
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "sluice-" + plural, Labels: map[string]string{"rbac.policy.sluice.dev/aggregate-to-sluice": "true"}},
		Rules: []rbacv1.PolicyRule{{APIGroups: []string{group}, Resources: []string{plural}, Verbs: []string{"get", "list", "watch", "create", "update", "patch", "delete"}}}}
	Expect(admin.Create(ctx, role)).To(Succeed())
	DeferCleanup(func(ctx context.Context) { Expect(admin.Delete(ctx, role)).To(Succeed()) })
}

func object(gvk schema.GroupVersionKind, namespace, name string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(gvk)
	u.SetNamespace(namespace)
	u.SetName(name)
	return u
}

var _ = Describe("Another flavour", func() {
	It("takes the place of NetworkPolicies, and the other way round", func(ctx context.Context) {
		cilium := schema.GroupVersionKind{Group: "cilium.io", Version: "v2", Kind: "CiliumNetworkPolicy"}
		others(ctx, cilium.Group, cilium.Version, cilium.Kind, "ciliumnetworkpolicies", "Namespaced")
		apply(ctx, "cilium", defaultDeny("cilium", ""))
		namespace(ctx, "cilium-a", "cilium")
		hasFloor(ctx, "cilium-a")
		apply(ctx, "cilium", defaultDeny("cilium", "parameters: {flavour: CiliumNetworkPolicy}"))
		gone(ctx, "cilium-a")
		theirs := object(cilium, "cilium-a", floor)
		Expect(admin.Get(ctx, client.ObjectKeyFromObject(theirs), theirs)).To(Succeed(), "before the NetworkPolicies went")
		version := theirs.GetResourceVersion()
		counts(ctx, "cilium", 1, 1, 0)

		Expect(admin.Delete(ctx, theirs.DeepCopy())).To(MatchError(ContainSubstring("is generated and can't be deleted")))
		Expect(patch(ctx, savior, theirs.DeepCopy(), `{"spec": {"nodeSelector": {"a": "b"}}}`)).To(Succeed())
		Eventually(func(g Gomega) {
			g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(theirs), theirs)).To(Succeed())
			g.Expect(theirs.GetResourceVersion()).NotTo(Equal(version))
			g.Expect(theirs.Object["spec"]).NotTo(HaveKey("nodeSelector"))
			g.Expect(theirs.Object["spec"]).To(HaveKeyWithValue("defaulted", true))
		}).Should(Succeed())
		version = theirs.GetResourceVersion()
		Consistently(func(g Gomega) {
			g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(theirs), theirs)).To(Succeed())
			g.Expect(theirs.GetResourceVersion()).To(Equal(version), "a default is no change")
		}, "500ms").Should(Succeed())

		apply(ctx, "cilium", defaultDeny("cilium", ""))
		hasFloor(ctx, "cilium-a")
		Eventually(func() bool { return apierrors.IsNotFound(admin.Get(ctx, client.ObjectKeyFromObject(theirs), theirs)) }).Should(BeTrue())
	})

	It("is one object for each namespace, which goes with it, where its kind has none", func(ctx context.Context) {
		calico := schema.GroupVersionKind{Group: "projectcalico.org", Version: "v3", Kind: "GlobalNetworkPolicy"}
		others(ctx, calico.Group, calico.Version, calico.Kind, "globalnetworkpolicies", "Cluster")
		apply(ctx, "calico", defaultDeny("calico", "parameters: {flavour: GlobalNetworkPolicy}"))
		namespace(ctx, "calico-a", "calico")
		namespace(ctx, "calico-b", "calico")
		counts(ctx, "calico", 2, 2, 0)
		first, second := object(calico, "", "sluice-default-deny-calico-a"), object(calico, "", "sluice-default-deny-calico-b")
		Expect(admin.Get(ctx, client.ObjectKeyFromObject(first), first)).To(Succeed())
		Expect(first.GetAnnotations()).To(HaveKeyWithValue(v1alpha1.TriggerAnnotation, "Namespace/calico-a"))
		_, _, err := cluster.Kubectl(ctx, "delete", "namespace", "calico-a", "--timeout=60s")
		Expect(err).NotTo(HaveOccurred())
		Eventually(func() bool { return apierrors.IsNotFound(admin.Get(ctx, client.ObjectKeyFromObject(first), first)) }, "60s").Should(BeTrue())
		Expect(admin.Get(ctx, client.ObjectKeyFromObject(second), second)).To(Succeed())
	})

	It("is one object for all namespaces, once the policy says that it may concern those that exist", func(ctx context.Context) {
		whole := schema.GroupVersionKind{Group: "policy.networking.k8s.io", Version: "v1alpha2", Kind: "ClusterNetworkPolicy"}
		others(ctx, whole.Group, whole.Version, whole.Kind, "clusternetworkpolicies", "Cluster")
		apply(ctx, "whole", defaultDeny("whole", "parameters: {flavour: ClusterNetworkPolicy}"))
		namespace(ctx, "whole-a", "whole")
		namespace(ctx, "whole-b", "whole")
		fails(ctx, "whole", "whole-a", "say so by spec.generate.existing: true")
		apply(ctx, "whole", defaultDeny("whole", "generate: {existing: true, onUnmatch: Delete}\nparameters: {flavour: ClusterNetworkPolicy}"))
		counts(ctx, "whole", 2, 2, 0)
		one := object(whole, "", floor)
		Expect(admin.Get(ctx, client.ObjectKeyFromObject(one), one)).To(Succeed())
		Expect(savior.Delete(ctx, one.DeepCopy())).To(Succeed())
		Eventually(func() error { return admin.Get(ctx, client.ObjectKeyFromObject(one), one) }).Should(Succeed())
		relabel(ctx, "whole-a", "null")
		counts(ctx, "whole", 1, 1, 0)
		Expect(admin.Get(ctx, client.ObjectKeyFromObject(one), one)).To(Succeed(), "another namespace asks for it")
		relabel(ctx, "whole-b", "null")
		Eventually(func() bool { return apierrors.IsNotFound(admin.Get(ctx, client.ObjectKeyFromObject(one), one)) }).Should(BeTrue())
	})

	It("is said to be missing where the API server doesn't serve it", func(ctx context.Context) {
		policy := strings.NewReplacer("networking.k8s.io/NetworkPolicy", "example.com/Wall", "networking.k8s.io/v1", "example.com/v1", `"NetworkPolicy"`, `"Wall"`).
			Replace(inline("unserved", "wall", "{}"))
		_, _, err := cluster.KubectlInput(ctx, strings.NewReader(policy), "apply", "-f", "-")
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func(ctx context.Context) {
			Expect(admin.Delete(ctx, &v1alpha1.GatePolicy{ObjectMeta: metav1.ObjectMeta{Name: "unserved"}})).To(Succeed())
		})
		namespace(ctx, "unserved-a", "unserved")
		fails(ctx, "unserved", "unserved-a", "the API server does not serve example.com/v1, Kind=Wall")
		Eventually(func(g Gomega) {
			var p v1alpha1.GatePolicy
			g.Expect(admin.Get(ctx, client.ObjectKey{Name: "unserved"}, &p)).To(Succeed())
			g.Expect(p.Status.Conditions).To(ContainElement(And(HaveField("Type", v1alpha1.ConditionReady), HaveField("Reason", v1alpha1.ReasonKindNotServed))))
		}).Should(Succeed())
	})
})
