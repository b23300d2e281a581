package webhook

import (
	"context"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	clientfake "sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

// patching is the policy of a rule that sets a Service's type.
func patching(name, value string) *v1alpha1.GatePolicy {
	return &v1alpha1.GatePolicy{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.GatePolicySpec{Rego: `# METADATA
# title: T
# description: D
# custom:
#   severity: low
#   kinds: [Service]
package test

patch contains {"op": "add", "path": "/spec/type", "value": "` + value + `"}
`}}
}

// What a watch has not told yet is no reason to refuse anything.
func TestVettingLooksAgainBeforeItRefuses(t *testing.T) {
	ctx := context.Background()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	reader := func(objects ...client.Object) client.Reader {
		return clientfake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build()
	}
	library, err := engine.Load()
	if err != nil {
		t.Fatal(err)
	}
	one, other := patching("one", "ClusterIP"), patching("other", "NodePort")
	exception := &v1alpha1.GateException{ObjectMeta: metav1.ObjectMeta{Name: "own"}, Spec: v1alpha1.GateExceptionSpec{Policies: []string{"one"},
		Match: v1alpha1.ExceptionMatch{Names: []string{"web"}}, Reason: "why", Expires: metav1.NewTime(time.Now().Add(time.Hour))}}
	for name, c := range map[string]struct {
		cached, live                client.Reader
		policyFails, exceptionFails bool
	}{
		"created a moment ago": {reader(), reader(one), false, false},
		"deleted a moment ago": {reader(one), reader(), false, false},
		"there":                {reader(one), reader(one), true, false},
		"not there":            {reader(), reader(), false, true},
	} {
		v := NewVetting(c.cached, c.live, func() policies.Options { return policies.Options{Library: library} })
		if _, err := (policyVetting{v}).ValidateCreate(ctx, other); (err != nil) != c.policyFails {
			t.Errorf("%s: policy: %v", name, err)
		}
		if _, err := (exceptionVetting{v}).ValidateCreate(ctx, exception); (err != nil) != c.exceptionFails {
			t.Errorf("%s: exception: %v", name, err)
		}
	}
}
