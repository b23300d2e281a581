package policies_test

import (
	"fmt"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	dto "github.com/prometheus/client_model/go"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// counted sums a counter over the metrics that have all given labels: name, value, name, value and so on.
func counted(counter string, labels ...string) float64 {
	GinkgoHelper()
	families, err := manager.Metrics.Gather()
	Expect(err).NotTo(HaveOccurred())
	total := 0.0
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			matches := family.GetName() == counter
			for i := 0; i < len(labels); i += 2 {
				matches = matches && label(metric, labels[i]) == labels[i+1]
			}
			if matches {
				total += metric.GetCounter().GetValue()
			}
		}
	}
	return total
}

// reviews counts the reviews so far, findings the findings of a policy.
func reviews(labels ...string) float64 { return counted("sluice_reviews_total", labels...) }
func findings(policy, action string) float64 {
	return counted("sluice_findings_total", "policy", policy, "action", action)
}

func label(metric *dto.Metric, name string) string {
	for _, pair := range metric.GetLabel() {
		if pair.GetName() == name {
			return pair.GetValue()
		}
	}
	return ""
}

func configMap(ns, name, value string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, namespace: %s}\ndata: {key: %s}\n", name, ns, value)
}

var _ = Describe("a policy", func() {
	It("of a shipped profile is ready, with its rule, action and findings in kubectl get", func(ctx SpecContext) {
		Eventually(func() string { return must(ctx, "", "get", "gatepolicies", "ingress-tls-required") }).Should(
			MatchRegexp(`(?s)^NAME +RULE +ACTION +READY +FINDINGS +AGE\ningress-tls-required +ingress-tls-required +Deny +True +0 +\S+$`))
		Expect(must(ctx, "", "get", "gp", "-o", "name")).To(ContainSubstring("gatepolicy.policy.sluice.dev/service-external-ips"))
		Expect(must(ctx, "", "get", "sluice", "-o", "name")).To(ContainSubstring("gatepolicy.policy.sluice.dev/service-external-ips"))
	})

	It("makes a kind intercepted that nobody judged before, and its deletion ends that", func(ctx SpecContext) {
		namespace(ctx, "interest")
		before := reviews()
		must(ctx, configMap("interest", "a", "bad"), "apply", "-f", "-")
		Expect(reviews()).To(Equal(before), "no policy is about ConfigMaps")
		turnOn(ctx, "config", rego("ConfigMap", `input.request.object.data.key == "bad"`))
		Eventually(func() string { return apply(ctx, configMap("interest", "b", "bad"), "--dry-run=server").complaint }).Should(
			ContainSubstring(`admission webhook "validate.sluice.dev" denied the request: ` + "\nconfig: refused by the test"))
		Expect(apply(ctx, configMap("interest", "b", "good")).err).NotTo(HaveOccurred())
		Expect(reviews("kind", "ConfigMap")).To(BeNumerically(">", 0))
		must(ctx, "", "delete", "gatepolicy", "config")
		Eventually(func() string { return resources(ctx) }).Should(Equal(shipped))
		Eventually(func() error { return apply(ctx, configMap("interest", "c", "bad")).err }).Should(Succeed())
	})

	It("is live within a second of a change, and a hundred edits in a second end in the last one", func(ctx SpecContext) {
		namespace(ctx, "edited")
		turnOn(ctx, "edits", rego("ConfigMap", `input.request.object.data.key == "v0"`))
		Eventually(func() error { return apply(ctx, configMap("edited", "a", "v0"), "--dry-run=server").err }).ShouldNot(Succeed())
		c, err := client.New(cluster.Config, client.Options{})
		Expect(err).NotTo(HaveOccurred())
		started := time.Now()
		var group sync.WaitGroup
		for i := range 10 {
			group.Go(func() {
				defer GinkgoRecover()
				edited := &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "policy.sluice.dev/v1alpha1", Kind: "GatePolicy"},
					ObjectMeta: metav1.ObjectMeta{Name: "edits"}}
				for j := range 10 {
					edit := fmt.Appendf(nil, `{"spec": {"message": "edit %d of %d"}}`, j, i)
					Expect(c.Patch(ctx, edited, client.RawPatch(types.MergePatchType, edit))).To(Succeed())
				}
			})
		}
		group.Wait()
		AddReportEntry("100 edits", time.Since(started).String())
		must(ctx, policy("edits", rego("ConfigMap", `input.request.object.data.key == "last"`)), "apply", "-f", "-")
		Eventually(func() error { return apply(ctx, configMap("edited", "a", "last"), "--dry-run=server").err }).ShouldNot(Succeed())
		Expect(apply(ctx, configMap("edited", "a", "v0"), "--dry-run=server").err).NotTo(HaveOccurred())
		generation := must(ctx, "", "get", "gatepolicy", "edits", "-o", "jsonpath={.metadata.generation}")
		Eventually(func() string {
			return must(ctx, "", "get", "gatepolicy", "edits", "-o", "jsonpath={.status.observedGeneration} {.status.lastGood.generation}")
		}).Should(Equal(generation + " " + generation))
		Expect(condition(ctx, "gatepolicy/edits", "Ready")).To(HavePrefix("True Active"))
	})

	It("on Leases, Events and Nodes can't be, and a hundred writes of them cause no review", func(ctx SpecContext) {
		namespace(ctx, "quiet")
		got := apply(ctx, policy("heartbeat", rego("coordination.k8s.io/Lease", "true")))
		Expect(got.complaint).To(ContainSubstring("coordination.k8s.io/Lease can't be matched: it is the cluster's heartbeat"))
		before := reviews()
		var objects strings.Builder
		for i := range 100 {
			fmt.Fprintf(&objects, "---\napiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata: {name: l%d, namespace: quiet}\n", i)
			fmt.Fprintf(&objects, "---\napiVersion: v1\nkind: Event\nmetadata: {name: e%d, namespace: quiet}\ninvolvedObject: {namespace: quiet}\n", i)
			fmt.Fprintf(&objects, "---\napiVersion: v1\nkind: Node\nmetadata: {name: n%d}\n", i)
		}
		must(ctx, objects.String(), "create", "-f", "-")
		Expect(reviews()).To(Equal(before))
	})

	It("that denies everything locks nobody out", func(ctx SpecContext) {
		namespace(ctx, "locked")
		everything := "[ConfigMap, Service, Namespace, networking.k8s.io/Ingress, networking.k8s.io/NetworkPolicy, rbac.authorization.k8s.io/ClusterRole]"
		spec := strings.Replace(rego("KINDS", "true"), "[KINDS]", everything, 1)
		spec = strings.Replace(spec, "    #   judges", "    #   operations: [CREATE, UPDATE, DELETE]\n    #   judges", 1)
		turnOn(ctx, "wall", spec)
		Eventually(func() string { return apply(ctx, configMap("locked", "a", "x")).complaint }).Should(ContainSubstring("wall: refused by the test"))
		Eventually(func() string { return kubectl(ctx, "", "create", "namespace", "another").complaint }).Should(ContainSubstring("wall: refused by the test"))
		for _, ns := range []string{"sluice-system", "kube-system"} {
			Expect(apply(ctx, configMap(ns, "a", "x")).err).NotTo(HaveOccurred(), ns)
		}
		must(ctx, "", "label", "gatepolicy", "wall", "team=platform") // policies can still be changed
		must(ctx, "", "delete", "gatepolicy", "wall")
		Eventually(func() error { return apply(ctx, configMap("locked", "a", "x")).err }).Should(Succeed())
	})

	It("that takes for ever is the error of its own reviews", func(ctx SpecContext) {
		namespace(ctx, "endless")
		endless := "count([1 | some a in numbers.range(1, 1000); some b in numbers.range(1, 1000); some c in numbers.range(1, 1000); a + b + c == 0]) > 0"
		turnOn(ctx, "endless", rego("ConfigMap", endless)+"  match: {namespaces: [endless]}\n")
		Eventually(func() string { return apply(ctx, configMap("endless", "a", "x")).complaint }).Should(
			ContainSubstring("denied the request: \nendless: could not judge: stopped after its time was used up"))
		namespace(ctx, "beside")
		Expect(apply(ctx, configMap("beside", "a", "x")).err).NotTo(HaveOccurred())
	})

	It("counts what exists in its findings", func(ctx SpecContext) {
		namespace(ctx, "audited")
		must(ctx, configMap("audited", "a", "bad")+"---\n"+configMap("audited", "b", "bad")+"---\n"+configMap("audited", "c", "good"), "apply", "-f", "-")
		must(ctx, `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: read-config-maps, labels: {rbac.policy.sluice.dev/aggregate-to-sluice: "true"}}
rules: [{apiGroups: [""], resources: [configmaps], verbs: [get, list, watch]}]
`, "apply", "-f", "-")
		DeferCleanup(func(ctx SpecContext) { must(ctx, "", "delete", "clusterrole", "read-config-maps") })
		Eventually(func() string {
			return kubectl(ctx, "", "auth", "can-i", "list", "configmaps", "-A", "--as=system:serviceaccount:sluice-system:sluice").out
		}).Should(Equal("yes\n"))
		turnOn(ctx, "audited", rego("ConfigMap", `input.request.object.data.key == "bad"`)+"  match: {namespaces: [audited]}\n")
		Eventually(func() string {
			return must(ctx, "", "get", "gatepolicy", "audited", "-o", "jsonpath={.status.audit.findings} {.status.audit.examples[*].name}")
		}).Should(Equal("2 a b"))
	})
})
