package generate_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sluice-gate/sluice/policies/v1alpha1"
	"github.com/sluice-gate/sluice/test/installed"
)

// pod has a container that never runs: there are no nodes.
func pod(namespace, name string) *corev1.Pod {
	none := false
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: corev1.PodSpec{
		Containers: []corev1.Container{{Name: "web", Image: "example.com/web"}}, AutomountServiceAccountToken: &none}}
}

func gates(ctx context.Context, of *corev1.Pod) []corev1.PodSchedulingGate {
	GinkgoHelper()
	var now corev1.Pod
	Expect(admin.Get(ctx, client.ObjectKeyFromObject(of), &now)).To(Succeed())
	return now.Spec.SchedulingGates
}

// hookRules are those of one of Sluice's mutating entries.
func hookRules(ctx context.Context, name string) []admissionv1.RuleWithOperations {
	GinkgoHelper()
	var hooks admissionv1.MutatingWebhookConfiguration
	Expect(admin.Get(ctx, client.ObjectKey{Name: "sluice"}, &hooks)).To(Succeed())
	for _, hook := range hooks.Webhooks {
		if hook.Name == name {
			return hook.Rules
		}
	}
	Fail("there is no entry " + name)
	return nil
}

const mark = v1alpha1.BaselineMark

// quota keeps NetworkPolicies out of a namespace, so that what is generated can't be there.
func quota(namespace string, policies string) *corev1.ResourceQuota {
	return &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "none"},
		Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"count/networkpolicies.networking.k8s.io": quantity(policies)}}}
}

// held makes a namespace that lacks what is generated for it, and keeps it so.
func held(ctx context.Context, name, suite string) {
	GinkgoHelper()
	namespace(ctx, name, "")
	Expect(admin.Create(ctx, quota(name, "0"))).To(Succeed())
	Eventually(func(g Gomega) {
		var q corev1.ResourceQuota
		g.Expect(admin.Get(ctx, client.ObjectKey{Namespace: name, Name: "none"}, &q)).To(Succeed())
		g.Expect(q.Status.Hard).NotTo(BeEmpty())
	}).Should(Succeed())
	relabel(ctx, name, `"`+suite+`"`)
	Eventually(func(g Gomega) {
		s, err := status(ctx, suite)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(s.Examples).To(ContainElement(And(HaveField("Name", name), HaveField("Message", ContainSubstring("exceeded quota")))))
		var n corev1.Namespace
		g.Expect(admin.Get(ctx, client.ObjectKey{Name: name}, &n)).To(Succeed())
		g.Expect(n.Labels).NotTo(HaveKey(mark))
	}).Should(Succeed())
}

func free(ctx context.Context, name string) {
	GinkgoHelper()
	Expect(admin.Delete(ctx, &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: "none"}})).To(Succeed())
}

var _ = Describe("Pods", Ordered, func() {
	// Rights that Sluice has asked about are kept for 10 seconds, which may be those of a policy of another spec. A policy that is ready by
	// them is looked at again after 30 seconds, one that is not after 5.
	It("don't wait where Sluice may not let them go, and the policy says so", func(ctx context.Context) {
		mayHoldPods(ctx, "delete")
		DeferCleanup(func(ctx context.Context) { mayHoldPods(ctx, "apply") })
		_, _, err := cluster.KubectlInput(ctx, strings.NewReader(defaultDeny("mayhold", "generate: {holdPods: true}")), "apply", "-f", "-")
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func(ctx context.Context) {
			Expect(client.IgnoreNotFound(admin.Delete(ctx, &v1alpha1.GatePolicy{ObjectMeta: metav1.ObjectMeta{Name: "mayhold"}}))).To(Succeed())
		})
		Eventually(func(g Gomega) {
			var policy v1alpha1.GatePolicy
			g.Expect(admin.Get(ctx, client.ObjectKey{Name: "mayhold"}, &policy)).To(Succeed())
			g.Expect(policy.Status.Conditions).To(ContainElement(And(HaveField("Type", v1alpha1.ConditionReady), HaveField("Reason", v1alpha1.ReasonMissingRights),
				HaveField("Message", ContainSubstring("Sluice may not patch namespaces; watch, patch pods:")))), "%+v", policy.Status)
		}).WithTimeout(time.Minute).Should(Succeed())
		Eventually(func() []admissionv1.RuleWithOperations { return hookRules(ctx, "hold-pods.sluice.dev") }).WithTimeout(time.Minute).Should(BeEmpty())
		namespace(ctx, "mayhold-a", "mayhold")
		hasFloor(ctx, "mayhold-a")
		free := pod("mayhold-a", "free")
		Expect(admin.Create(ctx, free)).To(Succeed())
		Expect(free.Spec.SchedulingGates).To(BeEmpty())
		mayHoldPods(ctx, "apply")
		inUse(ctx, "mayhold")
		holds := func() bool { return len(hookRules(ctx, "hold-pods.sluice.dev")) > 0 }
		Eventually(holds).Should(BeTrue())
		mayHoldPods(ctx, "delete")
		Eventually(holds).WithTimeout(time.Minute).Should(BeFalse(), "pods are held that nobody could let go")
	})
})

var _ = Describe("Pods", Ordered, func() {
	BeforeAll(func(ctx context.Context) {
		namespace(ctx, "hold-older", "hold")
		awaitNextSecond()
		apply(ctx, "hold", defaultDeny("hold", "generate: {holdPods: true}"))
	})

	It("are asked about only when all namespaces are marked that need not wait", func(ctx context.Context) {
		Expect(hookRules(ctx, "hold-pods.sluice.dev")).To(HaveLen(1))
		var all corev1.NamespaceList
		Expect(admin.List(ctx, &all)).To(Succeed())
		for _, n := range all.Items {
			if n.DeletionTimestamp == nil {
				Expect(n.Labels).To(HaveKeyWithValue(mark, "ready"), n.Name)
			}
		}
	})

	It("wait for what is generated, and no longer", func(ctx context.Context) {
		held(ctx, "hold-a", "hold")
		waiting := pod("hold-a", "waiting")
		Expect(admin.Create(ctx, waiting)).To(Succeed())
		Expect(waiting.Spec.SchedulingGates).To(Equal([]corev1.PodSchedulingGate{{Name: mark}}))
		both := pod("hold-a", "both")
		both.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "example.com/mine"}}
		Expect(admin.Create(ctx, both)).To(Succeed())
		Expect(both.Spec.SchedulingGates).To(HaveLen(2))
		Consistently(func() int { return len(gates(ctx, waiting)) }, "500ms").Should(Equal(1))
		free(ctx, "hold-a")
		Eventually(func() []corev1.PodSchedulingGate { return gates(ctx, waiting) }, "90s").Should(BeEmpty())
		hasFloor(ctx, "hold-a")
		Eventually(func() []corev1.PodSchedulingGate { return gates(ctx, both) }).Should(Equal([]corev1.PodSchedulingGate{{Name: "example.com/mine"}}))
	})

	It("that name their node are refused until then, with the advice to try again", func(ctx context.Context) {
		held(ctx, "hold-b", "hold")
		bound := pod("hold-b", "bound")
		bound.Spec.NodeName = "node-1"
		_, _, err := cluster.KubectlInput(ctx, encoded(bound), "create", "--request-timeout=1s", "-f", "-")
		Expect(err).To(HaveOccurred())
		config := *cluster.Config
		config.Timeout = 0
		err = onceClient(&config).Create(ctx, bound)
		Expect(apierrors.IsTooManyRequests(err)).To(BeTrue(), "%v", err)
		Expect(err).To(MatchError(ContainSubstring("what is generated for namespace hold-b is not there yet, and a pod that names its node can't wait for it")))
		status := apierrors.APIStatus(nil)
		Expect(errors.As(err, &status)).To(BeTrue())
		Expect(status.Status().Code).To(Equal(int32(http.StatusTooManyRequests)))
		Expect(status.Status().Details.RetryAfterSeconds).To(Equal(int32(1)))
		free(ctx, "hold-b")
		hasFloorWithin(ctx, "hold-b", "90s")
		Eventually(func() error { return onceClient(&config).Create(ctx, bound.DeepCopy()) }).Should(Succeed())
	})

	It("that mirror what a kubelet runs pass", func(ctx context.Context) {
		held(ctx, "hold-c", "hold")
		mirror := pod("hold-c", "mirror")
		mirror.Annotations = map[string]string{"kubernetes.io/config.mirror": "x"}
		mirror.Spec.NodeName = "node-1"
		Expect(admin.Create(ctx, mirror)).To(Succeed())
		Expect(mirror.Spec.SchedulingGates).To(BeEmpty())
	})

	It("keep their gate, whoever would take it but Sluice", func(ctx context.Context) {
		held(ctx, "hold-d", "hold")
		waiting := pod("hold-d", "waiting")
		Expect(admin.Create(ctx, waiting)).To(Succeed())
		Expect(patch(ctx, admin, waiting.DeepCopy(), `{"spec": {"schedulingGates": null}}`)).To(MatchError(ContainSubstring(
			"Pod hold-d/waiting waits for what is generated for namespace hold-d, and only Sluice takes its gate policy.sluice.dev/baseline")))
		Expect(patch(ctx, admin, waiting.DeepCopy(), `{"metadata": {"labels": {"a": "b"}}}`)).To(Succeed())
		Expect(patch(ctx, savior, waiting.DeepCopy(), `{"spec": {"schedulingGates": null}}`)).To(Succeed())
		Expect(admin.Delete(ctx, waiting)).To(Succeed())
	})

	It("are not asked about where the mark is, and it can't be set by hand", func(ctx context.Context) {
		namespace(ctx, "hold-e", "hold")
		hasFloor(ctx, "hold-e")
		marked(ctx, "hold-e")
		namespace(ctx, "hold-f", "other")
		marked(ctx, "hold-f")
		before := installed.Metric(manager.Metrics, "sluice_review_duration_seconds_count", map[string]string{"handler": "hold"})
		for i := range 20 {
			for _, name := range []string{"hold-e", "hold-f", "hold-older", "default", "kube-system"} {
				p := pod(name, fmt.Sprintf("p-%d", i))
				Expect(admin.Create(ctx, p)).To(Succeed())
				Expect(p.Spec.SchedulingGates).To(BeEmpty())
				Expect(admin.Delete(ctx, p)).To(Succeed())
			}
		}
		Expect(installed.Metric(manager.Metrics, "sluice_review_duration_seconds_count", map[string]string{"handler": "hold"})).To(Equal(before))

		forged := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "hold-g", Labels: map[string]string{"suite": "hold", mark: "ready"}}}
		Expect(admin.Create(ctx, forged)).To(MatchError(ContainSubstring("the label policy.sluice.dev/baseline says that what is generated for Namespace hold-g is there, and only Sluice sets it")))
		for _, change := range []string{"null", `"no"`, `""`} {
			Expect(patch(ctx, admin, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "hold-e"}}, `{"metadata": {"labels": {"`+mark+`": `+change+`}}}`)).
				To(MatchError(ContainSubstring("only Sluice sets it")), change)
		}
		Expect(patch(ctx, admin, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "hold-e"}}, `{"metadata": {"labels": {"a": "b"}}}`)).To(Succeed())
		Expect(patch(ctx, savior, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "hold-e"}}, `{"metadata": {"labels": {"`+mark+`": null}}}`)).To(Succeed())
		marked(ctx, "hold-e")
	})

	It("are not taken for marked through a namespace's status or finalizers", func(ctx context.Context) {
		held(ctx, "hold-h", "hold")
		var n corev1.Namespace
		Expect(admin.Get(ctx, client.ObjectKey{Name: "hold-h"}, &n)).To(Succeed())
		n.Labels[mark] = "ready"
		Expect(admin.Status().Update(ctx, n.DeepCopy())).To(MatchError(ContainSubstring("only Sluice sets it")))
		Expect(admin.SubResource("finalize").Update(ctx, n.DeepCopy())).To(MatchError(ContainSubstring("only Sluice sets it")))
		Expect(admin.Delete(ctx, &n)).To(Succeed())
		Eventually(func() error { return admin.Get(ctx, client.ObjectKey{Name: "hold-h"}, &n) }).ShouldNot(Succeed())
	})

	It("wait again while what was generated is missing", func(ctx context.Context) {
		namespace(ctx, "hold-i", "hold")
		hasFloor(ctx, "hold-i")
		marked(ctx, "hold-i")
		Expect(admin.Create(ctx, quota("hold-i", "1"))).To(Succeed())
		Eventually(func(g Gomega) {
			var q corev1.ResourceQuota
			g.Expect(admin.Get(ctx, client.ObjectKey{Namespace: "hold-i", Name: "none"}, &q)).To(Succeed())
			g.Expect(q.Status.Used).NotTo(BeEmpty())
		}).Should(Succeed())
		Expect(savior.Delete(ctx, named("hold-i", floor))).To(Succeed())
		Eventually(func(g Gomega) {
			var n corev1.Namespace
			g.Expect(admin.Get(ctx, client.ObjectKey{Name: "hold-i"}, &n)).To(Succeed())
			g.Expect(n.Labels).NotTo(HaveKey(mark))
		}).Should(Succeed())
		waiting := pod("hold-i", "waiting")
		Expect(admin.Create(ctx, waiting)).To(Succeed())
		Expect(waiting.Spec.SchedulingGates).To(HaveLen(1))
		free(ctx, "hold-i")
		Eventually(func() []corev1.PodSchedulingGate { return gates(ctx, waiting) }, "90s").Should(BeEmpty())
		marked(ctx, "hold-i")
	})

	It("no longer wait, nor are asked about, once no policy holds them", func(ctx context.Context) {
		held(ctx, "hold-j", "hold")
		waiting := pod("hold-j", "waiting")
		Expect(admin.Create(ctx, waiting)).To(Succeed())
		Expect(waiting.Spec.SchedulingGates).To(HaveLen(1))
		Expect(admin.Delete(ctx, &v1alpha1.GatePolicy{ObjectMeta: metav1.ObjectMeta{Name: "hold"}})).To(Succeed())
		Eventually(func() []corev1.PodSchedulingGate { return gates(ctx, waiting) }).Should(BeEmpty())
		Eventually(func() []admissionv1.RuleWithOperations { return hookRules(ctx, "hold-pods.sluice.dev") }).Should(BeEmpty())
		Expect(admin.Delete(ctx, waiting)).To(Succeed())
	})
})

func marked(ctx context.Context, name string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		var n corev1.Namespace
		g.Expect(admin.Get(ctx, client.ObjectKey{Name: name}, &n)).To(Succeed())
		g.Expect(n.Labels).To(HaveKeyWithValue(mark, "ready"))
	}).Should(Succeed())
}

func encoded(object client.Object) *strings.Reader {
	GinkgoHelper()
	return strings.NewReader(asJSON(object))
}
