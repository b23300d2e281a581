package policies_test

import (
	"encoding/base64"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/sluice-gate/sluice/certs"
	"github.com/sluice-gate/sluice/test/installed"
)

// nodePort is a Service that a rule of the tests refuses.
const nodePort = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {type: NodePort, ports: [{port: 80}]}\n"

var _ = Describe("what is told beside the answer", func() {
	It("tells of a denial in the namespace, and not of a dry run", func(ctx SpecContext) {
		namespace(ctx, "told")
		namespace(ctx, "told-dry")
		turnOn(ctx, "no-nodeport", rego("Service", `input.request.object.spec.type == "NodePort"`)+"  match: {namespaces: [told, told-dry]}\n")
		Eventually(func() string { return apply(ctx, nodePort, "-n", "told-dry", "--dry-run=server").complaint }).Should(ContainSubstring("no-nodeport"))
		Expect(apply(ctx, nodePort, "-n", "told").complaint).To(ContainSubstring("no-nodeport: refused by the test"))
		Eventually(func() string { return must(ctx, "", "get", "events", "-n", "told") }).
			Should(MatchRegexp(`Warning +Denied +service/web +\S+: CREATE: no-nodeport: refused by the test`))
		Expect(must(ctx, "", "get", "events", "-n", "told-dry", "-o", "name")).To(BeEmpty())
	})

	It("is ready only while the API server accepts its certificate", func(ctx SpecContext) {
		Expect(sample("sluice_certificate_valid")).To(Equal(1.0))
		Expect(sample("sluice_webhooks_without_ca_bundle")).To(Equal(0.0))
		Expect(sample("sluice_certificate_remaining_seconds")).To(BeNumerically("~", (24 * time.Hour).Seconds(), 3600))
		good := must(ctx, "", "get", "mutatingwebhookconfiguration", "sluice", "-o", "jsonpath={.webhooks[0].clientConfig.caBundle}")
		set := func(ctx SpecContext, bundle string) {
			must(ctx, "", "patch", "mutatingwebhookconfiguration", "sluice", "--type=json", "-p",
				`[{"op": "add", "path": "/webhooks/0/clientConfig/caBundle", "value": "`+bundle+`"}]`)
		}
		DeferCleanup(func(ctx SpecContext) { set(ctx, good) })
		other, err := certs.Issue(time.Hour, installed.Service+"."+installed.Namespace+".svc")
		Expect(err).NotTo(HaveOccurred())
		set(ctx, base64.StdEncoding.EncodeToString(other.CA))
		Eventually(func() float64 { return sample("sluice_certificate_valid") }).Should(Equal(0.0))
		set(ctx, "")
		Eventually(func() float64 { return sample("sluice_certificate_valid") }).Should(Equal(1.0), "nobody has injected one")
		Expect(sample("sluice_webhooks_without_ca_bundle")).To(Equal(1.0))
		set(ctx, good)
		Eventually(func() float64 { return sample("sluice_webhooks_without_ca_bundle") }).Should(Equal(0.0))
		Expect(sample("sluice_certificate_valid")).To(Equal(1.0))
	})
})

// sample is a gauge of the manager.
func sample(name string) float64 { return installed.Metric(manager.Metrics, name, nil) }
