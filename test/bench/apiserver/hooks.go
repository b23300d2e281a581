package main

import (
	"context"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	noHook     = "none"
	floorHook  = "allow all"
	sluiceHook = "Sluice, restricted"
	celHook    = "CEL, as ingress-tls-required"
)

// probe is an Ingress without a certificate that every hook refuses, in words that contain refusal: by this it is seen which one
// is in use.
const (
	probe   = "probe"
	refusal = "without a certificate"
)

func hooks() []string { return []string{noHook, floorHook, sluiceHook, celHook} }

// use makes one hook the only one, and returns once the API server goes by that.
func (s *stage) use(ctx context.Context, hook string) error {
	if err := s.clear(ctx); err != nil {
		return err
	}
	switch hook {
	case floorHook:
		if err := s.api.Create(ctx, s.floorConfiguration()); err != nil {
			return err
		}
	case sluiceHook:
		if err := s.setSluice(ctx, s.validating.Webhooks, s.mutating.Webhooks); err != nil {
			return err
		}
	case celHook:
		policy, binding := tlsRequired()
		if err := s.api.Create(ctx, policy); err != nil {
			return err
		}
		if err := s.api.Create(ctx, binding); err != nil {
			return err
		}
	}
	return wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		err := s.api.Create(ctx, ingress(team(0), probe, false), client.DryRunAll)
		return (err == nil) == (hook == noHook) && (err == nil || strings.Contains(err.Error(), refusal)), nil
	})
}

// clear takes all hooks away.
func (s *stage) clear(ctx context.Context) error {
	policy, binding := tlsRequired()
	for _, object := range []client.Object{s.floorConfiguration(), binding, policy} {
		if err := client.IgnoreNotFound(s.api.Delete(ctx, object)); err != nil {
			return err
		}
	}
	return s.setSluice(ctx, nil, nil)
}

// setSluice sets the entries of both of Sluice's configurations.
func (s *stage) setSluice(ctx context.Context, validating []admissionv1.ValidatingWebhook, mutating []admissionv1.MutatingWebhook) error {
	key := client.ObjectKey{Name: "sluice"}
	var v admissionv1.ValidatingWebhookConfiguration
	if err := s.api.Get(ctx, key, &v); err != nil {
		return err
	}
	v.Webhooks = validating
	if err := s.api.Update(ctx, &v); err != nil {
		return err
	}
	var m admissionv1.MutatingWebhookConfiguration
	if err := s.api.Get(ctx, key, &m); err != nil {
		return err
	}
	m.Webhooks = mutating
	return s.api.Update(ctx, &m)
}

// floorConfiguration sends the floor what Sluice is sent.
func (s *stage) floorConfiguration() *admissionv1.ValidatingWebhookConfiguration {
	fail, none, path := admissionv1.Fail, admissionv1.SideEffectClassNone, "/validate"
	return &admissionv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: floorService}, Webhooks: []admissionv1.ValidatingWebhook{{
		Name: "floor.example.com", AdmissionReviewVersions: []string{"v1"}, FailurePolicy: &fail, SideEffects: &none,
		ClientConfig: admissionv1.WebhookClientConfig{CABundle: s.floorCA, Service: &admissionv1.ServiceReference{Namespace: home, Name: floorService, Path: &path}},
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
		MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
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

// operations are the writes, in the order in which they are made.
func operations() []string {
	return []string{"create Ingress", "update Ingress", "delete Ingress", "create NetworkPolicy", "update NetworkPolicy", "delete NetworkPolicy"}
}
