package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// hook is what the API server asks about the writes in some namespaces, which have its name as a label.
type hook string

const (
	noHook     hook = "none"
	floorHook  hook = "floor"
	sluiceHook hook = "sluice"
	celHook    hook = "cel"
)

func hooks() []hook { return []hook{noHook, floorHook, sluiceHook, celHook} }

func (h hook) title() string {
	return map[hook]string{noHook: "none", floorHook: "allow all", sluiceHook: "Sluice, restricted", celHook: "CEL, as ingress-tls-required"}[h]
}

// hookLabel says by which hook the writes of a namespace are decided.
const hookLabel = "bench/hook"

func (h hook) selector() *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{hookLabel: string(h)}}
}

// probe is an Ingress without a certificate that every hook refuses, in words that contain refusal: by this it is seen which one
// is in use.
const (
	probe   = "probe"
	refusal = "without a certificate"
)

// installHooks has each hook decide in its own namespaces, and returns once the API server goes by that.
func (s *stage) installHooks(ctx context.Context) error {
	policy, binding := tlsRequired()
	for _, object := range []client.Object{s.floorConfiguration(), policy, binding} {
		if err := s.api.Create(ctx, object); err != nil {
			return err
		}
	}
	if err := s.confineSluice(ctx); err != nil {
		return err
	}
	for _, h := range hooks() {
		err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
			err := s.api.Create(ctx, ingress(h.team(0), probe, false), client.DryRunAll)
			return (err == nil) == (h == noHook) && (err == nil || strings.Contains(err.Error(), refusal)), nil
		})
		if err != nil {
			return fmt.Errorf("wait for hook %s: %w", h, err)
		}
	}
	return nil
}

// confineSluice has Sluice asked about its own namespaces only.
func (s *stage) confineSluice(ctx context.Context) error {
	confine := func(selector *metav1.LabelSelector) {
		if selector != nil {
			selector.MatchExpressions = append(selector.MatchExpressions,
				metav1.LabelSelectorRequirement{Key: hookLabel, Operator: metav1.LabelSelectorOpIn, Values: []string{string(sluiceHook)}})
		}
	}
	key := client.ObjectKey{Name: "sluice"}
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error { // Sluice writes them, too
		var v admissionv1.ValidatingWebhookConfiguration
		if err := s.api.Get(ctx, key, &v); err != nil {
			return err
		}
		for i := range v.Webhooks {
			confine(v.Webhooks[i].NamespaceSelector)
		}
		var m admissionv1.MutatingWebhookConfiguration
		if err := s.api.Get(ctx, key, &m); err != nil {
			return err
		}
		for i := range m.Webhooks {
			confine(m.Webhooks[i].NamespaceSelector)
		}
		return errors.Join(s.api.Update(ctx, &v), s.api.Update(ctx, &m))
	})
}

// floorConfiguration sends the floor what Sluice is sent.
func (s *stage) floorConfiguration() *admissionv1.ValidatingWebhookConfiguration {
	fail, none, path := admissionv1.Fail, admissionv1.SideEffectClassNone, "/validate"
	return &admissionv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: floorService}, Webhooks: []admissionv1.ValidatingWebhook{{
		Name: "floor.example.com", AdmissionReviewVersions: []string{"v1"}, FailurePolicy: &fail, SideEffects: &none,
		NamespaceSelector: floorHook.selector(),
		ClientConfig:      admissionv1.WebhookClientConfig{CABundle: s.floorCA, Service: &admissionv1.ServiceReference{Namespace: home, Name: floorService, Path: &path}},
		Rules: []admissionv1.RuleWithOperations{{
			Operations: []admissionv1.OperationType{admissionv1.Create, admissionv1.Update, admissionv1.Delete},
			Rule:       admissionv1.Rule{APIGroups: []string{networkingv1.GroupName}, APIVersions: []string{"v1"}, Resources: []string{"ingresses", "networkpolicies"}},
		}},
	}}}
}

// tlsRequired says in CEL what ingress-tls-required says of Ingresses without annotations: each host is in spec.tls, as it is or
// by a wildcard for one label.
func tlsRequired() (*admissionv1.ValidatingAdmissionPolicy, *admissionv1.ValidatingAdmissionPolicyBinding) {
	const covered = `!has(object.spec.rules) || object.spec.rules.all(r,
		has(r.host) && has(object.spec.tls) && object.spec.tls.exists(t, has(t.hosts) && t.hosts.exists(h,
			h == r.host || h.startsWith("*.") && r.host.contains(".") && r.host.substring(r.host.indexOf(".")) == h.substring(1))))`
	fail := admissionv1.Fail
	policy := &admissionv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: "tls-required"}, Spec: admissionv1.ValidatingAdmissionPolicySpec{
		FailurePolicy: &fail,
		MatchConstraints: &admissionv1.MatchResources{NamespaceSelector: celHook.selector(), ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
			Operations: []admissionv1.OperationType{admissionv1.Create, admissionv1.Update},
			Rule:       admissionv1.Rule{APIGroups: []string{networkingv1.GroupName}, APIVersions: []string{"v1"}, Resources: []string{"ingresses"}},
		}}}},
		Validations: []admissionv1.Validation{{Expression: covered, Message: "a host is served " + refusal}},
	}}
	binding := &admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: "tls-required"}, Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
		PolicyName: "tls-required", ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
	}}
	return policy, binding
}
