package policies_test

import (
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

const plainIngress = `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop, namespace: NS}
spec:
  ingressClassName: nginx
  rules:
    - host: NS.example.com
      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: shop, port: {number: 80}}}}]}
`

// exception is the manifest of a GateException from ingress-tls-required for a namespace.
func exception(name, ns string, expires time.Time) string {
	return fmt.Sprintf("apiVersion: policy.sluice.dev/v1alpha1\nkind: GateException\nmetadata: {name: %s}\n"+
		"spec: {policies: [ingress-tls-required], match: {namespaces: [%s]}, reason: moves behind the mesh, expires: %q}\n",
		name, ns, expires.UTC().Format(time.RFC3339))
}

// replace is strings.NewReplacer in one call.
func replace(text string, pairs ...string) string { return strings.NewReplacer(pairs...).Replace(text) }

var _ = Describe("an exception", func() {
	It("excuses until it expires, says so, and is counted", func(ctx SpecContext) {
		namespace(ctx, "excused")
		ingress := replace(plainIngress, "NS", "excused")
		Expect(apply(ctx, ingress).complaint).To(ContainSubstring("ingress-tls-required"))
		expires := time.Now().Add(15 * time.Second)
		must(ctx, exception("soon-over", "excused", expires), "apply", "-f", "-")
		Eventually(func() error { return apply(ctx, ingress, "--dry-run=server").err }).Should(Succeed())
		Expect(condition(ctx, "gateexception/soon-over", "Ready")).To(HavePrefix("True Active excuses what it matches until "))
		Expect(findings("ingress-tls-required", "excused")).To(BeNumerically(">", 0))
		Expect(must(ctx, "", "get", "gateexceptions")).To(MatchRegexp(`(?m)^soon-over +\["ingress-tls-required"\] +\S+ +True +moves behind the mesh`))

		Eventually(func() error { return apply(ctx, ingress, "--dry-run=server").err }).ShouldNot(Succeed())
		Expect(time.Now()).To(BeTemporally(">=", expires.Truncate(time.Second).Add(-time.Second)), "the API server tells its time by the second")
		Eventually(func() string { return condition(ctx, "gateexception/soon-over", "Ready") }).Should(HavePrefix("False Expired expired at "))
		Eventually(func() string { return must(ctx, "", "events", "--for", "gateexception/soon-over") }).Should(ContainSubstring("Expired"))
	})

	It("that expired a minute ago is stored with a warning and excuses nothing", func(ctx SpecContext) {
		namespace(ctx, "too-late")
		got := apply(ctx, exception("over", "too-late", time.Now().Add(-time.Minute)))
		Expect(got.err).NotTo(HaveOccurred())
		Expect(got.complaint).To(MatchRegexp(`^Warning: spec.expires: \S+Z has passed: the exception excuses nothing\n$`))
		Eventually(func() string { return condition(ctx, "gateexception/over", "Ready") }).Should(HavePrefix("False Expired"))
		Expect(apply(ctx, replace(plainIngress, "NS", "too-late")).complaint).To(ContainSubstring("ingress-tls-required"))
	})

	It("for ever, or from a policy that does not exist, is refused", func(ctx SpecContext) {
		const denied = `Error from server (Forbidden): error when creating "STDIN": admission webhook "gateexceptions.sluice.dev" denied the request: `
		Expect(apply(ctx, exception("endless", "x", time.Now().AddDate(2, 0, 0))).complaint).To(MatchRegexp(
			regexpOf(denied) + `spec.expires: \S+Z is more than a year ahead: choose a day within a year, and extend the exception when somebody has looked at it again`))
		unknown := strings.Replace(exception("unknown", "x", time.Now().Add(time.Hour)), "[ingress-tls-required]", "[ingress-tls]", 1)
		Expect(strings.TrimSpace(apply(ctx, unknown).complaint)).To(Equal(denied + `spec.policies[0]: there is no policy "ingress-tls"; did you mean "ingress-tls-required"?`))
		nothing := strings.Replace(exception("nothing", "x", time.Now().Add(time.Hour)), "{namespaces: [x]}", "{}", 1)
		Expect(strings.TrimSpace(apply(ctx, nothing).complaint)).To(Equal(`The GateException "nothing" is invalid: spec.match: Invalid value: ` +
			`name the excused objects by names, namespaces, namespaceSelector or objectSelector`))
	})
})
