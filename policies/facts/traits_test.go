package facts

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// someTraits are what traitsOf says of np, but for the policy itself and the
// entries of ports.
func someTraits(t *testing.T, np *networkingv1.NetworkPolicy, clusterCIDRs ...string) []Trait {
	t.Helper()
	traits, err := Traits(np, ClusterAddresses{clusterCIDRs})
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(traits, func(t Trait) bool { return t.Trait == TraitPolicy || t.Trait == TraitPortEntries })
}

func TestTraitsOfPorts(t *testing.T) {
	pods, addresses := peer{PodSelector: &metav1.LabelSelector{}}, ipBlock("198.51.100.0/24")
	block := Trait{Trait: TraitCIDR, Direction: Egress, Field: "spec.egress[0].to[1].ipBlock.cidr", Value: "198.51.100.0/24", Peers: "addresses", AllPods: true, Family: IPv4, Canonical: true}
	port80 := func(name, field, value, protocol, peers string) Trait {
		return Trait{Trait: name, Direction: Egress, Field: "spec.egress[0].ports[0]." + field, Value: value, Protocol: protocol, Peers: peers, AllPods: true}
	}
	for _, c := range []struct {
		name string
		np   *networkingv1.NetworkPolicy
		want []Trait
	}{
		{"a number", egressTo("p", ports{port("", 80, 0)}), nil},
		{"all of a protocol", egressTo("p", ports{port("UDP", nil, 0)}), nil},
		{"a name", egressTo("p", ports{port("", "http", 0)}), []Trait{port80(TraitPortName, "port", "http", "TCP", "none")}},
		{"a name for pods", egressTo("p", ports{port("UDP", "dns", 0)}, pods), []Trait{port80(TraitPortName, "port", "dns", "UDP", "pods")}},
		{"a name for pods and addresses", egressTo("p", ports{port("", "http", 0)}, pods, addresses), []Trait{port80(TraitPortName, "port", "http", "TCP", "addresses"), block}},
		{"a range", egressTo("p", ports{port("", 80, 90)}), []Trait{port80(TraitPortRange, "endPort", "80-90", "TCP", "none")}},
		{"a range of one", egressTo("p", ports{port("", 80, 80)}), nil},
		{"a range of SCTP", egressTo("p", ports{port("SCTP", 80, 90)}), []Trait{port80(TraitPortRange, "endPort", "80-90", "SCTP", "none"), port80(TraitSCTP, "protocol", "SCTP", "SCTP", "none")}},
		{"switched off", policy("p", func(np *networkingv1.NetworkPolicy) {
			np.Spec = egressTo("p", ports{port("", "http", 0)}).Spec
			np.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
		}), nil},
	} {
		if got := someTraits(t, c.np); !reflect.DeepEqual(got, c.want) && len(got)+len(c.want) > 0 {
			t.Errorf("%s:\n%+v, want\n%+v", c.name, got, c.want)
		}
	}
}

func TestTraitsOfPolicies(t *testing.T) {
	np := ingressFrom(nil, peer{PodSelector: &metav1.LabelSelector{}})
	np.Spec.PodSelector.MatchLabels = map[string]string{"app": "web"}
	got, err := Traits(np, ClusterAddresses{})
	want := []Trait{{Trait: TraitPolicy, Field: "spec", Value: "p"},
		{Trait: TraitPortEntries, Direction: Ingress, Field: "spec.ingress[0]", Value: "pods", Peers: "pods", Count: 1}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	if got, err := Traits(nil, ClusterAddresses{}); got != nil || err != nil {
		t.Errorf("%v, %v of no policy", got, err)
	}
	if _, err := Traits(np, ClusterAddresses{[]string{"10.0.0.0/8", "10"}}); err == nil || !strings.HasPrefix(err.Error(), "clusterCIDRs[1]") {
		t.Errorf("want an error about a cluster CIDR, got %v", err)
	}
}

func TestTraitsOfBlocks(t *testing.T) {
	for _, c := range []struct {
		cidr               string
		family             string
		canonical, refused bool
		inside             string
	}{
		{"10.0.0.0/8", IPv4, true, false, "private"},
		{"10.1.0.0/8", IPv4, false, false, "private"},
		{"10.0.0.0/0", IPv4, false, false, ""},
		{"010.0.0.0/8", IPv4, false, true, "private"},
		{"10.0.0.0/08", IPv4, false, false, "private"},
		{"::ffff:10.0.0.0/104", IPv4, false, false, "private"},
		{"198.51.100.0/24", IPv4, true, false, ""},
		{"192.168.0.0/15", IPv4, true, false, ""},
		{"100.64.0.0/10", IPv4, true, false, "private"},
		{"fd00::/8", IPv6, true, false, "private"},
		{"FD00:0::/8", IPv6, true, false, "private"},
		{"fd00:00001::/64", IPv6, false, true, "private"},
		{"2001:db8::/32", IPv6, true, false, ""},
		{"10.0.0.0", "", false, true, ""},
		{"", "", false, true, ""},
		{"fe80::1%eth0/64", "", false, true, ""},
	} {
		want := []Trait{{Trait: TraitCIDR, Direction: Ingress, Field: "spec.ingress[0].from[0].ipBlock.cidr", Value: c.cidr, Peers: "addresses", AllPods: true,
			Family: c.family, Canonical: c.canonical, Refused: c.refused, Inside: c.inside, OnlyFamily: c.family != ""}}
		if got := someTraits(t, ingressFrom(nil, ipBlock(c.cidr))); !reflect.DeepEqual(got, want) {
			t.Errorf("%q:\n%+v, want\n%+v", c.cidr, got, want)
		}
		except := want[0]
		except.Trait, except.Field, except.Inside, except.OnlyFamily = TraitExcept, "spec.ingress[0].from[1].ipBlock.except[1]", "", false
		got := someTraits(t, ingressFrom(nil, peer{PodSelector: &metav1.LabelSelector{}}, ipBlock("0.0.0.0/0", "10.0.0.0/8", c.cidr)))
		if len(got) != 3 || !reflect.DeepEqual(got[2], except) {
			t.Errorf("except %q:\n%+v, want\n%+v", c.cidr, got, except)
		}
	}
}

func TestWhatIsInsideTheCluster(t *testing.T) {
	for _, c := range []struct {
		block   peer
		cluster []string
		want    string
	}{
		{ipBlock("10.0.0.0/8"), []string{"10.244.0.0/16"}, "cluster"},
		{ipBlock("10.244.3.0/24"), []string{"fd00::/48", "10.244.0.0/16"}, "cluster"},
		{ipBlock("0.0.0.0/0"), []string{"10.244.0.0/16"}, "cluster"},
		{ipBlock("10.0.0.0/8", "10.244.0.0/16"), []string{"10.244.0.0/16"}, ""},
		{ipBlock("10.0.0.0/8", "10.244.0.0/17"), []string{"10.244.0.0/16"}, "cluster"},
		{ipBlock("192.168.0.0/16"), []string{"10.244.0.0/16"}, ""},
		{ipBlock("0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1"), nil, ""},
		{ipBlock("0.0.0.0/0"), nil, ""},
		{ipBlock("8.0.0.0/6", "8.0.0.0/7", "11.0.0.0/8"), nil, "private"},
		{ipBlock("8.0.0.0/6", "9.0.0.0/8", "11.0.0.0/8"), nil, ""},
	} {
		if got := someTraits(t, ingressFrom(nil, c.block), c.cluster...)[0].Inside; got != c.want {
			t.Errorf("%v in %v: %q, want %q", c.block.IPBlock, c.cluster, got, c.want)
		}
	}
}

func TestOnlyFamily(t *testing.T) {
	pods := peer{PodSelector: &metav1.LabelSelector{}}
	for _, c := range []struct {
		peers []peer
		want  bool
	}{
		{[]peer{ipBlock("fd00::/8")}, true},
		{[]peer{ipBlock("fd00::/8"), ipBlock("2001:db8::/32")}, true},
		{[]peer{ipBlock("fd00::/8"), ipBlock("10.0.0.0/8")}, false},
		{[]peer{ipBlock("fd00::/8"), pods}, false},
		{[]peer{ipBlock("fd00::/8"), ipBlock("x")}, false},
	} {
		if got := someTraits(t, ingressFrom(nil, c.peers...))[0].OnlyFamily; got != c.want {
			t.Errorf("%v: %v", c.peers, got)
		}
	}
}

func entriesOf(t *testing.T, np *networkingv1.NetworkPolicy) []Trait {
	t.Helper()
	traits, err := Traits(np, ClusterAddresses{})
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(traits, func(t Trait) bool { return t.Trait != TraitPortEntries })
}

func TestPortEntries(t *testing.T) {
	two, three := ports{port("", 80, 0), port("UDP", 80, 0)}, ports{port("", 80, 0), port("", 80, 90), port("", "http", 0)}
	pods := peer{PodSelector: &metav1.LabelSelector{}}
	rules := func(rules ...networkingv1.NetworkPolicyEgressRule) *networkingv1.NetworkPolicy {
		return policy("p", func(np *networkingv1.NetworkPolicy) { np.Spec.Egress = rules })
	}
	rule := func(ports ports, to ...peer) networkingv1.NetworkPolicyEgressRule {
		return networkingv1.NetworkPolicyEgressRule{Ports: ports, To: to}
	}
	for _, c := range []struct {
		name         string
		np           *networkingv1.NetworkPolicy
		count        int
		value, field string
	}{
		{"one block", rules(rule(two, ipBlock("10.0.0.0/8"))), 2, "10.0.0.0/8", "spec.egress[0].ports"},
		{"names count for pods only", rules(rule(three, ipBlock("10.0.0.0/8"), pods)), 3, "pods", "spec.egress[0].ports"},
		{"names don't for addresses", rules(rule(three, ipBlock("10.0.0.0/8"))), 2, "10.0.0.0/8", "spec.egress[0].ports"},
		{"one block in two rules", rules(rule(two, ipBlock("10.0.0.0/8")), rule(three, ipBlock("10.1.0.0/8"))), 3, "10.0.0.0/8", "spec.egress[0].ports"},
		{"a block in a block", rules(rule(ports{port("", 443, 0)}, ipBlock("10.2.0.0/16")), rule(two, ipBlock("10.0.0.0/8"))), 3, "10.2.0.0/16", "spec.egress[1].ports"},
		{"a block beside a block", rules(rule(ports{port("", 443, 0)}, ipBlock("11.0.0.0/16")), rule(two, ipBlock("10.0.0.0/8"))), 2, "10.0.0.0/8", "spec.egress[1].ports"},
		{"everyone", rules(rule(two)), 2, "every address", "spec.egress[0].ports"},
		{"everyone and a block", rules(rule(two), rule(ports{port("", 443, 0)}, ipBlock("fd00::/8"))), 3, "fd00::/8", "spec.egress[0].ports"},
		{"everyone and pods", rules(rule(ports{port("", 443, 0)}, pods), rule(two)), 3, "pods", "spec.egress[1].ports"},
		{"no ports", rules(rule(nil, ipBlock("10.0.0.0/8"))), 1, "10.0.0.0/8", "spec.egress[0]"},
		{"unreadable", rules(rule(two, ipBlock("10"))), 0, "", ""},
	} {
		got := entriesOf(t, c.np)
		if c.count == 0 && len(got) == 0 {
			continue
		}
		if len(got) != 1 || got[0].Count != c.count || got[0].Value != c.value || got[0].Field != c.field || got[0].Direction != Egress {
			t.Errorf("%s: %+v, want %d for %s at %s", c.name, got, c.count, c.value, c.field)
		}
	}
}

// TestPortEntriesByBruteForce compares with counting for each block what every block that holds it is given.
func TestPortEntriesByBruteForce(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7))
	for range 2000 {
		np := policy("p", func(np *networkingv1.NetworkPolicy) {
			for range 1 + random.IntN(4) {
				var rule networkingv1.NetworkPolicyEgressRule
				for range random.IntN(3) {
					rule.To = append(rule.To, ipBlock(fmt.Sprintf("10.%d.0.0/%d", random.IntN(4)<<6, 8+random.IntN(4))))
				}
				for range random.IntN(4) {
					rule.Ports = append(rule.Ports, port("", 80+random.IntN(5), 0))
				}
				np.Spec.Egress = append(np.Spec.Egress, rule)
			}
		})
		want := 0
		count := func(holds func(peer) bool) {
			entries := map[string]bool{}
			for _, rule := range np.Spec.Egress {
				if len(rule.To) == 0 || slices.ContainsFunc(rule.To, holds) {
					for _, p := range rule.Ports {
						entries[p.Port.String()] = true
					}
					entries["all"] = entries["all"] || len(rule.Ports) == 0
				}
			}
			if !entries["all"] {
				delete(entries, "all")
			}
			want = max(want, len(entries))
		}
		count(func(peer) bool { return false })
		for _, rule := range np.Spec.Egress {
			for _, p := range rule.To {
				inner := netip.MustParsePrefix(p.IPBlock.CIDR).Masked()
				count(func(other peer) bool {
					outer := netip.MustParsePrefix(other.IPBlock.CIDR).Masked()
					return outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
				})
			}
		}
		if got := entriesOf(t, np); len(got) != 1 || got[0].Count != want {
			t.Fatalf("%+v, want %d of %+v", got, want, np.Spec.Egress)
		}
	}
}
