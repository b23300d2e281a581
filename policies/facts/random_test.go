package facts

import (
	"math/rand/v2"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// forSeeds runs check with n sources of randomness; a failure names the seed,
// so that it can be run alone.
func forSeeds(t *testing.T, n uint64, check func(t *testing.T, r *rand.Rand)) {
	t.Helper()
	for seed := range n {
		check(t, rand.New(rand.NewPCG(seed, 2026)))
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func pick[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

// randomSelector has up to three requirements over the keys a, b and c and the
// values x, y and z.
func randomSelector(r *rand.Rand, keys ...string) *metav1.LabelSelector {
	sel := &metav1.LabelSelector{}
	for range r.IntN(4) {
		key := pick(r, keys...)
		if r.IntN(3) == 0 {
			if sel.MatchLabels == nil {
				sel.MatchLabels = map[string]string{}
			}
			sel.MatchLabels[key] = pick(r, "x", "y", "z")
			continue
		}
		req := metav1.LabelSelectorRequirement{Key: key, Operator: pick(r,
			metav1.LabelSelectorOpIn, metav1.LabelSelectorOpNotIn, metav1.LabelSelectorOpExists, metav1.LabelSelectorOpDoesNotExist)}
		if req.Operator == metav1.LabelSelectorOpIn || req.Operator == metav1.LabelSelectorOpNotIn {
			for range 1 + r.IntN(3) {
				req.Values = append(req.Values, pick(r, "x", "y", "z"))
			}
		}
		sel.MatchExpressions = append(sel.MatchExpressions, req)
	}
	return sel
}

// allLabels are all assignments of the values to the keys; "" stands for no
// label.
func allLabels(keys []string, values []string) []map[string]string {
	all := []map[string]string{{}}
	for _, k := range keys {
		var next []map[string]string
		for _, m := range all {
			for _, v := range values {
				n := map[string]string{}
				for k, v := range m {
					n[k] = v
				}
				if v != "" {
					n[k] = v
				}
				next = append(next, n)
			}
		}
		all = next
	}
	return all
}

func compile(t testing.TB, sel *metav1.LabelSelector, d Domain) Selector {
	t.Helper()
	s, err := Compile(sel, d)
	if err != nil {
		t.Fatalf("compile %v: %v", sel, err)
	}
	return s
}

func policy(name string, edit func(*networkingv1.NetworkPolicy)) *networkingv1.NetworkPolicy {
	np := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "shop"}}
	if edit != nil {
		edit(np)
	}
	return np
}
