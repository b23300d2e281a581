package policies_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/sluice-gate/sluice/test/installed"
)

// unvetted stores a manifest past the vetting of policies, as happens while Sluice is away and its failurePolicy was
// relaxed, or when a Sluice is replaced by one with other rules.
func unvetted(ctx context.Context, manifest string) {
	GinkgoHelper()
	const entries = `[{"op": "test", "path": "/webhooks/3/name", "value": "gatepolicies.sluice.dev"}, {"op": "OP", "path": "/webhooks/3/matchConditions"VALUE}]`
	never := `, "value": [{"name": "never", "expression": "false"}]`
	must(ctx, "", "patch", "validatingwebhookconfiguration", "sluice", "--type=json", "-p", replace(entries, "OP", "add", "VALUE", never))
	DeferCleanup(func(ctx SpecContext) {
		must(ctx, "", "patch", "validatingwebhookconfiguration", "sluice", "--type=json", "-p", replace(entries, "OP", "remove", "VALUE", ""))
		Expect(installed.AwaitVetting(ctx, cluster)).To(Succeed())
	})
	Eventually(func() error { return apply(ctx, manifest).err }).Should(Succeed())
}

// restart ends the manager and starts another one.
func restart(ctx context.Context) {
	GinkgoHelper()
	Expect(manager.Restart(ctx, cluster)).To(Succeed())
}

var _ = Describe("a policy that does not compile", Serial, func() {
	const judging = `input.request.object.data.key == "bad"`

	It("stays in use as it was, through a restart, and stops no other", func(ctx SpecContext) {
		namespace(ctx, "last-good")
		turnOn(ctx, "worsened", rego("ConfigMap", judging)+"  match: {namespaces: [last-good]}\n")
		denied := ContainSubstring("worsened: refused by the test")
		Eventually(func() string { return apply(ctx, configMap("last-good", "a", "bad")).complaint }).Should(denied)
		Eventually(func() string {
			return must(ctx, "", "get", "gatepolicy", "worsened", "-o", "jsonpath={.status.lastGood.generation}")
		}).Should(Equal("1"))

		unvetted(ctx, policy("worsened", "  rego: package nothing\n"))
		Eventually(func() string { return condition(ctx, "gatepolicy/worsened", "Ready") }).Should(
			Equal("False LastGoodActive generation 2 does not compile; generation 1 stays in use"))
		Expect(condition(ctx, "gatepolicy/worsened", "Compiled")).To(And(HavePrefix("False NotCompiled "), ContainSubstring("worsened.rego:1:1: ")))
		Expect(apply(ctx, configMap("last-good", "a", "bad")).complaint).To(denied)
		Expect(apply(ctx, configMap("last-good", "a", "good")).err).NotTo(HaveOccurred())

		restart(ctx)
		Expect(apply(ctx, configMap("last-good", "b", "bad")).complaint).To(denied)
		Expect(apply(ctx, configMap("last-good", "b", "good")).err).NotTo(HaveOccurred())
		Expect(condition(ctx, "gatepolicy/worsened", "Ready")).To(HavePrefix("False LastGoodActive"))
		Expect(condition(ctx, "gatepolicy/ingress-tls-required", "Ready")).To(HavePrefix("True Active"))
		Expect(must(ctx, "", "events", "--for", "gatepolicy/worsened")).To(ContainSubstring("LastGoodActive"))
	})

	It("and never did, denies what it is about and nothing else", func(ctx SpecContext) {
		namespace(ctx, "never-good")
		unvetted(ctx, policy("never", rego("ConfigMap", "undefined_function(1)")+"  match: {namespaces: [never-good]}\n"))
		DeferCleanup(func(ctx SpecContext) { must(ctx, "", "delete", "gatepolicy", "never") })
		Eventually(func() string { return condition(ctx, "gatepolicy/never", "Ready") }).Should(HavePrefix("False NotCompiled"))
		Eventually(func() string { return apply(ctx, configMap("never-good", "a", "x")).complaint }).Should(
			MatchRegexp(`denied the request: \nnever: could not judge: policy does not compile: never\.rego:\d+:\d+: .*undefined_function`))
		Expect(apply(ctx, configMap("default", "a", "x")).err).NotTo(HaveOccurred())
		must(ctx, policy("never", rego("ConfigMap", judging)+"  match: {namespaces: [never-good]}\n"), "apply", "-f", "-")
		Eventually(func() error { return apply(ctx, configMap("never-good", "a", "x")).err }).Should(Succeed())
	})
})
