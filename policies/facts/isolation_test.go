package facts

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// isolating is a policy for directions, "I", "E" or "IE", or "" for those of the API server's defaulting.
func isolating(name, directions string, sel metav1.LabelSelector) *networkingv1.NetworkPolicy {
	return policy(name, func(np *networkingv1.NetworkPolicy) {
		np.Spec.PodSelector = sel
		for _, d := range directions {
			np.Spec.PolicyTypes = append(np.Spec.PolicyTypes, map[rune]networkingv1.PolicyType{'I': networkingv1.PolicyTypeIngress, 'E': networkingv1.PolicyTypeEgress}[d])
		}
	})
}

func leaving(np *networkingv1.NetworkPolicy, finalizers ...string) *networkingv1.NetworkPolicy {
	np = np.DeepCopy()
	np.DeletionTimestamp, np.Finalizers = &metav1.Time{Time: time.Unix(1, 0)}, finalizers
	return np
}

// lostText is one line for each result: direction, field, pods, and what is known of the witness.
func lostText(lost []LostIsolation) string {
	var lines []string
	for _, l := range lost {
		text := l.Direction + " " + l.Field + " [" + l.Pods + "]"
		if l.Partly {
			text += fmt.Sprint(" partly ", l.Witness)
		}
		if l.Uncertain {
			text += " uncertain"
		}
		lines = append(lines, text)
	}
	return strings.Join(lines, "; ")
}

func TestIsolationLost(t *testing.T) {
	web, none := *app("web"), metav1.LabelSelector{}
	elsewhere := isolating("else", "IE", none)
	elsewhere.Namespace = "crm"
	type policies = []*networkingv1.NetworkPolicy
	for _, c := range []struct {
		what         string
		old, changed *networkingv1.NetworkPolicy
		others       policies
		want         string
	}{
		{"the only one goes", isolating("a", "IE", none), nil, nil, "Ingress spec.podSelector []; Egress spec.podSelector []"},
		{"its stored copy doesn't cover", isolating("a", "I", web), nil, policies{isolating("a", "I", web)}, "Ingress spec.podSelector [app=web]"},
		{"another namespace doesn't cover", isolating("a", "I", web), nil, policies{elsewhere}, "Ingress spec.podSelector [app=web]"},
		{"another covers all", isolating("a", "I", web), nil, policies{isolating("b", "I", none)}, ""},
		{"another covers one direction", isolating("a", "IE", web), nil, policies{isolating("b", "E", none)}, "Ingress spec.podSelector [app=web]"},
		{"in other words", isolating("a", "I", web), nil, policies{isolating("b", "I", *expressions(in("app", "web")))}, ""},
		{"together", isolating("a", "I", web), nil, policies{isolating("b", "I", *expressions(in("tier", "x"))), isolating("c", "I", *expressions(notIn("tier", "x")))}, ""},
		{"together but for pods without a label", isolating("a", "I", web), nil,
			policies{isolating("b", "I", *expressions(in("tier", "x"))), isolating("c", "I", *expressions(notIn("tier", "x"), exists("tier")))},
			"Ingress spec.podSelector [app=web] partly map[app:web]"},
		{"one that is going doesn't cover", isolating("a", "I", web), nil, policies{leaving(isolating("b", "I", none), "wait")}, "Ingress spec.podSelector [app=web]"},
		{"one without meaning doesn't cover", isolating("a", "I", web), nil, policies{isolating("b", "I", *expressions(in("tier")))}, "Ingress spec.podSelector [app=web]"},
		{"it selects nothing", isolating("a", "I", *expressions(in("app", "web"), notIn("app", "web"))), nil, nil, ""},
		{"defaulted types", isolating("a", "", web), nil, nil, "Ingress spec.podSelector [app=web]"},
		{"a direction less", isolating("a", "IE", web), isolating("a", "I", web), nil, "Egress spec.policyTypes [app=web]"},
		{"a direction less, covered", isolating("a", "IE", web), isolating("a", "I", web), policies{isolating("b", "E", web)}, ""},
		{"no types any more", isolating("a", "E", web), isolating("a", "", web), nil, "Egress spec [app=web]"},
		{"more pods", isolating("a", "I", web), isolating("a", "I", none), nil, ""},
		{"fewer pods", isolating("a", "I", none), isolating("a", "I", web), nil, "Ingress spec.podSelector [] partly map[]"},
		{"other pods", isolating("a", "I", web), isolating("a", "I", *app("db")), nil, "Ingress spec.podSelector [app=web]"},
		{"the change and another cover together", isolating("a", "I", none), isolating("a", "I", web), policies{isolating("b", "I", *expressions(notIn("app", "web")))}, ""},
		{"a finalizer less, not the last", leaving(isolating("a", "I", web), "x", "y"), leaving(isolating("a", "I", web), "y"), nil, ""},
		{"the last finalizer", leaving(isolating("a", "I", web), "y"), leaving(isolating("a", "I", web)), nil, "Ingress spec.podSelector [app=web]"},
	} {
		var changed *Policy
		if c.changed != nil {
			changed = NewPolicy(c.changed)
		}
		lost, err := IsolationLost(NewPolicy(c.old), changed, together(c.others))
		if got := lostText(lost); err != nil || got != c.want {
			t.Errorf("%s: got %q, %v, want %q", c.what, got, err, c.want)
		}
	}
}

func TestIsolationLostWithoutMeaning(t *testing.T) {
	good, bad := isolating("a", "I", *app("web")), isolating("a", "I", *expressions(in("tier")))
	if _, err := IsolationLost(NewPolicy(bad), nil, Policies{}); err == nil {
		t.Error("the old policy has no meaning, and there is no error")
	}
	if lost, err := IsolationLost(NewPolicy(bad), NewPolicy(bad.DeepCopy()), Policies{}); err != nil || len(lost) > 0 {
		t.Errorf("what has no meaning stays: %v, %v", lost, err)
	}
	if _, err := IsolationLost(NewPolicy(good), NewPolicy(bad), Policies{}); err == nil {
		t.Error("the new policy has no meaning, and there is no error")
	}
}

// A search that gives up is told apart from one that finds a pod.
func TestIsolationLostUncertain(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var others []*networkingv1.NetworkPolicy
	for i := range 400 {
		var list []metav1.LabelSelectorRequirement
		for range 3 {
			key := fmt.Sprintf("k%d", r.IntN(40))
			list = append(list, pick(r, in(key, "x"), notIn(key, "x")))
		}
		others = append(others, isolating(fmt.Sprint(i), "I", *expressions(list...)))
	}
	start := time.Now()
	lost, err := IsolationLost(NewPolicy(isolating("a", "I", metav1.LabelSelector{})), nil, together(others))
	if err != nil || lostText(lost) != "Ingress spec.podSelector [] partly map[] uncertain" {
		t.Errorf("%s, %v", lostText(lost), err)
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("gave up after %v", took)
	}
}

func TestIsolationBy(t *testing.T) {
	web := *app("web")
	got, err := IsolationBy(prepared([]*networkingv1.NetworkPolicy{
		isolating("a", "I", web), isolating("b", "IE", metav1.LabelSelector{}), isolating("c", "I", metav1.LabelSelector{}),
		isolating("d", "E", *expressions(in("app", "x"), in("app", "y"))), leaving(isolating("e", "E", web), "wait"),
	}))
	want := []Isolation{{Ingress, "b", "", 2}, {Egress, "b", "", 0}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if got, err := IsolationBy(nil); err != nil || len(got) != 0 {
		t.Errorf("nothing isolates: %+v, %v", got, err)
	}
	if _, err := IsolationBy(prepared([]*networkingv1.NetworkPolicy{isolating("a", "I", *expressions(in("tier")))})); err == nil {
		t.Error("a policy has no meaning, and there is no error")
	}
}

// selectedFor is isolation in the words of the API's documentation, for each of allPods.
func selectedFor(t *testing.T, np *networkingv1.NetworkPolicy, direction string) []bool {
	in := len(np.Spec.PolicyTypes) == 0 && (direction == Ingress || len(np.Spec.Egress) > 0)
	for _, d := range np.Spec.PolicyTypes {
		in = in || string(d) == direction
	}
	if !in {
		return make([]bool, len(allPods))
	}
	return podsIn(t, np)
}

func TestIsolationLostAgainstEnumeration(t *testing.T) {
	random := func(r *rand.Rand, name string) *networkingv1.NetworkPolicy {
		np := isolating(name, pick(r, "", "I", "E", "IE"), *randomSelector(r, "a", "b"))
		if r.IntN(3) == 0 {
			np.Spec.Egress = []networkingv1.NetworkPolicyEgressRule{{}}
		}
		return np
	}
	seen := map[bool]int{}
	forSeeds(t, 6000, func(t *testing.T, r *rand.Rand) {
		old := random(r, "np")
		after := []*networkingv1.NetworkPolicy{}
		var changed *Policy
		if r.IntN(2) == 0 {
			np := random(r, "np")
			changed, after = NewPolicy(np), append(after, np)
		}
		others := []*networkingv1.NetworkPolicy{old}
		for i := range r.IntN(6) {
			o := random(r, fmt.Sprintf("o%d", i))
			if r.IntN(6) == 0 {
				o = leaving(o, "wait")
			} else {
				after = append(after, o)
			}
			others = append(others, o)
		}
		lost, err := IsolationLost(NewPolicy(old), changed, together(others))
		if err != nil {
			t.Fatal(err)
		}
		for _, direction := range []string{Ingress, Egress} {
			left := selectedFor(t, old, direction)
			for _, np := range after {
				for pod, selected := range selectedFor(t, np, direction) {
					left[pod] = left[pod] && !selected
				}
			}
			want := slices.Contains(left, true)
			at := slices.IndexFunc(lost, func(l LostIsolation) bool { return l.Direction == direction })
			if seen[want]++; want != (at >= 0) {
				t.Fatalf("%s: lost is %v, want %v\n%+v\n%+v", direction, at >= 0, want, old.Spec, others)
			}
			if want {
				checkWitness(t, lost[at].Witness, direction, old, after)
			}
		}
	})
	if seen[true] < 1000 || seen[false] < 1000 {
		t.Errorf("the generator says little: %v", seen)
	}
}

// checkWitness wants labels that old selects and none of those that remain.
func checkWitness(t *testing.T, witness map[string]string, direction string, old *networkingv1.NetworkPolicy, after []*networkingv1.NetworkPolicy) {
	t.Helper()
	selects := func(np *networkingv1.NetworkPolicy) bool {
		return slices.Contains(selectedFor(t, np, direction), true) && compile(t, &np.Spec.PodSelector, Pods).Matches(witness)
	}
	if !selects(old) || slices.ContainsFunc(after, selects) {
		t.Errorf("%s: %v is no witness", direction, witness)
	}
}

// BenchmarkIsolationLost is a deletion in a namespace with 1,000 policies.
func BenchmarkIsolationLost(b *testing.B) {
	many := func(last *networkingv1.NetworkPolicy) Policies {
		var out []*networkingv1.NetworkPolicy
		for i := range 999 {
			out = append(out, isolating(fmt.Sprint(i), "IE", *app(fmt.Sprintf("app-%d", i))))
		}
		return together(append(out, last))
	}
	for name, c := range map[string]struct {
		others Policies
		lost   int
	}{
		"covered by the last":  {many(isolating("all", "IE", metav1.LabelSelector{})), 0},
		"partly lost":          {many(isolating("web", "IE", *app("web"))), 2},
		"different directions": {many(isolating("web", "I", *app("web"))), 2},
	} {
		b.Run(name, func(b *testing.B) {
			old := NewPolicy(isolating("old", "IE", metav1.LabelSelector{}))
			for b.Loop() {
				if lost, err := IsolationLost(old, nil, c.others); err != nil || len(lost) != c.lost {
					b.Fatal(lost, err)
				}
			}
		})
	}
}
