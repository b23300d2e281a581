package generate_test

import (
	"context"
	"encoding/json"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

// named is a NetworkPolicy of which only the name is known.
func named(namespace, name string) *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
}

func patch(ctx context.Context, who client.Client, object client.Object, patch string) error {
	return who.Patch(ctx, object, client.RawPatch(types.MergePatchType, []byte(patch)))
}

var _ = Describe("What a policy generates", func() {
	It("exists in namespaces that match and are younger, and says whose it is", func(ctx context.Context) {
		namespace(ctx, "first-older", "first")
		awaitNextSecond()
		apply(ctx, "first", defaultDeny("first", ""))
		namespace(ctx, "first-a", "first")
		namespace(ctx, "first-other", "other")
		hasFloor(ctx, "first-a")
		np, err := generated(ctx, "first-a", floor)
		Expect(err).NotTo(HaveOccurred())
		Expect(np.Labels).To(Equal(map[string]string{v1alpha1.GeneratedByLabel: "first", "app.kubernetes.io/managed-by": "sluice"}))
		Expect(np.Annotations).To(Equal(map[string]string{v1alpha1.RuleAnnotation: "namespace-default-deny",
			v1alpha1.PolicyGenerationAnnotation: "1", v1alpha1.TriggerAnnotation: "Namespace/first-a"}))
		counts(ctx, "first", 1, 1, 0)
		for _, name := range []string{"first-older", "first-other"} {
			_, err = generated(ctx, name, floor)
			Expect(apierrors.IsNotFound(err)).To(BeTrue(), name)
		}
		s, err := status(ctx, "first")
		Expect(err).NotTo(HaveOccurred())
		Expect(s.Older).To(Equal(int64(1)))
	})

	It("is owned field by field, empty lists included", func(ctx context.Context) {
		apply(ctx, "owned", defaultDeny("owned", ""))
		namespace(ctx, "owned-a", "owned")
		hasFloor(ctx, "owned-a")
		np, err := generated(ctx, "owned-a", floor)
		Expect(err).NotTo(HaveOccurred())
		Expect(np.ManagedFields).To(ContainElement(HaveField("Manager", "sluice")))
		for _, entry := range np.ManagedFields {
			for _, field := range []string{"f:podSelector", "f:policyTypes", "f:ingress", "f:egress"} {
				Expect(entry.FieldsV1.GetRawString()).To(ContainSubstring(field))
			}
		}
	})

	DescribeTable("is put back whatever people with the right to do so change",
		func(ctx context.Context, suite string, change func(ctx context.Context, namespace string) error) {
			apply(ctx, suite, defaultDeny(suite, ""))
			namespace(ctx, suite+"-a", suite)
			hasFloor(ctx, suite+"-a")
			for range 3 { // the second and the third time like the first
				before, err := generated(ctx, suite+"-a", floor)
				Expect(err).NotTo(HaveOccurred())
				Expect(change(ctx, suite+"-a")).To(Succeed())
				Eventually(func(g Gomega) {
					now, err := generated(ctx, suite+"-a", floor)
					g.Expect(err).NotTo(HaveOccurred())
					g.Expect(now.ResourceVersion).NotTo(Equal(before.ResourceVersion))
					g.Expect(now.Labels).To(HaveKeyWithValue(v1alpha1.GeneratedByLabel, suite))
					g.Expect(now.Spec).To(Equal(before.Spec))
				}).Should(Succeed())
				hasFloor(ctx, suite+"-a")
			}
			counts(ctx, suite, 1, 1, 0)
		},
		Entry("deleted", "deleted", func(ctx context.Context, namespace string) error {
			return savior.Delete(ctx, named(namespace, floor))
		}),
		Entry("opened to everyone", "opened", func(ctx context.Context, namespace string) error {
			return patch(ctx, savior, named(namespace, floor), `{"spec": {"ingress": [{}]}}`)
		}),
		Entry("narrowed to some pods", "narrowed", func(ctx context.Context, namespace string) error {
			return patch(ctx, savior, named(namespace, floor), `{"spec": {"podSelector": {"matchLabels": {"app": "none"}}, "policyTypes": ["Ingress"]}}`)
		}),
		Entry("without its label", "stripped", func(ctx context.Context, namespace string) error {
			return patch(ctx, savior, named(namespace, floor), `{"metadata": {"labels": null}, "spec": {"ingress": [{}]}}`)
		}),
		Entry("replaced by an apply of somebody else", "reapplied", func(ctx context.Context, namespace string) error {
			np := map[string]any{"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": map[string]any{"name": floor, "namespace": namespace},
				"spec": map[string]any{"podSelector": map[string]any{}, "ingress": []any{map[string]any{}}}}
			data, err := json.Marshal(np)
			if err != nil {
				return err
			}
			return savior.Patch(ctx, named(namespace, floor), client.RawPatch(types.ApplyPatchType, data), client.FieldOwner("somebody"), client.ForceOwnership) //nolint:staticcheck // the bytes are the point
		}),
	)

	It("has no field that the policy doesn't state", func(ctx context.Context) {
		apply(ctx, "partial", inline("partial", "floor", `{"podSelector": {}, "ingress": [{"from": [{"podSelector": {}}], "ports": [{"port": 80}]}]}`))
		namespace(ctx, "partial-a", "partial")
		counts(ctx, "partial", 1, 1, 0)
		before, err := generated(ctx, "partial-a", "floor")
		Expect(err).NotTo(HaveOccurred())
		Expect(before.Spec.PolicyTypes).To(HaveLen(1)) // a default
		Expect(patch(ctx, savior, named("partial-a", "floor"), `{"spec": {"egress": [{"to": [{"podSelector": {}}]}], "policyTypes": ["Ingress", "Egress"]}}`)).To(Succeed())
		Eventually(func(g Gomega) {
			now, err := generated(ctx, "partial-a", "floor")
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(now.ResourceVersion).NotTo(Equal(before.ResourceVersion))
			g.Expect(now.Spec).To(Equal(before.Spec))
		}).Should(Succeed())
	})

	It("follows the policy, and what the policy no longer asks for goes", func(ctx context.Context) {
		apply(ctx, "follows", defaultDeny("follows", ""))
		namespace(ctx, "follows-a", "follows")
		hasFloor(ctx, "follows-a")
		apply(ctx, "follows", inline("follows", "follows-b-only", `{"podSelector": {}, "policyTypes": ["Ingress"], "ingress": []}`))
		Eventually(func(g Gomega) {
			var all networkingv1.NetworkPolicyList
			g.Expect(admin.List(ctx, &all, client.InNamespace("follows-a"))).To(Succeed())
			g.Expect(all.Items).To(ConsistOf(HaveField("Name", "follows-b-only")))
			g.Expect(all.Items[0].Annotations).To(HaveKeyWithValue(v1alpha1.PolicyGenerationAnnotation, "2"))
		}).Should(Succeed())
		counts(ctx, "follows", 1, 1, 0)
	})

	It("comes with a label of the namespace, and stays when that goes", func(ctx context.Context) {
		apply(ctx, "labelled", defaultDeny("labelled", ""))
		namespace(ctx, "labelled-a", "")
		Consistently(func() bool { _, err := generated(ctx, "labelled-a", floor); return apierrors.IsNotFound(err) }, "300ms").Should(BeTrue())
		relabel(ctx, "labelled-a", `"labelled"`)
		hasFloor(ctx, "labelled-a")
		relabel(ctx, "labelled-a", "null")
		counts(ctx, "labelled", 0, 0, 0)
		hasFloor(ctx, "labelled-a")
		Expect(admin.Delete(ctx, named("labelled-a", floor))).To(MatchError(ContainSubstring("is generated and can't be deleted")))
	})

	It("goes with the label where the policy says so", func(ctx context.Context) {
		apply(ctx, "unmatched", defaultDeny("unmatched", "generate: {onUnmatch: Delete}"))
		namespace(ctx, "unmatched-a", "unmatched")
		hasFloor(ctx, "unmatched-a")
		relabel(ctx, "unmatched-a", "null")
		gone(ctx, "unmatched-a")
		relabel(ctx, "unmatched-a", `"unmatched"`)
		hasFloor(ctx, "unmatched-a")
	})

	It("stays when the policy is deleted, and is then anybody's", func(ctx context.Context) {
		apply(ctx, "kept", defaultDeny("kept", ""))
		namespace(ctx, "kept-a", "kept")
		hasFloor(ctx, "kept-a")
		Expect(admin.Delete(ctx, &v1alpha1.GatePolicy{ObjectMeta: metav1.ObjectMeta{Name: "kept"}})).To(Succeed())
		Eventually(func() error { return admin.Delete(ctx, named("kept-a", floor), client.DryRunAll) }).Should(Succeed())
		hasFloor(ctx, "kept-a")
		Expect(admin.Delete(ctx, named("kept-a", floor))).To(Succeed())
		Consistently(func() bool { _, err := generated(ctx, "kept-a", floor); return apierrors.IsNotFound(err) }, "300ms").Should(BeTrue())
	})

	It("goes with the policy where that says so", func(ctx context.Context) {
		apply(ctx, "taken", defaultDeny("taken", "generate: {onDelete: Delete}"))
		namespace(ctx, "taken-a", "taken")
		hasFloor(ctx, "taken-a")
		Expect(admin.Delete(ctx, &v1alpha1.GatePolicy{ObjectMeta: metav1.ObjectMeta{Name: "taken"}})).To(Succeed())
		gone(ctx, "taken-a")
	})

	It("comes to older namespaces where the policy says so", func(ctx context.Context) {
		namespace(ctx, "existing-a", "existing")
		awaitNextSecond()
		apply(ctx, "existing", defaultDeny("existing", ""))
		Eventually(func(g Gomega) {
			s, err := status(ctx, "existing")
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(s.Older).To(Equal(int64(1)))
		}).Should(Succeed())
		apply(ctx, "existing", defaultDeny("existing", "generate: {existing: true}"))
		hasFloor(ctx, "existing-a")
		apply(ctx, "existing", defaultDeny("existing", "generate: {existing: false}"))
		Expect(savior.Delete(ctx, named("existing-a", floor))).To(Succeed())
		hasFloor(ctx, "existing-a") // what has it is kept
	})

	It("is only told of with action Warn", func(ctx context.Context) {
		apply(ctx, "told", defaultDeny("told", "action: Warn"))
		namespace(ctx, "told-a", "told")
		Eventually(func(g Gomega) {
			s, err := status(ctx, "told")
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(s.Pending).To(Equal(int64(1)))
			g.Expect(s.Examples).To(ConsistOf(HaveField("Message", ContainSubstring("would generate NetworkPolicy"))))
		}).Should(Succeed())
		_, err := generated(ctx, "told-a", floor)
		Expect(apierrors.IsNotFound(err)).To(BeTrue())
	})

	It("is found again after a restart, with what was done meanwhile", func(ctx context.Context) {
		apply(ctx, "restart", defaultDeny("restart", ""))
		namespace(ctx, "restart-a", "restart")
		namespace(ctx, "restart-b", "restart")
		hasFloor(ctx, "restart-a")
		hasFloor(ctx, "restart-b")
		unguarded(ctx, func() {
			Expect(manager.End()).To(Succeed())
			Expect(savior.Delete(ctx, named("restart-a", floor))).To(Succeed())
			Expect(patch(ctx, savior, named("restart-b", floor), `{"spec": {"ingress": [{}]}}`)).To(Succeed())
			namespace(ctx, "restart-c", "restart")
		})
		Expect(manager.Restart(ctx, cluster)).To(Succeed())
		for _, name := range []string{"restart-a", "restart-b", "restart-c"} {
			hasFloor(ctx, name)
		}
	})

	It("is put back when the API server was lost meanwhile", func(ctx context.Context) {
		apply(ctx, "lost", defaultDeny("lost", ""))
		namespace(ctx, "lost-a", "lost")
		namespace(ctx, "lost-b", "lost")
		hasFloor(ctx, "lost-a")
		hasFloor(ctx, "lost-b")
		line.set(true)
		DeferCleanup(func() { line.set(false) })
		Expect(savior.Delete(ctx, named("lost-a", floor))).To(Succeed())
		Expect(patch(ctx, savior, named("lost-b", floor), `{"spec": {"ingress": [{}]}}`)).To(Succeed())
		namespace(ctx, "lost-c", "lost")
		Consistently(func() error { _, err := generated(ctx, "lost-a", floor); return err }, "2s").ShouldNot(Succeed())
		line.set(false)
		for _, name := range []string{"lost-a", "lost-b", "lost-c"} {
			hasFloorWithin(ctx, name, "60s") // a client that was refused waits longer each time
		}
	})

	It("stays in a namespace that a parameter excludes later", func(ctx context.Context) {
		apply(ctx, "excluded", defaultDeny("excluded", ""))
		namespace(ctx, "excluded-a", "excluded")
		hasFloor(ctx, "excluded-a")
		apply(ctx, "excluded", defaultDeny("excluded", "parameters: {excludedNamespaces: [excluded-*]}"))
		counts(ctx, "excluded", 0, 0, 0)
		hasFloor(ctx, "excluded-a")
		apply(ctx, "excluded", defaultDeny("excluded", "generate: {onUnmatch: Delete}\nparameters: {excludedNamespaces: [excluded-*]}"))
		gone(ctx, "excluded-a")
	})

	It("is not in the way of a namespace that is deleted", func(ctx context.Context) {
		apply(ctx, "ending", defaultDeny("ending", ""))
		namespace(ctx, "ending-a", "ending")
		hasFloor(ctx, "ending-a")
		Expect(admin.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ending-a"}})).To(Succeed())
		Eventually(func() bool {
			return apierrors.IsNotFound(admin.Get(ctx, client.ObjectKey{Name: "ending-a"}, &corev1.Namespace{}))
		}).Should(BeTrue())
		counts(ctx, "ending", 0, 0, 0)
		namespace(ctx, "ending-a", "ending") // anew
		hasFloor(ctx, "ending-a")
	})
})
