package e2e_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/sluice-gate/sluice/test/installed"
)

// unanswered is the API server's message of an entry, of which the rest says why it could not connect.
const unanswered = `Internal error occurred: failed calling webhook "%s.sluice.dev": failed to call webhook: Post "https://sluice-webhook.sluice-system.svc:443/validate?timeout=10s": `

const (
	openPolicy = `{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: closed, namespace: %s}, spec: {podSelector: {}, policyTypes: [Ingress]}}`
	service    = `{apiVersion: v1, kind: Service, metadata: {name: shop, namespace: %s}, spec: {ports: [{port: 80}]}}`
	lease      = `{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {name: beat, namespace: %s}, spec: {holderIdentity: me}}`
	configMap  = `{apiVersion: v1, kind: ConfigMap, metadata: {name: settings, namespace: %s}, data: {key: value}}`
	plainPod   = `{apiVersion: v1, kind: Pod, metadata: {name: plain, namespace: %s}, spec: {automountServiceAccountToken: false, containers: [{name: c, image: c}]}}`
	hostPod    = `{apiVersion: v1, kind: Pod, metadata: {name: host, namespace: %s}, spec: {hostNetwork: true, automountServiceAccountToken: false, containers: [{name: c, image: c}]}}`
	plainDep   = `{apiVersion: apps/v1, kind: Deployment, metadata: {name: plain, namespace: %s}, spec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: c}]}}}}`
)

func outage(ctx context.Context) {
	kubectl(ctx, "apply", "-f", "../../config/samples/02-shop.yaml")
	_, err := apply(ctx, fmt.Sprintf(hostPod, loaded))
	Expect(err).To(HaveOccurred(), "restricted refuses it while Sluice answers")
	for _, p := range slices.Clone(replicas.running()) {
		Expect(replicas.kill(p)).To(Succeed())
	}
	refusedAlone(ctx)
	untouched(ctx)
	recovery(ctx)
	for _, p := range slices.Clone(replicas.running()) {
		Expect(replicas.kill(p)).To(Succeed())
	}
	wayOut(ctx)
}

// refusedAlone is what does not work while nobody answers.
func refusedAlone(ctx context.Context) {
	GinkgoHelper()
	for refused, entry := range map[string]string{manifest(ingress("outage", 0, true)): "validate", fmt.Sprintf(openPolicy, loaded): "validate",
		fmt.Sprintf(service, loaded): "validate-core"} {
		complaint, err := apply(ctx, refused)
		Expect(err).To(HaveOccurred())
		Expect(complaint).To(ContainSubstring(fmt.Sprintf(unanswered, entry)))
	}
	_, err := apply(ctx, `{apiVersion: policy.sluice.dev/v1alpha1, kind: GatePolicy, metadata: {name: new}, spec: {rule: ingress-tls-required}}`)
	Expect(err).To(MatchError(ContainSubstring(`failed calling webhook "gatepolicies.sluice.dev"`)))
	complaint, err := apply(ctx, manifest(ingress("outage", 0, true)))
	Expect(err).To(HaveOccurred())
	AddReportEntry("what kubectl says while no replica answers", strings.TrimSpace(complaint))
}

// untouched is what works as ever.
func untouched(ctx context.Context) {
	GinkgoHelper()
	for _, manifest := range []string{lease, configMap, plainPod, plainDep, hostPod} {
		_, err := apply(ctx, fmt.Sprintf(manifest, loaded))
		Expect(err).NotTo(HaveOccurred())
	}
	for _, manifest := range []string{openPolicy, service, hostPod} {
		_, err := apply(ctx, fmt.Sprintf(manifest, "kube-system"))
		Expect(err).NotTo(HaveOccurred())
	}
	bad := ingress("system", 0, false)
	bad.SetNamespace("kube-system")
	_, err := apply(ctx, manifest(bad))
	Expect(err).NotTo(HaveOccurred())
	kubectl(ctx, "annotate", "service", "-n", "default", "kubernetes", "example.com/touched=yes")
	kubectl(ctx, "create", "namespace", "born-in-an-outage")
	kubectl(ctx, "delete", "namespace", "born-in-an-outage", "--timeout=30s")
	kubectl(ctx, "delete", "ingress", "shop") // nothing judges the deletion of an Ingress
	kubectl(ctx, "delete", "pod", "-n", loaded, "host", "plain", "--force", "--grace-period=0")
	for _, kind := range []string{"ingress/system", "networkpolicy/closed", "service/shop", "pod/host"} {
		kubectl(ctx, "delete", "-n", "kube-system", kind, "--force", "--grace-period=0")
	}
}

// recovery starts the replicas again, nothing else.
func recovery(ctx context.Context) {
	GinkgoHelper()
	started := time.Now()
	startAll()
	expectVerdicts(ctx, 10*time.Second)
	AddReportEntry("verdicts again after the restart of both replicas", since(started))
	Expect(replicas.awaitReady(ctx)).To(Succeed())
}

func startAll() {
	GinkgoHelper()
	for range replicas.wanted {
		_, err := replicas.start()
		Expect(err).NotTo(HaveOccurred())
	}
}

// wayOut takes the hooks away, as config/README.md says, and puts them back.
func wayOut(ctx context.Context) {
	GinkgoHelper()
	// Without a replica the hooks stay as they are, whatever becomes of the policies.
	kubectl(ctx, "delete", "gatepolicy", "ingress-wildcard-host")
	_, err := apply(ctx, manifest(ingress("outage", 0, true)))
	Expect(err).To(HaveOccurred())

	kept := filepath.Join(GinkgoT().TempDir(), "webhooks.yaml")
	hooks := kubectl(ctx, "get", "validatingwebhookconfiguration,mutatingwebhookconfiguration", "sluice", "-o", "yaml")
	Expect(os.WriteFile(kept, []byte(hooks), 0o600)).To(Succeed())
	kubectl(ctx, "delete", "-f", kept)
	Eventually(func() error {
		_, err := apply(ctx, manifest(ingress("outage", 0, true)))
		return err
	}, patience, poll).WithContext(ctx).Should(Succeed())

	startAll()
	Expect(replicas.awaitReady(ctx)).To(Succeed())
	kubectl(ctx, "create", "-f", kept)
	awaitTrust(ctx)
	Expect(installed.AwaitVetting(ctx, cluster)).To(Succeed())
	kubectl(ctx, "apply", "-f", "../../config/profiles/restricted.yaml")
	Expect(installed.AwaitPolicies(ctx, cluster)).To(Succeed())
	expectVerdicts(ctx, patience)
}
