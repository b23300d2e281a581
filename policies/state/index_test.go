package state

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sluice-gate/sluice/policies/engine"
)

// Lists follow writes, sorted by name, and what was listed before stays as it was.
func TestListsFollowWrites(t *testing.T) {
	type listed struct {
		got  []engine.Document
		want []string
	}
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(1, seed))
		x, there := NewIndex(), map[string]string{} // CIDRs by name
		var before []listed
		for range 60 {
			name, cidr := fmt.Sprint("p", r.IntN(8)), fmt.Sprintf("10.%d.0.0/16", r.IntN(200))
			switch r.IntN(4) {
			case 0:
				x.Delete(networkPolicyKind, "shop", name)
				delete(there, name)
			case 1:
				got, err := x.List(networkPolicyKind, "shop")
				if err != nil {
					t.Fatal(err)
				}
				var want []string
				for _, name := range slices.Sorted(maps.Keys(there)) {
					want = append(want, name+" "+there[name])
				}
				before = append(before, listed{got, want})
				if policies := policyNames(preparedPolicies(t, x)); policies != joined(want) {
					t.Fatalf("seed %d: NetworkPolicies are %s, want %s", seed, policies, joined(want))
				}
			default:
				x.Put(networkPolicy(t, name, cidr))
				there[name] = cidr
			}
			for _, l := range before {
				if got := namesOf(l.got); got != joined(l.want) {
					t.Fatalf("seed %d: got %s, want %s", seed, got, joined(l.want))
				}
			}
		}
	}
}

func namesOf(objects []engine.Document) string {
	var out []string
	for _, o := range objects {
		out = append(out, o.Get("metadata", "name").Text()+" "+o.Get("spec", "egress").Elements()[0].Get("to").Elements()[0].Get("ipBlock", "cidr").Text())
	}
	return joined(out)
}
