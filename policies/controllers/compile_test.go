package controllers

import (
	"context"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/profile"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

// replica is a Compiler over a cluster that a test writes.
func replica(t *testing.T, objects ...client.Object) (*Compiler, client.Client) {
	t.Helper()
	library, err := profile.ShippedRules()
	if err != nil {
		t.Fatal(err)
	}
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	cluster := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithStatusSubresource(&v1alpha1.GatePolicy{}).Build()
	metrics, err := NewMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return &Compiler{Reader: cluster, Options: policies.Options{Library: library}, Watch: func(...schema.GroupKind) {}, Use: func(*policies.Gate) {},
		Snapshots: &Snapshots{}, Metrics: metrics}, cluster
}

// result compiles and returns what became of the policy p.
func (c *Compiler) result(t *testing.T) PolicyResult {
	t.Helper()
	if _, err := c.Reconcile(context.Background(), ctrl.Request{}); err != nil {
		t.Fatal(err)
	}
	return c.Snapshots.Load().Policies["p"]
}

const shippedRule, noRule = "ingress-tls-required", "no-such-rule"

func version(uid types.UID, generation int64, rule string) *v1alpha1.GatePolicy {
	return &v1alpha1.GatePolicy{ObjectMeta: metav1.ObjectMeta{Name: "p", UID: uid, Generation: generation}, Spec: v1alpha1.GatePolicySpec{Rule: rule}}
}

func noting(p *v1alpha1.GatePolicy, generation int64, rule string) *v1alpha1.GatePolicy {
	p.Status.LastGood = &v1alpha1.LastGood{Generation: generation, Spec: v1alpha1.GatePolicySpec{Rule: rule}}
	return p
}

// Of edits in quick succession a replica may see only some: its own last good version may be older than the leader's.
func TestReplicasAgreeOnTheLastGoodVersion(t *testing.T) {
	c, cluster := replica(t, version("a", 1, shippedRule))
	if got := c.result(t); got.LastGood == nil || got.LastGood.Generation != 1 {
		t.Fatalf("%+v", got)
	}
	bad := noting(version("a", 3, noRule), 1, shippedRule)
	replace(t, cluster, bad)
	if got := c.result(t); got.LastGood == nil || got.LastGood.Generation != 1 || got.Err == nil {
		t.Fatalf("%+v", got)
	}
	noted := noting(version("a", 3, noRule), 2, "ingress-wildcard-host")
	if !c.concerns(event.UpdateEvent{ObjectOld: bad, ObjectNew: noted}) {
		t.Error("the leader notes a newer last good version, and nobody compiles it")
	}
	replace(t, cluster, noted)
	if got := c.result(t); got.LastGood == nil || got.LastGood.Generation != 2 || got.Interest.Rule != "ingress-wildcard-host" {
		t.Errorf("%+v", got)
	}
	if c.concerns(event.UpdateEvent{ObjectOld: bad, ObjectNew: noted}) {
		t.Error("it is in use already")
	}
}

func replace(t *testing.T, cluster client.Client, p *v1alpha1.GatePolicy) {
	t.Helper()
	if err := cluster.Delete(context.Background(), &v1alpha1.GatePolicy{ObjectMeta: metav1.ObjectMeta{Name: "p"}}); err != nil {
		t.Fatal(err)
	}
	if err := cluster.Create(context.Background(), p.DeepCopy()); err != nil {
		t.Fatal(err)
	}
	stored := &v1alpha1.GatePolicy{}
	if err := cluster.Get(context.Background(), client.ObjectKeyFromObject(p), stored); err != nil {
		t.Fatal(err)
	}
	stored.Status = p.Status
	if err := cluster.Status().Update(context.Background(), stored); err != nil {
		t.Fatal(err)
	}
}

func TestWhatConcernsTheCompiler(t *testing.T) {
	good, unchanged := version("a", 1, shippedRule), noting(version("a", 1, shippedRule), 1, shippedRule)
	gone := noting(version("a", 1, noRule), 0, "a-rule-that-is-gone")
	for name, test := range map[string]struct {
		stored, before, after *v1alpha1.GatePolicy
		want                  bool
	}{
		"an edit": {good, good, version("a", 2, shippedRule), true},
		"a policy made anew while the watch was interrupted": {good, good, version("b", 1, noRule), true},
		"status alone":                        {good, good, unchanged, false},
		"no last good version, and now one":   {version("a", 2, noRule), version("a", 2, noRule), noting(version("a", 2, noRule), 1, shippedRule), true},
		"a last good version that fails here": {gone, gone, gone, false},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := replica(t, test.stored.DeepCopy())
			c.result(t)
			if got := c.concerns(event.UpdateEvent{ObjectOld: test.before, ObjectNew: test.after}); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

// A bad policy whose last good version is gone too fails closed for what its own text says.
func TestAnUnrestorablePolicyMatchesWhatItSays(t *testing.T) {
	bad := noting(version("a", 2, ""), 1, "a-rule-that-is-gone")
	bad.Spec.Rego = "# METADATA\n# custom: {kinds: [Service]}\npackage bad\n\ndeny contains\n"
	c, _ := replica(t, bad)
	if got := c.result(t); got.LastGood != nil || len(got.Interest.Kinds) != 1 || got.Interest.Kinds[0] != service {
		t.Errorf("%+v", got)
	}
}
