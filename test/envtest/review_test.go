package envtest_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// answer is what kubectl said.
type answer struct {
	out, complaint string
	err            error
}

func kubectl(ctx context.Context, stdin string, args ...string) answer {
	out, complaint, err := cluster.KubectlInput(ctx, strings.NewReader(stdin), args...)
	return answer{out, complaint, err}
}

func apply(ctx context.Context, manifest string, args ...string) answer {
	return kubectl(ctx, manifest, append([]string{"apply", "-f", "-"}, args...)...)
}

func namespace(ctx context.Context, name string) {
	GinkgoHelper()
	Expect(kubectl(ctx, "", "create", "namespace", name).err).NotTo(HaveOccurred())
}

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

const securedIngress = plainIngress + "  tls: [{hosts: [NS.example.com], secretName: shop-tls}]\n"

func in(ns, manifest string) string { return strings.ReplaceAll(manifest, "NS", ns) }

var _ = Describe("a review", func() {
	It("refuses a plaintext Ingress with what is wrong, where, and the fix", func(ctx SpecContext) {
		namespace(ctx, "plain")
		got := apply(ctx, in("plain", plainIngress))
		Expect(got.err).To(HaveOccurred())
		Expect(got.complaint).To(Equal(`Error from server (Forbidden): error when creating "STDIN": admission webhook "validate.sluice.dev" denied the request: ` + `
ingress-tls-required: host "plain.example.com" is served without a certificate
    at  spec.rules[0].host
    fix add to spec.tls: {hosts: [plain.example.com], secretName: plain-example-com-tls}
`))
		Expect(kubectl(ctx, "", "-n", "plain", "get", "ingress").complaint).To(ContainSubstring("No resources found"))
	})

	It("gives programs the same findings as causes", func(ctx SpecContext) {
		namespace(ctx, "causes")
		c, err := client.New(cluster.Config, client.Options{Scheme: scheme.Scheme})
		Expect(err).NotTo(HaveOccurred())
		err = c.Create(ctx, &networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{Name: "shop", Namespace: "causes"}, Spec: networkingv1.IngressSpec{
			Rules: []networkingv1.IngressRule{{Host: "shop.example.com"}}}})
		Expect(apierrors.IsForbidden(err)).To(BeTrue(), "%v", err)
		details := err.(apierrors.APIStatus).Status().Details
		Expect(details).NotTo(BeNil())
		Expect(details.Causes).To(ConsistOf(metav1.StatusCause{Type: "ingress-tls-required", Field: "spec.rules[0].host",
			Message: `host "shop.example.com" is served without a certificate`}))
	})

	It("admits a good Ingress without a word", func(ctx SpecContext) {
		namespace(ctx, "good")
		got := apply(ctx, in("good", securedIngress))
		Expect(got.err).NotTo(HaveOccurred())
		Expect(got.complaint).To(BeEmpty())
	})

	It("warns in one line where baseline warns", func(ctx SpecContext) {
		namespace(ctx, "warned")
		got := apply(ctx, strings.ReplaceAll(in("warned", securedIngress), "warned.example.com", `"*.warned.example.com"`))
		Expect(got.err).NotTo(HaveOccurred())
		Expect(strings.Split(strings.TrimSpace(got.complaint), "\n")).To(HaveExactElements(HavePrefix("Warning: ingress-wildcard-host: ")))
	})

	It("repairs a NetworkPolicy whose egress rules nobody would apply", func(ctx SpecContext) {
		namespace(ctx, "patched")
		policy := "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: web, namespace: patched}\nspec: {podSelector: {}, policyTypes: [Ingress], egress: [{to: [{podSelector: {}}]}]}\n"
		got := apply(ctx, policy)
		Expect(got.err).NotTo(HaveOccurred())
		Expect(kubectl(ctx, "", "-n", "patched", "get", "networkpolicy", "web", "-o", "jsonpath={.spec.policyTypes}").out).To(Equal(`["Ingress","Egress"]`))
		Expect(apply(ctx, policy).out).To(ContainSubstring("configured"), "what the file says is repaired each time")
		Expect(kubectl(ctx, "", "-n", "patched", "get", "networkpolicy", "web", "-o", "jsonpath={.spec.policyTypes}").out).To(Equal(`["Ingress","Egress"]`))
	})

	It("judges an UPDATE by what it leaves, and only warns where nothing judged changed", func(ctx SpecContext) {
		namespace(ctx, "updated")
		Expect(apply(ctx, in("updated", securedIngress)).err).NotTo(HaveOccurred())
		got := apply(ctx, in("updated", strings.ReplaceAll(securedIngress, "hosts: [NS.example.com]", "hosts: [other.example.com]")))
		Expect(got.err).To(HaveOccurred())
		Expect(got.complaint).To(ContainSubstring("ingress-tls-required"))
		Expect(kubectl(ctx, "", "-n", "updated", "label", "ingress", "shop", "team=web").err).NotTo(HaveOccurred())
	})

	It("judges a DELETE by the object that goes", func(ctx SpecContext) {
		namespace(ctx, "deleted")
		policy := "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: NAME, namespace: deleted, labels: {protected: \"VALUE\"}}\nspec: {podSelector: {}}\n"
		Expect(apply(ctx, strings.NewReplacer("NAME", "kept", "VALUE", "yes").Replace(policy)).err).NotTo(HaveOccurred())
		Expect(apply(ctx, strings.NewReplacer("NAME", "free", "VALUE", "no").Replace(policy)).err).NotTo(HaveOccurred())
		Expect(kubectl(ctx, "", "-n", "deleted", "delete", "networkpolicy", "kept").complaint).To(ContainSubstring("keep-protected: the policy is protected"))
		Expect(kubectl(ctx, "", "-n", "deleted", "delete", "networkpolicy", "free").err).NotTo(HaveOccurred())
	})

	It("judges a dry run and changes nothing", func(ctx SpecContext) {
		namespace(ctx, "dry")
		Expect(apply(ctx, in("dry", plainIngress), "--dry-run=server").complaint).To(ContainSubstring("ingress-tls-required"))
		Expect(apply(ctx, in("dry", securedIngress), "--dry-run=server").err).NotTo(HaveOccurred())
		Expect(kubectl(ctx, "", "-n", "dry", "get", "ingress").complaint).To(ContainSubstring("No resources found"))
	})

	It("asks the state: policies of one namespace add up", func(ctx SpecContext) {
		namespace(ctx, "union")
		policy := func(name, selector, cidr string) string {
			out, err := json.Marshal(map[string]any{"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
				"metadata": map[string]any{"name": name, "namespace": "union"},
				"spec": map[string]any{"podSelector": map[string]any{"matchLabels": map[string]any{"app": selector}}, "policyTypes": []string{"Egress"},
					"egress": []any{map[string]any{"to": []any{map[string]any{"ipBlock": map[string]any{"cidr": cidr}}}}}}})
			Expect(err).NotTo(HaveOccurred())
			return string(out)
		}
		Expect(apply(ctx, policy("first", "web", "52.0.0.0/8")).err).NotTo(HaveOccurred())
		Eventually(func() string { return apply(ctx, policy("second", "web", "20.0.0.0/8"), "--dry-run=server").complaint }).Should(And(
			ContainSubstring("networkpolicy-wildcard-egress"), ContainSubstring("first")), "once the informer has seen the first policy")
		Expect(apply(ctx, policy("third", "db", "20.0.0.0/8")).err).NotTo(HaveOccurred())
	})

	It("refuses what is no review, and goes on", func(ctx SpecContext) {
		httpClient := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec // the certificate names the Service
		defer httpClient.CloseIdleConnections()
		for body, code := range map[string]int{
			`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"1"`:               http.StatusBadRequest,
			`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}`:                                   http.StatusBadRequest,
			`{"apiVersion":"admission.k8s.io/v1beta1","kind":"AdmissionReview","request":{"uid":"1"}}`:        http.StatusBadRequest,
			`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","kind":"x","request":{}}`:           http.StatusBadRequest,
			`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview` + strings.Repeat(" ", 8<<20) + `"}`: http.StatusRequestEntityTooLarge,
		} {
			request, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+manager.Address+"/validate", strings.NewReader(body))
			Expect(err).NotTo(HaveOccurred())
			request.Header.Set("Content-Type", "application/json")
			response, err := httpClient.Do(request)
			Expect(err).NotTo(HaveOccurred())
			reason, _ := io.ReadAll(response.Body)
			Expect(response.Body.Close()).To(Succeed())
			Expect(response.StatusCode).To(Equal(code), "%.80s: %s", body, reason)
			Expect(reason).NotTo(BeEmpty())
		}
		namespace(ctx, "still-there")
		Expect(apply(ctx, in("still-there", plainIngress)).complaint).To(ContainSubstring("ingress-tls-required"))
	})

	It("leaves exempt namespaces alone", func(ctx SpecContext) {
		Expect(apply(ctx, in("kube-public", plainIngress)).err).NotTo(HaveOccurred())
	})
})

var _ = Describe("default-deny", func() {
	It("comes to new namespaces and leaves old ones and exempt ones as they are", func(ctx SpecContext) {
		namespace(ctx, "fresh")
		Eventually(func() string {
			return kubectl(ctx, "", "-n", "fresh", "get", "networkpolicy", "-o", "name").out
		}).Should(Equal("networkpolicy.networking.k8s.io/sluice-allow-dns\nnetworkpolicy.networking.k8s.io/sluice-default-deny\n"))
		for _, old := range []string{"older-than-sluice", "default", "kube-public"} {
			Expect(kubectl(ctx, "", "-n", old, "get", "networkpolicy", "-o", "name").out).To(BeEmpty())
		}
	})
})
