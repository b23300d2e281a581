package plane_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sluice-gate/sluice/test/plane"
)

var _ = Describe("a webhook by service reference", func() {
	It("is reached through the Service's cluster IP", func(ctx context.Context) {
		server, authority := denyingServer("gate.hooked.svc")
		installWebhook(ctx, "hooked", authority)
		running.Route("hooked", "gate", server.Listener.Addr().String())

		Expect(applyIngress(ctx, "hooked")).To(MatchError(And(
			ContainSubstring(`admission webhook "hooked.example.com" denied the request`),
			ContainSubstring("no Ingress today"))))
	})

	It("is refused when its certificate is for another name", func(ctx context.Context) {
		server, authority := denyingServer("gate.elsewhere.svc")
		installWebhook(ctx, "misnamed", authority)
		running.Route("misnamed", "gate", server.Listener.Addr().String())

		Expect(applyIngress(ctx, "misnamed")).To(MatchError(
			ContainSubstring("certificate is valid for gate.elsewhere.svc, not gate.misnamed.svc")))
	})

	It("says what is missing when its Service has no route", func(ctx context.Context) {
		_, authority := denyingServer("gate.unrouted.svc")
		installWebhook(ctx, "unrouted", authority)

		Expect(applyIngress(ctx, "unrouted")).To(MatchError(
			ContainSubstring("Service unrouted/gate has no route: call Plane.Route")))
	})
})

var _ = Describe("kube-controller-manager", func() {
	It("completes the deletion of a namespace", func(ctx context.Context) {
		_, _, err := running.Kubectl(ctx, "create", "namespace", "shortlived")
		Expect(err).NotTo(HaveOccurred())
		_, _, err = running.Kubectl(ctx, "create", "configmap", "inhabitant", "--namespace", "shortlived")
		Expect(err).NotTo(HaveOccurred())

		_, _, err = running.Kubectl(ctx, "delete", "namespace", "shortlived", "--timeout=60s")
		Expect(err).NotTo(HaveOccurred())
		_, _, err = running.Kubectl(ctx, "get", "namespace", "shortlived")
		Expect(err).To(MatchError(ContainSubstring("NotFound")))
	}, SpecTimeout(90*time.Second))

	It("collects what lost its owner", func(ctx context.Context) {
		c, err := client.New(running.Config, client.Options{Scheme: scheme.Scheme})
		Expect(err).NotTo(HaveOccurred())
		owner := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "owner"}}
		Expect(c.Create(ctx, owner)).To(Succeed())
		owned := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "owned",
			OwnerReferences: []metav1.OwnerReference{
				{APIVersion: "v1", Kind: "ConfigMap", Name: owner.Name, UID: owner.UID}}}}
		Expect(c.Create(ctx, owned)).To(Succeed())

		Expect(c.Delete(ctx, owner)).To(Succeed())
		Eventually(func() bool {
			return apierrors.IsNotFound(c.Get(ctx, client.ObjectKeyFromObject(owned), owned))
		}).WithTimeout(60 * time.Second).WithPolling(100 * time.Millisecond).Should(BeTrue())
	}, SpecTimeout(90*time.Second))
})

var _ = Describe("the API server", func() {
	It("lets a user do only what RBAC allows", func(ctx context.Context) {
		config, err := running.AddUser("ann", "shop-team")
		Expect(err).NotTo(HaveOccurred())
		c, err := client.New(config, client.Options{Scheme: scheme.Scheme})
		Expect(err).NotTo(HaveOccurred())
		maps := &corev1.ConfigMapList{}
		Expect(c.List(ctx, maps, client.InNamespace("default"))).To(MatchError(ContainSubstring(`User "ann" cannot list`)))

		_, _, err = running.Kubectl(ctx, "create", "rolebinding", "shop", "--clusterrole=view", "--group=shop-team")
		Expect(err).NotTo(HaveOccurred())
		Eventually(func() error { return c.List(ctx, maps, client.InNamespace("default")) }).Should(Succeed())
	})

	It("runs with the flags it was given", func(ctx context.Context) {
		_, _, err := running.KubectlInput(ctx, strings.NewReader(`
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: sloppy, namespace: default}
spec:
  podSelector: {}
  ingress: [{from: [{ipBlock: {cidr: 10.1.2.3/8}}]}]
`), "apply", "-f", "-")
		Expect(err).NotTo(HaveOccurred(), "StrictIPCIDRValidation is off, so a CIDR may have host bits")
	})

	It("says why it does not start, and leaves nothing behind", func(ctx context.Context) {
		scratch := GinkgoT().TempDir()
		GinkgoT().Setenv("TMPDIR", scratch)
		_, err := plane.Start(ctx, plane.Options{
			APIServerFlags: map[string][]string{"feature-gates": {"NoSuchGate=true"}}})
		Expect(err).To(MatchError(ContainSubstring("unrecognized feature gate: NoSuchGate")))
		Expect(filepath.Glob(filepath.Join(scratch, "*"))).To(BeEmpty())
	})

	It("names the binary that is missing", func(ctx context.Context) {
		_, err := plane.Start(ctx, plane.Options{Assets: GinkgoT().TempDir()})
		Expect(err).To(MatchError(os.ErrNotExist))
		Expect(err).To(MatchError(ContainSubstring("etcd")))
	})
})

// denyingServer serves HTTPS with a certificate for name, denies every review, and lives as long as the spec.
func denyingServer(name string) (server *httptest.Server, authority []byte) {
	certificate, authority := certificateFor(name)
	server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review admissionv1.AdmissionReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		review.Response = &admissionv1.AdmissionResponse{
			UID: review.Request.UID, Result: &metav1.Status{Message: "no Ingress today"}}
		_ = json.NewEncoder(w).Encode(review) // the API server reports an answer cut short
	}))
	server.TLS = certificate
	server.Config.ErrorLog = log.New(GinkgoWriter, "", 0)
	server.StartTLS()
	DeferCleanup(server.Close)
	return server, authority
}

// installWebhook creates a namespace with the Service "gate", and asks the Service about every Ingress there.
func installWebhook(ctx context.Context, namespace string, authority []byte) {
	authorityJSON, err := json.Marshal(authority)
	Expect(err).NotTo(HaveOccurred())
	manifest := fmt.Sprintf(`
apiVersion: v1
kind: Namespace
metadata: {name: %[1]s}
---
apiVersion: v1
kind: Service
metadata: {name: gate, namespace: %[1]s}
spec: {ports: [{port: 443, targetPort: 9443}]}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: %[1]s}
webhooks:
- name: %[1]s.example.com
  admissionReviewVersions: [v1]
  sideEffects: None
  failurePolicy: Fail
  namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: %[1]s}}
  rules: [{apiGroups: [networking.k8s.io], apiVersions: [v1], resources: [ingresses], operations: [CREATE]}]
  clientConfig: {caBundle: %[2]s, service: {name: gate, namespace: %[1]s, path: /validate}}
`, namespace, authorityJSON)
	_, _, err = running.KubectlInput(ctx, strings.NewReader(manifest), "apply", "-f", "-")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func(ctx context.Context) {
		_, _, err := running.Kubectl(ctx, "delete", "validatingwebhookconfiguration", namespace)
		Expect(err).NotTo(HaveOccurred())
	})
}

// applyIngress tries until a webhook answers or fails: the API server takes a moment to see a new configuration, and
// applies what comes before.
func applyIngress(ctx context.Context, namespace string) error {
	var err error
	Eventually(func() error {
		_, _, err = running.KubectlInput(ctx, strings.NewReader(`
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {generateName: shop-}
spec: {defaultBackend: {service: {name: shop, port: {number: 80}}}}
`), "create", "--namespace", namespace, "-f", "-")
		return err
	}).WithTimeout(20 * time.Second).WithPolling(100 * time.Millisecond).Should(HaveOccurred())
	return err
}
