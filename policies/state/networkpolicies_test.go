package state

import (
	"fmt"
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
	return list.Policies()
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

func TestANetworkPolicyThatCanNotBeReadIsAnError(t *testing.T) {
	x := NewIndex()
	x.Put(document(t, "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {namespace: shop, name: bad}, spec: {egress: 3}}"))
	_, err := x.NetworkPolicies("shop")
	if want := "read bad from the state: decode NetworkPolicy: spec: egress: want an array, found number 3"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
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
				if err != nil || len(list.Policies()) != each || c.look(list) != nil {
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
