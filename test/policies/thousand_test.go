package policies_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

// The promises about many policies: how many, the time in which they load, and that in which a change to one is live.
// Report entries have the figures; machines that run other tests beside this one get four times the time.
const (
	manyPolicies = 1000
	loadTime     = 5 * time.Second
	changeTime   = time.Second
)

// manyLabel is on the policies of this file.
const manyLabel = "example.com/many"

func manyClient() client.Client {
	GinkgoHelper()
	scheme := runtime.NewScheme()
	Expect(errors.Join(v1alpha1.AddToScheme(scheme), corev1.AddToScheme(scheme))).To(Succeed())
	c, err := client.New(cluster.Config, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	return c
}

// oneOfMany is a policy with a rule of its own, or in seven of ten cases one over a shipped rule.
func oneOfMany(i int) *v1alpha1.GatePolicy {
	p := &v1alpha1.GatePolicy{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("many-%03d", i), Labels: map[string]string{manyLabel: ""}}}
	p.Spec.Match.Namespaces = []string{fmt.Sprintf("many-%d", i)}
	p.Spec.Rule = []string{"ingress-tls-required", "ingress-wildcard-host", "networkpolicy-wildcard-egress"}[i%3]
	if i%10 < 3 {
		p.Spec.Rule, p.Spec.Rego = "", manyRego(fmt.Sprintf("bad-%d", i))
	}
	return p
}

func manyRego(bad string) string {
	return fmt.Sprintf(`# METADATA
# title: A rule of the tests
# description: Refuses one value.
# custom:
#   severity: low
#   kinds: [ConfigMap]
#   judges: [data]
package example.test

deny contains "refused by the test" if input.request.object.data.key == %q
`, bad)
}

// inParallel does something for each policy, as ten people would.
func inParallel(do func(i int)) time.Duration {
	started := time.Now()
	var group sync.WaitGroup
	for worker := range 10 {
		group.Go(func() {
			defer GinkgoRecover()
			for i := worker; i < manyPolicies; i += 10 {
				do(i)
			}
		})
	}
	group.Wait()
	return time.Since(started)
}

var _ = Describe("a thousand policies", Ordered, Serial, func() {
	var c client.Client

	BeforeAll(func(ctx SpecContext) {
		c = manyClient()
		namespace(ctx, "many-500")
		took := inParallel(func(i int) { Expect(c.Create(ctx, oneOfMany(i))).To(Succeed()) })
		AddReportEntry("1,000 creations, each vetted", took.String())
		started := time.Now()
		Eventually(func() int { return ready(ctx, c) }, "120s").Should(Equal(manyPolicies))
		AddReportEntry("all ready after the last creation", time.Since(started).String())
	})

	AfterAll(func(ctx SpecContext) {
		started := time.Now()
		Expect(c.DeleteAllOf(ctx, &v1alpha1.GatePolicy{}, client.HasLabels{manyLabel})).To(Succeed())
		Eventually(func() error { return apply(ctx, configMap("many-500", "a", "changed"), "--dry-run=server").err }).Should(Succeed())
		AddReportEntry("1,000 deletions until live", time.Since(started).String())
	})

	It("load in a few seconds", func(ctx SpecContext) {
		started := time.Now()
		restart(ctx)
		took := time.Since(started)
		AddReportEntry("manager started to ready", took.String())
		Expect(took).To(BeNumerically("<", 4*loadTime))
		Expect(apply(ctx, configMap("many-500", "a", "bad-500"), "--dry-run=server").complaint).To(ContainSubstring("many-500: refused by the test"))
	})

	It("take in a change to one of them within a second", func(ctx SpecContext) {
		for _, value := range []string{"first", "second", "changed"} {
			edited := oneOfMany(500)
			edit := fmt.Appendf(nil, `{"spec": {"rego": %q}}`, manyRego(value))
			Expect(c.Patch(ctx, edited, client.RawPatch(types.MergePatchType, edit))).To(Succeed())
			started := time.Now()
			Eventually(func() error { return tryConfigMap(ctx, c, value) }, "20s", "5ms").Should(MatchError(ContainSubstring("many-500: refused by the test")))
			took := time.Since(started)
			AddReportEntry("an edit is live after", took.String())
			Expect(took).To(BeNumerically("<", 4*changeTime))
		}
	})
})

// tryConfigMap creates a ConfigMap without storing it.
func tryConfigMap(ctx context.Context, c client.Client, value string) error {
	return c.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "many-500", Name: "a"}, Data: map[string]string{"key": value}}, client.DryRunAll)
}

// ready counts the policies that say so.
func ready(ctx context.Context, c client.Client) int {
	GinkgoHelper()
	var all v1alpha1.GatePolicyList
	Expect(c.List(ctx, &all, client.HasLabels{manyLabel})).To(Succeed())
	n := 0
	for _, p := range all.Items {
		for _, condition := range p.Status.Conditions {
			if condition.Type == v1alpha1.ConditionReady && condition.Status == metav1.ConditionTrue {
				n++
			}
		}
	}
	return n
}
