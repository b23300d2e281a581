package selfmanaged

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/sluice-gate/sluice/test/installed"
	"github.com/sluice-gate/sluice/test/plane"
)

// Helm takes a cluster through what values.yaml and NOTES.txt say: Sluice first, a profile when it runs, another one, and out. No
// kubelet makes pods of the Deployment; a replica with the rights of the chart runs in their place.
func TestHelm(t *testing.T) {
	if os.Getenv(plane.AssetsVariable) == "" {
		t.Skip(plane.ErrNoAssets)
	}
	if _, err := os.Stat("../../bin/helm"); err != nil {
		t.Skip("Helm is not built: run make helm")
	}
	g := NewWithT(t)
	cluster, err := plane.Start(t.Context(), plane.Options{ControllerManager: true})
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { g.Expect(cluster.Stop()).To(Succeed()) }) // after the replica, whose watches hold it up
	kubectl := func(args ...string) string {
		t.Helper()
		out, _, err := cluster.Kubectl(t.Context(), args...)
		g.Expect(err).NotTo(HaveOccurred())
		return out
	}
	const chart = "../../config/chart"
	run, refused := helm(t, cluster)

	g.Expect(refused("install", "sluice", chart, "--set", "profile=baseline")).To(ContainSubstring("install Sluice without a profile first"))
	run("install", "sluice", chart, "--create-namespace", "--set", "certificate=self-managed")
	kubectl("wait", "--for=condition=Established", "--timeout=0", "crd/gatepolicies.policy.sluice.dev", "crd/gateexceptions.policy.sluice.dev")
	profile := []string{"upgrade", "sluice", chart, "--reuse-values", "--set", "profile=baseline,observe=true"}
	g.Expect(refused(profile...)).To(ContainSubstring(`failed calling webhook "gatepolicies.sluice.dev"`), "nobody answers yet")

	serve(t, g, cluster)
	g.Expect(installed.AwaitVetting(t.Context(), cluster)).To(Succeed())
	run(profile...) // an upgrade that came too early is repeated
	g.Expect(installed.AwaitPolicies(t.Context(), cluster)).To(Succeed())
	const actions = `jsonpath={range .items[*]}{.metadata.name}={.spec.action} {end}`
	g.Expect(kubectl("get", "gatepolicies", "-o", actions)).To(And(
		ContainSubstring("ingress-enforce-redirect=Warn"), Not(ContainSubstring("=Deny")), Not(ContainSubstring("namespace-default-deny"))))

	rules := func() string {
		return kubectl("get", "validatingwebhookconfiguration", "sluice", "-o", "jsonpath={.webhooks[?(@.name=='validate.sluice.dev')]['rules','clientConfig.caBundle']}")
	}
	before := rules()
	g.Expect(before).To(ContainSubstring("ingresses"))
	run("upgrade", "sluice", chart, "--reset-then-reuse-values", "--set", "breakGlassGroups={example:ann},exemptNamespaces={cilium},replicas=3,webhookPort=10250")
	g.Expect(rules()).To(Equal(before), "what Sluice and its certificate wrote into the webhooks is not Helm's")
	g.Expect(kubectl("get", "deployment", "-n", installed.Namespace, "sluice", "-o", "jsonpath={.spec.replicas} {.spec.template.spec.containers[0].args}")).To(
		And(HavePrefix("3 "), ContainSubstring("--self-managed-certificate"), ContainSubstring("--break-glass-groups=example:ann")))
	const leftOut = "jsonpath={.webhooks[0].namespaceSelector.matchExpressions[0].values}"
	g.Expect(kubectl("get", "validatingwebhookconfiguration", "sluice", "-o", leftOut)).To(ContainSubstring("cilium"))

	run("upgrade", "sluice", chart, "--reuse-values", "--set", "profile=restricted,observe=false")
	g.Expect(installed.AwaitPolicies(t.Context(), cluster)).To(Succeed())
	g.Expect(installed.AwaitVerdicts(t.Context(), cluster)).To(Succeed())
	g.Expect(kubectl("get", "gatepolicies", "-o", actions)).To(And(
		ContainSubstring("ingress-tls-required=Deny"), ContainSubstring("namespace-default-deny=Deny"), Not(ContainSubstring("ingress-enforce-redirect"))))

	kubectl("delete", "gatepolicies", "--all")
	kubectl("delete", "mutatingwebhookconfiguration,validatingwebhookconfiguration", "sluice")
	run("uninstall", "sluice")
	left := kubectl("get", "gatepolicies,validatingwebhookconfigurations,mutatingwebhookconfigurations,clusterroles,clusterrolebindings", "-o", "name")
	g.Expect(left).NotTo(ContainSubstring("sluice"))
	g.Expect(kubectl("get", "deployments,services,secrets,serviceaccounts,roles,rolebindings", "-n", installed.Namespace, "-o", "name")).NotTo(ContainSubstring("sluice"))
}

// helm returns what runs Helm with all rights, which must succeed, and what runs it when it must not and returns what it says.
func helm(t *testing.T, cluster *plane.Plane) (run func(args ...string), refused func(args ...string) string) {
	home := t.TempDir()
	command := func(args ...string) (string, error) {
		c := exec.CommandContext(t.Context(), filepath.Join("..", "..", "bin", "helm"), append(args, "--namespace", installed.Namespace)...)
		c.Env = append(os.Environ(), "KUBECONFIG="+cluster.Kubeconfig(), "HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home)
		out, err := c.CombinedOutput()
		return string(out), err
	}
	run = func(args ...string) {
		t.Helper()
		if out, err := command(args...); err != nil {
			t.Fatalf("helm %q: %v\n%s", args, err, out)
		}
	}
	refused = func(args ...string) string {
		t.Helper()
		out, err := command(args...)
		if err == nil {
			t.Fatalf("helm %q succeeded\n%s", args, out)
		}
		return out
	}
	return run, refused
}
