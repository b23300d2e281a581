package webhook

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

// asKubectlPrints puts around a denial what kube-apiserver (webhook/errors.ToStatusErr) and kubectl
// (util.AddSourceToErr, StandardErrorMessage) put around it.
func asKubectlPrints(response *admissionv1.AdmissionResponse) string {
	message := fmt.Sprintf("admission webhook %q denied the request: %s", "validate.sluice.dev", response.Result.Message)
	return fmt.Sprintf("Error from server (%s): error when creating %q: %s", response.Result.Reason, "shop.yaml", message)
}

func TestDenialAsAPersonSeesIt(t *testing.T) {
	handlers, _ := handlersOf(t, newGate(t, "ingress-tls-required"), nil)
	response := answered(t, post(handlers.Validate, shopReview))
	want := `Error from server (Forbidden): error when creating "shop.yaml": admission webhook "validate.sluice.dev" denied the request: ` + `
ingress-tls-required: host "shop.example.com" is served without a certificate
    at  spec.rules[0].host
    fix add to spec.tls: {hosts: [shop.example.com], secretName: shop-example-com-tls}`
	if diff := cmp.Diff(want, asKubectlPrints(response)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	status := &metav1.Status{Status: "Failure", Code: 403, Reason: "Forbidden", Message: response.Result.Message,
		Details: &metav1.StatusDetails{Name: "web", Group: "networking.k8s.io", Kind: "Ingress", Causes: []metav1.StatusCause{{
			Type: "ingress-tls-required", Message: `host "shop.example.com" is served without a certificate`, Field: "spec.rules[0].host",
		}}}}
	if diff := cmp.Diff(status, response.Result); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
}

// A denial shows all denials in the gate's order, and warnings as warnings.
func TestDenialShowsEveryFinding(t *testing.T) {
	decision := policies.Decision{Judged: true, Findings: []policies.Finding{
		{Policy: "a", Effect: policies.EffectDeny, Message: "nine", Field: "spec.rules[9]"},
		{Policy: "a", Effect: policies.EffectDeny, Message: "ten", Field: "spec.rules[10]"},
		{Policy: "b", Effect: policies.EffectWarn, Message: "careful", Fix: "do"},
		{Policy: "c", Effect: policies.EffectAudit, Message: "noted"},
		{Policy: "d", Effect: policies.EffectDeny, Failed: true, Message: "could not judge: why"},
		{Policy: "e", Effect: "unheard of", Message: "strange"},
	}}
	handlers, _ := handlersOf(t, deciding(decision), nil)
	response := answered(t, post(handlers.Mutate, shopReview))
	want := &admissionv1.AdmissionResponse{
		UID: shopUID,
		Result: &metav1.Status{Status: "Failure", Code: 403, Reason: "Forbidden",
			Message: "\na: nine\n    at  spec.rules[9]\na: ten\n    at  spec.rules[10]\nd: could not judge: why\ne: strange",
			Details: &metav1.StatusDetails{Name: "web", Group: "networking.k8s.io", Kind: "Ingress", Causes: []metav1.StatusCause{
				{Type: "a", Message: "nine", Field: "spec.rules[9]"}, {Type: "a", Message: "ten", Field: "spec.rules[10]"},
				{Type: "d", Message: "could not judge: why"}, {Type: "e", Message: "strange"}}}},
		Warnings:         []string{"b: careful (do)"},
		AuditAnnotations: map[string]string{"c": "noted"},
	}
	if diff := cmp.Diff(want, response); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestFailureDeniesWithItsReason(t *testing.T) {
	finding := policies.Finding{Policy: "a", Effect: policies.EffectDeny, Message: "bad"}
	handlers, _ := handlersOf(t, deciding(policies.Decision{Judged: true, Failure: "no time", Findings: []policies.Finding{finding}}), nil)
	result := answered(t, post(handlers.Validate, shopReview)).Result
	if result.Code != 500 || result.Reason != "InternalError" || result.Message != "\ncould not judge: no time\na: bad" || len(result.Details.Causes) != 1 {
		t.Errorf("got %v", result)
	}
}

func TestDenialIsBounded(t *testing.T) {
	var findings []policies.Finding
	for i := range 300 {
		findings = append(findings, policies.Finding{Policy: fmt.Sprintf("p%03d", i), Effect: policies.EffectDeny, Message: strings.Repeat("ä\x00", 100)})
	}
	s := denial(policies.Request{}, policies.Decision{Judged: true, Findings: findings})
	shown := strings.Count(s.message, "\np")
	if last := fmt.Sprintf("\nand %d more findings", 300-shown); shown < 10 || !strings.HasSuffix(s.message, last) || len(s.causes) != shown {
		t.Errorf("%d shown, %d causes, the end is %q", shown, len(s.causes), s.message[len(s.message)-40:])
	}
	if len(s.message) > maxMessage+40 {
		t.Errorf("%d bytes", len(s.message))
	}
	huge := []policies.Finding{{Policy: "p", Effect: policies.EffectDeny, Message: strings.Repeat("ä", maxMessage)}, findings[0]}
	s = denial(policies.Request{}, policies.Decision{Judged: true, Findings: huge})
	if !strings.HasSuffix(s.message, "ä…\nand 1 more findings") || len(s.causes) != 1 || len(s.causes[0].message) > maxMessage {
		t.Errorf("%d causes, the end is %q", len(s.causes), s.message[len(s.message)-40:])
	}
}

func TestPatchesAreJSONPatch(t *testing.T) {
	value, err := engine.FromGo(map[string]any{"a": []int{1}})
	if err != nil {
		t.Fatal(err)
	}
	decision := policies.Decision{Judged: true, Patches: []policies.Patch{
		{Policy: "p", Operation6902: engine.Operation6902{Op: "add", Path: "/metadata/annotations/a~1b", Value: value}},
		{Policy: "q", Operation6902: engine.Operation6902{Op: "remove", Path: "/spec"}},
	}}
	handlers, _ := handlersOf(t, deciding(decision), nil)
	response := answered(t, post(handlers.Mutate, shopReview))
	want := `[{"op":"add","path":"/metadata/annotations/a~1b","value":{"a":[1]}},{"op":"remove","path":"/spec"}]`
	if !response.Allowed || response.PatchType == nil || *response.PatchType != "JSONPatch" || string(response.Patch) != want {
		t.Errorf("got %v %s", response.PatchType, response.Patch)
	}
	decision.Findings = []policies.Finding{{Policy: "p", Effect: policies.EffectDeny, Message: "no"}}
	handlers, _ = handlersOf(t, deciding(decision), nil)
	if response := answered(t, post(handlers.Mutate, shopReview)); response.Allowed || response.Patch != nil || response.PatchType != nil {
		t.Errorf("a denial patches: %v", response)
	}
}

const labelling = `# METADATA
# title: Every Ingress has a label
# description: A test.
# custom:
#   severity: low
#   kinds: [networking.k8s.io/Ingress]
#   judges: [spec]
package sluice.test.labelled

patch contains {"op": "add", "path": "/metadata/labels/gate", "value": "yes"} if {
	not input.request.object.metadata.labels.gate
}`

// A real gate's patch arrives as the API server reads it.
func TestGatePatches(t *testing.T) {
	gate := gateOf(t, v1alpha1.GatePolicy{ObjectMeta: metav1.ObjectMeta{Name: "label"}, Spec: v1alpha1.GatePolicySpec{Rego: labelling}})
	handlers, _ := handlersOf(t, gate, nil)
	response := answered(t, post(handlers.Mutate, shopReview))
	if got := string(response.Patch); !response.Allowed || got != `[{"op":"add","path":"/metadata/labels/gate","value":"yes"}]` {
		t.Errorf("got %v %s", response.Result, got)
	}
}
