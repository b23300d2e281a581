package main

import (
	"os"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/sluice-gate/sluice/test/plane"
)

// A real API server accepts everything below config that needs no CRDs of others, with its strictest validation. What
// does, cert-manager's kinds in config/default, is only put together.
func TestManifestsAreAccepted(t *testing.T) {
	if os.Getenv(plane.AssetsVariable) == "" {
		t.Skip(plane.ErrNoAssets)
	}
	g := NewWithT(t)
	cluster, err := plane.Start(t.Context(), plane.Options{})
	g.Expect(err).NotTo(HaveOccurred())
	defer func() { g.Expect(cluster.Stop()).To(Succeed()) }()

	accepted := func(bases ...string) {
		for _, base := range bases {
			stdout, stderr, err := cluster.Kubectl(t.Context(), "apply", "--validate=strict", "-k", "../../config/"+base)
			g.Expect(err).NotTo(HaveOccurred(), base)
			g.Expect(stderr).To(BeEmpty(), "%s: the API server warns about nothing", base)
			t.Logf("%s:\n%s", base, stdout)
		}
	}
	accepted("crd")
	_, _, err = cluster.Kubectl(t.Context(), "wait", "--for=condition=Established", "--timeout=30s",
		"-f", "../../config/crd/policy.sluice.dev_gatepolicies.yaml")
	g.Expect(err).NotTo(HaveOccurred())
	for _, profile := range []string{"baseline", "restricted"} {
		_, _, err := cluster.Kubectl(t.Context(), "apply", "--validate=strict", "-f", "../../config/profiles/"+profile+".yaml")
		g.Expect(err).NotTo(HaveOccurred(), profile)
	}
	accepted("namespace", "rbac", "manager", "webhook", "local", "selfmanaged", "networkpolicy")
	_, _, err = cluster.Kubectl(t.Context(), "delete", "gatepolicies", "--all")
	g.Expect(err).NotTo(HaveOccurred(), "policies can be deleted while nobody answers the webhooks")

	stdout, _, err := cluster.Kubectl(t.Context(), "kustomize", "../../config/default")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(strings.Count(stdout, "cert-manager.io/inject-ca-from: sluice-system/sluice-webhook\n")).To(Equal(2),
		"both webhook configurations get their caBundle from cert-manager")

	_, _, err = cluster.Kubectl(t.Context(), "delete", "mutatingwebhookconfiguration,validatingwebhookconfiguration", "sluice")
	g.Expect(err).NotTo(HaveOccurred(), "as README.md removes them")
}
