package controllers

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/profile"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

// recorded is a Compiler and what it did.
type recorded struct {
	*Compiler
	library *engine.Library
	events  []string // watch and use, in order
}

func newRecorded(t *testing.T) *recorded {
	t.Helper()
	library, err := profile.ShippedRules()
	if err != nil {
		t.Fatal(err)
	}
	metrics, err := NewMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	r := &recorded{library: library}
	r.Compiler = &Compiler{Options: policies.Options{Library: library}, Snapshots: &Snapshots{}, Metrics: metrics,
		Watch: func(kinds ...schema.GroupKind) {
			names := []string{"watch"}
			for _, kind := range kinds {
				names = append(names, kind.Kind)
			}
			r.events = append(r.events, strings.Join(names, " "))
		},
		Use: func(*policies.Gate) { r.events = append(r.events, "use") },
	}
	return r
}

// see compiles what the cluster holds.
func (r *recorded) see(t *testing.T, stored ...v1alpha1.GatePolicy) *Snapshot {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	builder := fake.NewClientBuilder().WithScheme(scheme)
	for i := range stored {
		builder = builder.WithObjects(&stored[i])
	}
	r.Reader = builder.Build()
	if _, err := r.Reconcile(context.Background(), ctrl.Request{}); err != nil {
		t.Fatal(err)
	}
	return r.Snapshots.Load()
}

func storedAs(uid types.UID, generation int64, rule string) v1alpha1.GatePolicy {
	return v1alpha1.GatePolicy{ObjectMeta: metav1.ObjectMeta{Name: "p", UID: uid, Generation: generation}, Spec: v1alpha1.GatePolicySpec{Rule: rule}}
}

const good, bad = "ingress-host-unique", "no-such-rule"

func TestTheLastGoodVersionStaysInUse(t *testing.T) {
	r := newRecorded(t)
	if p := r.see(t, storedAs("a", 1, good)).Policies["p"]; p.Err != nil || p.LastGood.Generation != 1 || p.Interest.Rule != good ||
		!slices.Equal(p.LastGood.Kinds, []string{"networking.k8s.io/Ingress"}) || !slices.Equal(p.LastGood.Operations, []string{"CREATE", "UPDATE"}) {
		t.Fatalf("good: %+v", p)
	}
	if p := r.see(t, storedAs("a", 2, bad)).Policies["p"]; p.Err == nil || p.LastGood == nil || p.LastGood.Generation != 1 || p.Interest.Rule != good {
		t.Errorf("then bad: %+v", p)
	}
	if p := r.see(t, storedAs("a", 3, bad)).Policies["p"]; p.LastGood == nil || p.LastGood.Generation != 1 {
		t.Errorf("worse again: %+v", p)
	}
	if p := r.see(t, storedAs("b", 1, bad)).Policies["p"]; p.Err == nil || p.LastGood != nil {
		t.Errorf("deleted and made anew: %+v", p)
	}
	if p := r.see(t, storedAs("b", 2, good)).Policies["p"]; p.Err != nil || p.LastGood.Generation != 2 {
		t.Errorf("good again: %+v", p)
	}
}

func TestTheLastGoodVersionOutlivesARestart(t *testing.T) {
	stored := storedAs("a", 5, bad)
	stored.Status.LastGood = &v1alpha1.LastGood{Generation: 4, Spec: v1alpha1.GatePolicySpec{Rule: good}}
	if p := newRecorded(t).see(t, stored).Policies["p"]; p.LastGood == nil || p.LastGood.Generation != 4 || p.Interest.Rule != good {
		t.Errorf("%+v", p)
	}
	stored.Status.LastGood.Spec.Rule = "rule-of-another-version"
	snapshot := newRecorded(t).see(t, stored, stored2("beside", good))
	if p := snapshot.Policies["p"]; p.Err == nil || p.LastGood != nil {
		t.Errorf("a last good version that is good no more: %+v", p)
	}
	if got := len(snapshot.Gate.Kinds()); got != 1 {
		t.Errorf("it denies %d kinds beside those of the other policy", got-1)
	}
	stored.Status.LastGood.Kinds, stored.Status.LastGood.Operations = []string{"Service"}, []string{"DELETE"}
	snapshot = newRecorded(t).see(t, stored, stored2("beside", good))
	if i := snapshot.Policies["p"].Interest; len(i.Kinds) != 1 || i.Kinds[0].Kind != "Service" || len(i.Operations) != 1 || !i.Judges {
		t.Errorf("what it judged: %+v", i)
	}
	if p := snapshot.Policies["beside"]; p.Err != nil || p.LastGood == nil {
		t.Errorf("beside it: %+v", p)
	}
}

func stored2(name, rule string) v1alpha1.GatePolicy {
	p := storedAs(types.UID(name), 1, rule)
	p.Name = name
	return p
}

func TestTheStateIsWatchedBeforeARuleAsks(t *testing.T) {
	r := newRecorded(t)
	r.see(t)
	r.see(t, storedAs("a", 1, good))
	r.see(t)
	all := "watch Ingress IngressClass"
	if want := []string{"watch", "use", "watch", all, "use", all, all, "use", "watch"}; !slices.Equal(r.events, want) {
		t.Errorf("%q, want %q", r.events, want)
	}
}

func TestWhoDependsOnSnapshotsIsToldOnceOfMany(t *testing.T) {
	s := &Snapshots{}
	if s.Load() != nil || s.Gate() != nil {
		t.Error("there is a snapshot before the first")
	}
	_ = s.changes(enqueueEverything())
	for range 3 {
		s.store(&Snapshot{})
	}
	if told := len(s.listeners[0]); told != 1 {
		t.Errorf("told %d times", told)
	}
}
