// Package selfmanaged installs Sluice without cert-manager, as `make deploy` and Helm do, on a real control plane.
package selfmanaged

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/sluice-gate/sluice/test/installed"
	"github.com/sluice-gate/sluice/test/plane"
)

// The program runs with the rights of config/selfmanaged and nothing else, and is trusted by what it writes itself. There are no
// nodes for its Deployment; the rest is that of the overlay.
func TestSelfManaged(t *testing.T) {
	if os.Getenv(plane.AssetsVariable) == "" {
		t.Skip(plane.ErrNoAssets)
	}
	g := NewWithT(t)
	cluster, err := plane.Start(t.Context(), plane.Options{ControllerManager: true})
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { g.Expect(cluster.Stop()).To(Succeed()) }) // after the replicas, whose watches hold it up
	kubectl := func(args ...string) string {
		out, _, err := cluster.Kubectl(t.Context(), args...)
		g.Expect(err).NotTo(HaveOccurred())
		return out
	}

	own := filepath.Join(t.TempDir(), "own.yaml")
	g.Expect(os.WriteFile(own, []byte(`{apiVersion: policy.sluice.dev/v1alpha1, kind: GatePolicy, metadata: {name: own}, spec: {rule: ingress-tls-required, action: Warn}}`),
		0o600)).To(Succeed())
	dropped := filepath.Join(t.TempDir(), "dropped.yaml")
	g.Expect(os.WriteFile(dropped, []byte(`{apiVersion: policy.sluice.dev/v1alpha1, kind: GatePolicy,
		metadata: {name: dropped, labels: {policy.sluice.dev/profile: baseline}}, spec: {rule: ingress-tls-required, action: Warn}}`), 0o600)).To(Succeed())
	run(t, cluster.Kubeconfig(), "deploy", "OVERLAY=local")
	kubectl("apply", "-f", "../../config/selfmanaged/role.yaml", "-f", "../../config/selfmanaged/secret.yaml")
	serve(t, g, cluster)
	run(t, cluster.Kubeconfig(), "deploy", "OVERLAY=local", "PROFILE=observe")
	kubectl("create", "-f", own)
	const actions = `jsonpath={range .items[*]}{.metadata.name}={.spec.action} {end}`
	g.Expect(kubectl("get", "gatepolicies", "-o", actions)).To(And(ContainSubstring("workload-host-network=Warn"), Not(ContainSubstring("=Deny"))))
	kubectl("create", "-f", dropped)
	run(t, cluster.Kubeconfig(), "deploy", "OVERLAY=local", "PROFILE=baseline")
	g.Expect(kubectl("get", "gatepolicies", "-o", actions)).To(And(ContainSubstring("ingress-tls-required=Deny"), ContainSubstring("own=Warn"),
		Not(ContainSubstring("workload-host-network")), Not(ContainSubstring("dropped"))), "one profile takes the place of another and of its own older version, and what is nobody's stays")
	g.Expect(installed.AwaitVerdicts(t.Context(), cluster)).To(Succeed())
	serve(t, g, cluster) // another replica takes what the first has made

	// Whoever applies the manifests anew or edits them doesn't switch the gate off for long.
	kubectl("patch", "validatingwebhookconfiguration", "sluice", "--type=json", "-p", `[{"op": "remove", "path": "/webhooks/0/clientConfig/caBundle"}]`)
	g.Eventually(func() string {
		return kubectl("get", "validatingwebhookconfiguration", "sluice", "-o", "jsonpath={.webhooks[0].clientConfig.caBundle}")
	}, 30*time.Second, time.Second).NotTo(BeEmpty())
	kubectl("apply", "-f", "../../config/selfmanaged/secret.yaml")
	g.Expect(kubectl("get", "secret", "-n", "sluice-system", "sluice-webhook-cert", "-o", `jsonpath={.data.tls\.crt}`)).NotTo(BeEmpty(),
		"applied again, the Secret keeps its content")

	run(t, cluster.Kubeconfig(), "undeploy", "OVERLAY=local")
	left := kubectl("get", "validatingwebhookconfigurations,mutatingwebhookconfigurations,customresourcedefinitions,clusterroles,clusterrolebindings", "-o", "name")
	g.Expect(left).NotTo(ContainSubstring("sluice"))
}

// serve starts a replica and waits until it is ready.
func serve(t *testing.T, g *WithT, cluster *plane.Plane) {
	dir := t.TempDir()
	kubeconfig, err := installed.ServiceAccountConfig(t.Context(), cluster, dir)
	g.Expect(err).NotTo(HaveOccurred())
	binary, err := filepath.Abs("../../bin/sluice")
	g.Expect(err).NotTo(HaveOccurred())
	replica, err := installed.StartProcess(installed.ProcessOptions{Binary: binary, Kubeconfig: kubeconfig, CertDir: dir, Args: []string{"--self-managed-certificate"}})
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(replica.Log())
		}
		g.Expect(replica.Kill()).To(Succeed())
	})
	g.Expect(replica.AwaitReady(t.Context())).To(Succeed())
	cluster.Route(installed.Namespace, installed.Service, replica.Address)
}

// run is `make`, as a person says it who has the plane's kubectl and kubeconfig.
func run(t *testing.T, kubeconfig string, args ...string) {
	t.Helper()
	if out, err := runMake(t, kubeconfig, args...); err != nil {
		t.Fatalf("make %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// runMake returns what make says, and how it ends.
func runMake(t *testing.T, kubeconfig string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, "make", append([]string{"-C", "../..", "--no-print-directory"}, args...)...)
	command.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig, "KUBECTL="+filepath.Join(os.Getenv(plane.AssetsVariable), "kubectl"), "KUBERC=off")
	command.WaitDelay = 5 * time.Second
	out, err := command.CombinedOutput()
	return string(out), err
}

// IMAGE takes the place of whatever image an overlay names, and is refused where nobody can tell whose it is.
func TestImage(t *testing.T) {
	if os.Getenv(plane.AssetsVariable) == "" {
		t.Skip(plane.ErrNoAssets)
	}
	own := t.TempDir()
	base, err := filepath.Rel(own, filepath.Join(repository(t), "config", "default"))
	if err != nil {
		t.Fatal(err)
	}
	overlay, err := filepath.Rel(filepath.Join(repository(t), "config"), own)
	if err != nil {
		t.Fatal(err)
	}
	write := func(more string) {
		t.Helper()
		text := "resources: [" + base + "]\nimages: [{name: sluice, newName: registry.example.com/mine, newTag: v7}]\n" + more
		if err := os.WriteFile(filepath.Join(own, "kustomization.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("")
	out, err := runMake(t, "", "render", "OVERLAY="+overlay, "IMAGE=registry.example.com/a:1")
	if err != nil || !strings.Contains(out, " image: registry.example.com/a:1\n") || strings.Contains(out, "mine") {
		t.Errorf("%v: the image is another\n%s", err, out)
	}
	write("patches:\n- target: {kind: Deployment}\n  patch: |\n    - {op: add, path: /spec/template/spec/containers/-, value: {name: proxy, image: envoy}}\n")
	if out, err := runMake(t, "", "render", "OVERLAY="+overlay, "IMAGE=registry.example.com/a:1"); err == nil || !strings.Contains(out, "has several containers") {
		t.Errorf("a second container: %v\n%s", err, out)
	}
}

func repository(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return path
}
