package e2e_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/sluice-gate/sluice/test/installed"
)

// manifest is YAML of an object.
func manifest(object *unstructured.Unstructured) string {
	GinkgoHelper()
	text, err := yaml.Marshal(object)
	Expect(err).NotTo(HaveOccurred())
	return string(text)
}

// verdict is what says that Sluice was asked.
const verdict = `admission webhook "validate.sluice.dev" denied the request`

// expectVerdicts returns once a violating object is denied by Sluice and a good one admitted.
func expectVerdicts(ctx context.Context, within time.Duration) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		complaint, err := apply(ctx, manifest(ingress("probe", 0, false)), "--dry-run=server")
		g.Expect(err).To(HaveOccurred())
		g.Expect(complaint).To(ContainSubstring(verdict))
		_, err = apply(ctx, manifest(ingress("probe", 0, true)), "--dry-run=server")
		g.Expect(err).NotTo(HaveOccurred())
	}, within, poll).WithContext(ctx).Should(Succeed())
}

func install(ctx context.Context) {
	awaitTrust(ctx) // nobody but cert-manager wrote it
	kubectl(ctx, "apply", "-f", "../../config/profiles/restricted.yaml")
	Expect(installed.AwaitPolicies(ctx, cluster)).To(Succeed())
	expectVerdicts(ctx, patience)
	complaint, err := apply(ctx, manifest(ingress("shop", 0, false)))
	Expect(err).To(HaveOccurred())
	Expect(complaint).To(ContainSubstring(verdict + ": \ningress-tls-required: host \"shop.example.com\" is served without a certificate"))
	table := kubectl(ctx, "get", "gatepolicies")
	Expect(table).To(MatchRegexp(`(?m)^ingress-tls-required +ingress-tls-required +Deny +True`))
	Expect(table).NotTo(ContainSubstring("False"))
	Expect(kubectl(ctx, "get", "--raw", "/apis/coordination.k8s.io/v1/namespaces/"+installed.Namespace+"/leases")).To(
		ContainSubstring("sluice.policy.sluice.dev"), "one of the replicas leads")
	AddReportEntry("policies", fmt.Sprint(strings.Count(table, "\n")-1))
}
