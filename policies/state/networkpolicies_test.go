package state

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/facts"
)

func networkPolicy(t *testing.T, name, cidr string) engine.Document {
	return document(t, fmt.Sprintf(`{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {namespace: shop, name: %s},
		spec: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: %s}}]}]}}`, name, cidr))
}

func preparedPolicies(t *testing.T, x *Index) []*facts.Policy {
	t.Helper()
	list, err := x.NetworkPolicies("shop")
	if err != nil {
		t.Fatal(err)
	}
	return list.Policies().All()
}

func joined(names []string) string { return strings.Join(names, ", ") }

func policyNames(of []*facts.Policy) string {
	var out []string
	for _, p := range of {
		out = append(out, p.Name+" "+p.Spec.Egress[0].To[0].IPBlock.CIDR)
	}
	return joined(out)
}

func TestNetworkPoliciesAreReadOnce(t *testing.T) {
	x := NewIndex()
	if got := preparedPolicies(t, x); len(got) != 0 {
		t.Errorf("nothing there, got %s", policyNames(got))
	}
	x.Put(networkPolicy(t, "b", "10.0.0.0/8"))
	x.Put(networkPolicy(t, "a", "10.1.0.0/16"))
	before := preparedPolicies(t, x)
	if again := preparedPolicies(t, x); policyNames(before) != "a 10.1.0.0/16, b 10.0.0.0/8" || !slices.Equal(before, again) {
		t.Errorf("%s, again %s", policyNames(before), policyNames(again))
	}
	x.Put(networkPolicy(t, "b", "10.2.0.0/16"))
	x.Put(networkPolicy(t, "c", "10.3.0.0/16"))
	after := preparedPolicies(t, x)
	if policyNames(after) != "a 10.1.0.0/16, b 10.2.0.0/16, c 10.3.0.0/16" || after[0] != before[0] {
		t.Errorf("after a change: %s, and a is read anew: %t", policyNames(after), after[0] != before[0])
	}
	x.Delete(networkPolicyKind, "shop", "a")
	if got := policyNames(preparedPolicies(t, x)); got != "b 10.2.0.0/16, c 10.3.0.0/16" {
		t.Errorf("after a deletion: %s", got)
	}
}

// What was read is kept where nothing has changed, and says the same as what is read anew.
func TestNetworkPoliciesFollowWrites(t *testing.T) {
	selectors := []string{"{}", "{matchLabels: {app: web}}"}
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(2, seed))
		x := NewIndex()
		for range 40 {
			name := fmt.Sprint("p", r.IntN(12))
			if r.IntN(3) == 0 {
				x.Delete(networkPolicyKind, "shop", name)
			} else {
				x.Put(document(t, fmt.Sprintf(`{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {namespace: shop, name: %s},
					spec: {podSelector: %s, egress: [{to: [{ipBlock: {cidr: 10.%d.0.0/16}}]}]}}`, name, selectors[r.IntN(2)], r.IntN(200))))
			}
			if r.IntN(3) > 0 {
				continue
			}
			kept, err := x.namespacePolicies("shop")
			if err != nil {
				t.Fatal(err)
			}
			fresh := NewIndex()
			objects, err := x.List(networkPolicyKind, "shop")
			if err != nil {
				t.Fatal(err)
			}
			for _, object := range objects {
				fresh.Put(object)
			}
			anew, err := fresh.namespacePolicies("shop")
			if err != nil {
				t.Fatal(err)
			}
			if got, want := told(t, kept), told(t, anew); got != want {
				t.Fatalf("seed %d: got %s, want %s", seed, got, want)
			}
		}
	}
}

// told is all that is said of the policies of a namespace.
func told(t *testing.T, p *NamespacePolicies) string {
	t.Helper()
	var names, whole []string
	for _, one := range p.each {
		names = append(names, one.Name)
	}
	if all := p.SelectingAll("p3"); all != nil {
		whole = append(whole, policyNames(all.Policies().All()))
	}
	objects, err := p.list.Objects()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s; %s; %s; selecting all: %s", joined(names), policyNames(p.list.Policies().All()), namesOf(objects), joined(whole))
}

func TestANetworkPolicyThatCanNotBeReadIsAnError(t *testing.T) {
	x := NewIndex()
	x.Put(document(t, "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {namespace: shop, name: bad}, spec: {egress: 3}}"))
	_, err := x.NetworkPolicies("shop")
	if want := "read bad from the state: decode NetworkPolicy: spec: egress: want an array, found number 3"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// Of a namespace that is gone, and of a kind that nobody asks about any more, nothing is kept or counted.
func TestNetworkPoliciesThatAreGoneAreNotKept(t *testing.T) {
	x := NewIndex()
	for _, gone := range []func(){func() { x.Delete(networkPolicyKind, "shop", "a") }, func() { x.forget(networkPolicyKind) }} {
		x.Put(networkPolicy(t, "a", "10.0.0.0/8"))
		if got := policyNames(preparedPolicies(t, x)); got != "a 10.0.0.0/8" || x.read.size != 1 {
			t.Errorf("got %s, %d counted", got, x.read.size)
		}
		gone()
		if got := preparedPolicies(t, x); len(got) != 0 || x.read.size != 0 || len(x.read.folders) != 0 {
			t.Errorf("got %s, %d counted in %d folders", policyNames(got), x.read.size, len(x.read.folders))
		}
	}
}

// What is kept of NetworkPolicies that were read is bounded, and what is asked for often stays.
func TestOfManyNetworkPoliciesTheLatestAreKept(t *testing.T) {
	raw := []byte(`{"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","metadata":{"name":"p"},"spec":{"podSelector":{}}}`)
	const namespaces, each = 100, maxRead / 50
	for what, c := range map[string]struct {
		size int
		look func(*engine.PolicyList) error
	}{
		"for facts":         {1, func(*engine.PolicyList) error { return nil }},
		"their objects too": {1 + objectsRead, func(list *engine.PolicyList) error { _, err := list.Objects(); return err }},
	} {
		x := NewIndex()
		for i := range namespaces {
			for j := range each {
				x.insert(networkPolicyKind, fmt.Sprint("n", i), &entry{name: fmt.Sprint("p", j), raw: raw})
			}
		}
		first, err := x.NetworkPolicies("n0")
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			for i := range namespaces {
				list, err := x.NetworkPolicies(fmt.Sprint("n", i))
				if err != nil || len(list.Policies().All()) != each || c.look(list) != nil {
					t.Fatal(list, err)
				}
				if again, err := x.NetworkPolicies("n0"); err != nil || again != first {
					t.Fatalf("what is asked for all the time was read anew, %v", err)
				}
			}
		}
		kept := 0
		for _, f := range x.kinds[networkPolicyKind] {
			for _, e := range f.objects {
				if e.live.Load() != nil {
					kept += c.size
				}
				if e.parsed.Load() != nil {
					t.Fatal("an object is kept apart from its list")
				}
			}
		}
		if kept > maxRead || kept < maxRead/2 || kept != x.read.size {
			t.Errorf("%s: %d are kept, %d counted, want at most %d", what, kept, x.read.size, maxRead)
		}
	}
}
