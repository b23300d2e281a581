package controllers

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

// An alert has to see a policy that is stored and compiles, and judges nothing all the same: by one reason at a time, and not once
// it is gone.
func TestReadyIsMeasured(t *testing.T) {
	ctx, widget := t.Context(), schema.GroupKind{Group: "example.dev", Kind: "Widget"}
	scheme := runtime.NewScheme()
	if err := errors.Join(v1alpha1.AddToScheme(scheme), admissionv1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	policy := storedAs("a", 1, good)
	hooks := &admissionv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "sluice"},
		Webhooks: []admissionv1.ValidatingWebhook{{Name: "validate.sluice.dev"}}}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(&policy, hooks).WithStatusSubresource(&policy).Build()
	snapshots := &Snapshots{}
	snapshots.store(&Snapshot{Policies: map[string]PolicyResult{"p": {UID: "a", Generation: 1,
		Interest: policies.Interest{Policy: "p", Kinds: []schema.GroupKind{widget}, Operations: []engine.Operation{engine.Create}, Judges: true}}}})
	registry := prometheus.NewRegistry()
	metrics, err := NewMetrics(registry)
	if err != nil {
		t.Fatal(err)
	}
	kinds := NewKinds(nil, &apiServer{versions: []string{"v1"}})
	status := &PolicyStatus{Client: c, Mapper: kinds, Snapshots: snapshots, Interceptor: &Interceptor{}, Rights: NewRights(c, kinds),
		Configuration: "sluice", Events: events.NewFakeRecorder(10), Metrics: metrics}
	steps := []struct {
		name   string
		change func() error
		want   []string
	}{
		{"the API server sends nothing", func() error { return nil }, []string{"NotIntercepted 0"}},
		{"it does", func() error {
			hooks.Webhooks[0].Rules = []admissionv1.RuleWithOperations{{Operations: []admissionv1.OperationType{admissionv1.OperationAll},
				Rule: admissionv1.Rule{APIGroups: []string{"example.dev"}, APIVersions: []string{"*"}, Resources: []string{"*"}}}}
			return c.Update(ctx, hooks)
		}, []string{"Active 1"}},
		{"somebody deletes the configuration", func() error { return c.Delete(ctx, hooks) }, []string{"NotIntercepted 0"}},
		{"and the policy", func() error { return c.Delete(ctx, &policy) }, nil},
	}
	for _, step := range steps {
		if err := step.change(); err != nil {
			t.Fatal(err)
		}
		if _, err := status.Reconcile(ctx, ctrl.Request{NamespacedName: types.NamespacedName(client.ObjectKeyFromObject(&policy))}); err != nil {
			t.Fatal(err)
		}
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, family := range families {
			for _, metric := range family.GetMetric() {
				if family.GetName() == "sluice_policy_ready" {
					got = append(got, fmt.Sprint(metric.GetLabel()[1].GetValue(), " ", metric.GetGauge().GetValue()))
				}
			}
		}
		if !slices.Equal(got, step.want) {
			t.Errorf("%s: got %q, want %q", step.name, got, step.want)
		}
	}
}
