package generate_test

import (
	"context"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sluice-gate/sluice/policies/v1alpha1"
	"github.com/sluice-gate/sluice/test/installed"
)

var _ = Describe("The guard", Ordered, func() {
	BeforeAll(func(ctx context.Context) {
		apply(ctx, "guarded", defaultDeny("guarded", ""))
		namespace(ctx, "guarded-a", "guarded")
		hasFloor(ctx, "guarded-a")
	})

	It("says to an administrator why, and what to do", func(ctx context.Context) {
		_, _, err := cluster.Kubectl(ctx, "delete", "networkpolicy", "-n", "guarded-a", floor)
		Expect(err).To(MatchError(ContainSubstring(`admission webhook "guard-generated.sluice.dev" denied the request: ` + `
guarded: NetworkPolicy guarded-a/sluice-default-deny is generated and can't be deleted
    fix NetworkPolicies add up: allow what you need in one of your own beside it, or do it as a member of example:break-glass`)))
	})

	DescribeTable("refuses what takes from what is generated",
		func(ctx context.Context, change, want string) {
			Expect(patch(ctx, admin, named("guarded-a", floor), change)).To(MatchError(ContainSubstring(want)))
		},
		Entry("another spec", `{"spec": {"ingress": [{"from": [{"podSelector": {}}]}]}}`, "is generated and can't be changed\n    at  spec"),
		Entry("without the label", `{"metadata": {"labels": {"policy.sluice.dev/generated-by": null}}}`, "can't be changed\n    at  metadata.labels"),
		Entry("the label of another policy", `{"metadata": {"labels": {"policy.sluice.dev/generated-by": "other"}}}`, "can't be changed\n    at  metadata.labels"),
		Entry("without the annotations", `{"metadata": {"annotations": null}}`, "can't be changed\n    at  metadata.annotations"),
		Entry("a finalizer, which would hold up the namespace", `{"metadata": {"finalizers": ["example.com/mine"]}}`, "can't be changed\n    at  metadata.finalizers"),
	)

	It("lets pass what changes nothing", func(ctx context.Context) {
		Expect(patch(ctx, admin, named("guarded-a", floor), `{"spec": {"ingress": []}}`)).To(Succeed())
	})

	It("refuses to delete all of a namespace's NetworkPolicies at once, but not those of people", func(ctx context.Context) {
		Expect(admin.Create(ctx, owned("guarded-a", "mine"))).To(Succeed())
		_, _, err := cluster.Kubectl(ctx, "delete", "networkpolicy", "-n", "guarded-a", "--all")
		Expect(err).To(MatchError(ContainSubstring("can't be deleted")))
		hasFloor(ctx, "guarded-a")
		Eventually(func() error {
			return admin.Get(ctx, client.ObjectKey{Namespace: "guarded-a", Name: "mine"}, owned("", ""))
		}).ShouldNot(Succeed())
	})

	It("refuses objects that only say that they are generated", func(ctx context.Context) {
		np := owned("guarded-a", "forged")
		np.Labels = map[string]string{v1alpha1.GeneratedByLabel: "guarded"}
		Expect(admin.Create(ctx, np)).To(MatchError(ContainSubstring("is not generated, and the label policy.sluice.dev/generated-by would say that it is")))
		np = owned("guarded-a", "plain")
		Expect(admin.Create(ctx, np)).To(Succeed())
		Expect(patch(ctx, admin, np, `{"metadata": {"labels": {"policy.sluice.dev/generated-by": "guarded"}}}`)).To(MatchError(ContainSubstring("is not generated")))
		Expect(patch(ctx, admin, np, `{"metadata": {"labels": {"policy.sluice.dev/generated-by": "no-policy"}}}`)).To(Succeed(), "of nobody's")
	})

	It("admits break-glass with a warning, an event and a metric, and it is put back", func(ctx context.Context) {
		_, complaint, err := cluster.Kubectl(ctx, "delete", "networkpolicy", "-n", "guarded-a", floor, "--as=jane", "--as-group=system:masters", "--as-group="+breakGlass)
		Expect(err).NotTo(HaveOccurred())
		Expect(complaint).To(ContainSubstring("Warning: guarded: NetworkPolicy guarded-a/sluice-default-deny is generated and can't be deleted; admitted by break-glass"))
		hasFloor(ctx, "guarded-a")
		Expect(patch(ctx, savior, named("guarded-a", floor), `{"spec": {"ingress": [{}]}}`)).To(Succeed())
		hasFloor(ctx, "guarded-a")
		Expect(installed.Metric(manager.Metrics, "sluice_break_glass_total", map[string]string{"policy": "guarded", "kind": "networking.k8s.io/NetworkPolicy", "operation": "DELETE"})).To(Equal(1.0))
		Expect(installed.Metric(manager.Metrics, "sluice_generated_writes_total", map[string]string{"policy": "guarded", "reason": "deleted"})).To(Equal(1.0))
		Expect(installed.Metric(manager.Metrics, "sluice_generated_writes_total", map[string]string{"policy": "guarded", "reason": "changed"})).To(Equal(1.0))
		Eventually(func(g Gomega) {
			out, _, err := cluster.Kubectl(ctx, "get", "events", "-n", "guarded-a", "-o", "custom-columns=R:.reason,M:.message", "--no-headers")
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(out).To(MatchRegexp(`BreakGlass +jane: DELETE: policy guarded: `))
			g.Expect(out).To(MatchRegexp(`Repaired +policy guarded: it had been deleted, and is as it was again`))
			g.Expect(out).To(MatchRegexp(`Repaired +policy guarded: it had been changed`))
		}).Should(Succeed())
	})

	It("does nothing on a dry run, which gets the same answer", func(ctx context.Context) {
		before := installed.Metric(manager.Metrics, "sluice_generated_writes_total", map[string]string{"policy": "guarded"})
		Expect(admin.Delete(ctx, named("guarded-a", floor), client.DryRunAll)).To(MatchError(ContainSubstring("can't be deleted")))
		Expect(savior.Delete(ctx, named("guarded-a", floor), client.DryRunAll)).To(Succeed())
		hasFloor(ctx, "guarded-a")
		Expect(installed.Metric(manager.Metrics, "sluice_generated_writes_total", map[string]string{"policy": "guarded"})).To(Equal(before))
	})

	It("passes for whom an exception excuses, while it lasts", func(ctx context.Context) {
		_, _, err := cluster.KubectlInput(ctx, strings.NewReader(`{"apiVersion": "policy.sluice.dev/v1alpha1", "kind": "GateException", "metadata": {"name": "guarded"},
			"spec": {"policies": ["guarded"], "match": {"namespaces": ["guarded-a"]}, "reason": "moves", "expires": "`+inAnHour()+`"}}`), "apply", "-f", "-")
		Expect(err).NotTo(HaveOccurred())
		counts(ctx, "guarded", 0, 0, 0)
		Eventually(func() error { return admin.Delete(ctx, named("guarded-a", floor)) }).Should(Succeed())
		Consistently(func() error { _, err := generated(ctx, "guarded-a", floor); return err }, "300ms").ShouldNot(Succeed())
		Expect(admin.Delete(ctx, &v1alpha1.GateException{ObjectMeta: metav1.ObjectMeta{Name: "guarded"}})).To(Succeed())
		hasFloor(ctx, "guarded-a")
	})

	It("passes in a namespace that is being deleted, whoever asks", func(ctx context.Context) {
		namespace(ctx, "guarded-z", "guarded")
		hasFloor(ctx, "guarded-z")
		held := owned("guarded-z", "held")
		held.Finalizers = []string{"example.com/wait"} // so that the namespace stays in the middle
		Expect(admin.Create(ctx, held)).To(Succeed())
		Expect(admin.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "guarded-z"}})).To(Succeed())
		Expect(client.IgnoreNotFound(admin.Delete(ctx, named("guarded-z", floor)))).To(Succeed())
		Expect(patch(ctx, admin, held, `{"metadata": {"finalizers": null}}`)).To(Succeed())
		Eventually(func() error { return admin.Get(ctx, client.ObjectKey{Name: "guarded-z"}, &corev1.Namespace{}) }).ShouldNot(Succeed())
	})
})
