package generate_test

import (
	"context"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

// recreate deletes a namespace and makes another one of its name.
func recreate(ctx context.Context, name, suite string) {
	GinkgoHelper()
	Expect(admin.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})).To(Succeed())
	Eventually(func() bool {
		return apierrors.IsNotFound(admin.Get(ctx, client.ObjectKey{Name: name}, &corev1.Namespace{}))
	}, "30s", "1ms").Should(BeTrue())
	namespace(ctx, name, suite)
}

var _ = Describe("What Sluice sees late", func() {
	DescribeTable("lets no pod of a namespace that was made anew go before that has its own",
		func(ctx context.Context, suite, stalled string) {
			apply(ctx, suite, defaultDeny(suite, "generate: {holdPods: true}"))
			namespace(ctx, suite+"-a", suite)
			hasFloor(ctx, suite+"-a")
			marked(ctx, suite+"-a")
			watches.set(stalled)
			DeferCleanup(func() { watches.set("") })
			recreate(ctx, suite+"-a", suite)
			waiting := pod(suite+"-a", "waiting")
			Expect(admin.Create(ctx, waiting)).To(Succeed())
			Consistently(func(g Gomega) {
				_, err := generated(ctx, suite+"-a", floor)
				var now corev1.Pod
				g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(waiting), &now)).To(Succeed())
				if len(now.Spec.SchedulingGates) == 0 {
					g.Expect(err).NotTo(HaveOccurred(), "the pod may run, and the namespace lacks what is generated")
				}
			}, "1500ms").Should(Succeed())
			watches.set("")
			hasFloor(ctx, suite+"-a")
			Eventually(func() []corev1.PodSchedulingGate { return gates(ctx, waiting) }).Should(BeEmpty())
		},
		Entry("namespaces", "latens", "/namespaces"),
		Entry("NetworkPolicies", "latenp", "/networkpolicies"),
	)

	It("is not all that counts: one that is being deleted is none", func(ctx context.Context) {
		apply(ctx, "planted", defaultDeny("planted", "generate: {holdPods: true}"))
		namespace(ctx, "planted-a", "")
		np := named("planted-a", floor)
		np.Finalizers = []string{"example.com/mine"}
		np.Spec.PolicyTypes = append(np.Spec.PolicyTypes, "Ingress", "Egress")
		Expect(admin.Create(ctx, np)).To(Succeed())
		Expect(admin.Delete(ctx, np)).To(Succeed())
		relabel(ctx, "planted-a", `"planted"`)
		Eventually(func(g Gomega) {
			s, err := status(ctx, "planted")
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(s.Pending).To(Equal(int64(1)), "%+v", s)
		}).Should(Succeed())
		waiting := pod("planted-a", "waiting")
		Eventually(func(g Gomega) {
			var n corev1.Namespace
			g.Expect(admin.Get(ctx, client.ObjectKey{Name: "planted-a"}, &n)).To(Succeed())
			g.Expect(n.Labels).NotTo(HaveKey(mark))
		}).Should(Succeed())
		Expect(admin.Create(ctx, waiting)).To(Succeed())
		Expect(waiting.Spec.SchedulingGates).To(HaveLen(1))
		Expect(patch(ctx, admin, np, `{"metadata": {"finalizers": null}}`)).To(Succeed())
		hasFloor(ctx, "planted-a")
		Eventually(func() []corev1.PodSchedulingGate { return gates(ctx, waiting) }).Should(BeEmpty())
	})

	It("comes when an exception expires", func(ctx context.Context) {
		apply(ctx, "expires", defaultDeny("expires", ""))
		_, _, err := cluster.KubectlInput(ctx, strings.NewReader(`{"apiVersion": "policy.sluice.dev/v1alpha1", "kind": "GateException", "metadata": {"name": "expires"},
			"spec": {"policies": ["expires"], "match": {"namespaces": ["expires-a"]}, "reason": "moves", "expires": "`+time.Now().Add(5*time.Second).UTC().Format(time.RFC3339)+`"}}`), "apply", "-f", "-")
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func(ctx context.Context) {
			Expect(admin.Delete(ctx, &v1alpha1.GateException{ObjectMeta: metav1.ObjectMeta{Name: "expires"}})).To(Succeed())
		})
		namespace(ctx, "expires-a", "expires")
		Consistently(func() error { _, err := generated(ctx, "expires-a", floor); return err }, "1s").ShouldNot(Succeed())
		hasFloor(ctx, "expires-a")
	})

	It("is handed over from the policy that retains it to the one that now matches", func(ctx context.Context) {
		apply(ctx, "retains", defaultDeny("retains", ""))
		apply(ctx, "takes", defaultDeny("takes", ""))
		namespace(ctx, "retains-a", "retains")
		hasFloor(ctx, "retains-a")
		relabel(ctx, "retains-a", `"takes"`)
		counts(ctx, "takes", 1, 1, 0)
		counts(ctx, "retains", 0, 0, 0)
		np, err := generated(ctx, "retains-a", floor)
		Expect(err).NotTo(HaveOccurred())
		Expect(np.Labels).To(HaveKeyWithValue(v1alpha1.GeneratedByLabel, "takes"))
	})
})
