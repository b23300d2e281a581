package facts

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Policies that select some of the same pods are found, and no others, after any replacements.
func TestPoliciesThatMeet(t *testing.T) {
	found := 0
	forSeeds(t, 3000, func(t *testing.T, r *rand.Rand) {
		policy := func(name string) *Policy {
			np := isolating(name, "IE", *randomSelector(r, "app", "tier"))
			if r.IntN(8) == 0 {
				np.Namespace = "elsewhere"
			}
			if r.IntN(20) == 0 {
				np.Spec.PodSelector = metav1.LabelSelector{MatchLabels: map[string]string{"app": "no label: has this"}}
			}
			return NewPolicy(np)
		}
		var each []*Policy
		of := NewPolicies(nil)
		for range 6 {
			from := r.IntN(len(each) + 1)
			to := from + r.IntN(len(each)-from+1)
			var with []*Policy
			for range r.IntN(4) {
				with = append(with, policy(fmt.Sprint("p", r.IntN(9))))
			}
			each = slices.Replace(each, from, to, with...)
			of = of.Replace(from, to, with)
		}
		if !slices.Equal(of.All(), each) {
			t.Fatalf("got %d policies, want %d", len(of.All()), len(each))
		}
		asked := []*Policy{policy("p1"), policy("p1")}
		if r.IntN(2) == 0 {
			asked[r.IntN(2)] = nil
		}
		var want []*Policy
		for _, p := range each {
			if slices.ContainsFunc(asked, p.mayMeet) {
				want = append(want, p)
			}
		}
		if got := of.meeting(asked[0], asked[1]); !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", specs(written(got)), specs(written(want)))
		}
		found += len(want)
	})
	if found < 1000 {
		t.Errorf("the generator says little: %d found", found)
	}
}

func written(of []*Policy) []*networkingv1.NetworkPolicy {
	var out []*networkingv1.NetworkPolicy
	for _, p := range of {
		out = append(out, p.NetworkPolicy)
	}
	return out
}
