package webhook

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	strictjson "sigs.k8s.io/json"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/profile"
	"github.com/sluice-gate/sluice/policies/state"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

var ingressKind = schema.GroupKind{Group: "networking.k8s.io", Kind: "Ingress"}

// shopReview is what kube-apiserver sends for an Ingress without TLS, about 1.5 KB.
const shopReview = `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"705ab4f5-6393-11e8-b7cc-42010a800002",` +
	`"kind":{"group":"networking.k8s.io","version":"v1","kind":"Ingress"},` +
	`"resource":{"group":"networking.k8s.io","version":"v1","resource":"ingresses"},` +
	`"requestKind":{"group":"networking.k8s.io","version":"v1","kind":"Ingress"},` +
	`"requestResource":{"group":"networking.k8s.io","version":"v1","resource":"ingresses"},` +
	`"name":"web","namespace":"shop","operation":"CREATE",` +
	`"userInfo":{"username":"kubernetes-admin","groups":["kubeadm:cluster-admins","system:authenticated"],` +
	`"extra":{"authentication.kubernetes.io/credential-id":["X509SHA256=0f0af1"]}},` +
	`"object":{"kind":"Ingress","apiVersion":"networking.k8s.io/v1","metadata":{"name":"web","namespace":"shop",` +
	`"creationTimestamp":null,"labels":{"app.kubernetes.io/name":"web","app.kubernetes.io/part-of":"shop"},` +
	`"annotations":{"nginx.ingress.kubernetes.io/proxy-body-size":"8m"},` +
	`"managedFields":[{"manager":"kubectl-client-side-apply","operation":"Update","apiVersion":"networking.k8s.io/v1",` +
	`"time":"2026-08-01T10:00:00Z","fieldsType":"FieldsV1","fieldsV1":{"f:metadata":{"f:annotations":{}},"f:spec":{"f:rules":{}}}}]},` +
	`"spec":{"ingressClassName":"nginx","rules":[{"host":"shop.example.com","http":{"paths":[{"path":"/","pathType":"Prefix",` +
	`"backend":{"service":{"name":"web","port":{"number":80}}}}]}}]},"status":{"loadBalancer":{}}},` +
	`"oldObject":null,"dryRun":false,"options":{"kind":"CreateOptions","apiVersion":"meta.k8s.io/v1"}}}`

// shopFixed is the same with TLS.
var shopFixed = strings.Replace(shopReview, `"spec":{"ingressClassName":"nginx",`,
	`"spec":{"ingressClassName":"nginx","tls":[{"hosts":["shop.example.com"],"secretName":"shop"}],`, 1)

const shopUID = "705ab4f5-6393-11e8-b7cc-42010a800002"

// fake is a Reviewer that says what it's told.
type fake func(context.Context, policies.Request) policies.Decision

func (f fake) Review(ctx context.Context, r policies.Request) policies.Decision { return f(ctx, r) }
func (f fake) Mutate(ctx context.Context, r policies.Request) policies.Decision { return f(ctx, r) }
func (f fake) Guard(ctx context.Context, r policies.Request) policies.Decision  { return f(ctx, r) }
func (f fake) Hold(ctx context.Context, r policies.Request) policies.Decision   { return f(ctx, r) }

func deciding(d policies.Decision) fake {
	return func(context.Context, policies.Request) policies.Decision { return d }
}

// handlersOf are handlers around a reviewer that knows Ingress; adjust changes the options.
func handlersOf(t testing.TB, reviewer Reviewer, adjust func(*Options)) (*Handlers, *prometheus.Registry) {
	t.Helper()
	registry := prometheus.NewRegistry()
	o := Options{Current: &Current{}, Registerer: registry, Log: logr.Discard()}
	if reviewer != nil {
		o.Current.Set(reviewer, []schema.GroupKind{ingressKind})
	}
	if adjust != nil {
		adjust(&o)
	}
	handlers, err := NewHandlers(o)
	if err != nil {
		t.Fatal(err)
	}
	return handlers, registry
}

// newGate is a real gate with policies that are each named as their rule.
func newGate(t testing.TB, rules ...string) *policies.Gate {
	t.Helper()
	var specs []v1alpha1.GatePolicy
	for _, rule := range rules {
		specs = append(specs, v1alpha1.GatePolicy{ObjectMeta: metav1.ObjectMeta{Name: rule}, Spec: v1alpha1.GatePolicySpec{Rule: rule}})
	}
	return gateOf(t, specs...)
}

func gateOf(t testing.TB, specs ...v1alpha1.GatePolicy) *policies.Gate {
	t.Helper()
	library, err := profile.ShippedRules()
	if err != nil {
		t.Fatal(err)
	}
	gate, err := policies.NewGate(policies.Options{Library: library, Policies: specs, State: state.NewFiles()})
	if err != nil {
		t.Fatal(err)
	}
	return gate
}

func post(handler http.Handler, body string) *httptest.ResponseRecorder {
	return postBy(1, handler, body)
}

// postBy is post by a major version of HTTP.
func postBy(version int, handler http.Handler, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/validate?timeout=10s", strings.NewReader(body))
	r.ProtoMajor = version
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

// answered decodes an answer as strictly as the types allow, and holds it to be one to shopReview.
func answered(t testing.TB, w *httptest.ResponseRecorder) *admissionv1.AdmissionResponse {
	t.Helper()
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("got %d %v: %s", w.Code, w.Header(), w.Body)
	}
	review := decodeStrictly(t, w.Body.Bytes())
	if review.APIVersion != "admission.k8s.io/v1" || review.Kind != "AdmissionReview" || review.Request != nil || review.Response == nil {
		t.Fatalf("not an AdmissionReview with a response: %s", w.Body)
	}
	if review.Response.UID != shopUID {
		t.Fatalf("the uid is %q", review.Response.UID)
	}
	return review.Response
}

func decodeStrictly(t testing.TB, data []byte) admissionv1.AdmissionReview {
	t.Helper()
	var review admissionv1.AdmissionReview
	strict, err := strictjson.UnmarshalStrict(data, &review)
	if err != nil || len(strict) > 0 {
		t.Fatalf("%v %v: %s", err, strict, data)
	}
	return review
}
