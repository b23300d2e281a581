package facts

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"go4.org/netipx"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Trait is something that a NetworkPolicy says and that not every dataplane
// understands.
type Trait struct {
	// Trait is one of the names below.
	Trait     string `json:"trait"`
	Direction string `json:"direction"` // "Ingress" or "Egress"; empty for TraitPolicy
	Field     string `json:"field"`
	Value     string `json:"value"`    // as written
	Protocol  string `json:"protocol"` // of a port
	// Peers are the peers of the rule: "none", "pods" if all are selectors,
	// "addresses" if some are ipBlocks. Empty for TraitPolicy.
	Peers   string `json:"peers"`
	AllPods bool   `json:"allPods"` // the policy's podSelector is empty

	// Of a CIDR:

	Family string `json:"family"` // "IPv4" or "IPv6"; empty if nobody can read it
	// Canonical is set if every reader sees the same network, as in CIDR.
	Canonical bool `json:"canonical"`
	// Refused is set if Go's net.ParseCIDR, which most dataplanes use, does
	// not read it.
	Refused bool `json:"refused"`
	// Inside is "cluster" if the block holds addresses of the cluster, after
	// its excepts. If the cluster's are not known it is "private" if all of the
	// block is for private use.
	Inside string `json:"inside"`
	// OnlyFamily is set if the rule has no other peers than blocks of Family.
	OnlyFamily bool `json:"onlyFamily"`

	// Count is the number of TraitPortEntries.
	Count int `json:"count"`
}

// The names of traits.
const (
	TraitPolicy      = "policy"       // the policy itself, once
	TraitPortName    = "port-name"    // a port given by name
	TraitPortRange   = "port-range"   // a port with another endPort
	TraitSCTP        = "sctp"         // a port of SCTP
	TraitCIDR        = "cidr"         // the cidr of a block
	TraitExcept      = "except"       // an except of a block
	TraitPortEntries = "port-entries" // the most entries of ports that one destination or source has, at most one per direction
)

// ClusterAddresses are the networks of pods and nodes; none if they are not
// known.
type ClusterAddresses struct {
	ClusterCIDRs []string `json:"clusterCIDRs"`
}

// Traits are those of np, in the order of its fields. Rules that policyTypes
// switches off have none. Whatever np says is a trait and not an error; the
// error is for a cluster CIDR that can't be read.
func Traits(np *networkingv1.NetworkPolicy, cluster ClusterAddresses) ([]Trait, error) {
	if np == nil {
		return nil, nil
	}
	inside, err := newSurroundings(cluster.ClusterCIDRs)
	if err != nil {
		return nil, err
	}
	allPods := len(np.Spec.PodSelector.MatchLabels)+len(np.Spec.PodSelector.MatchExpressions) == 0
	traits := []Trait{{Trait: TraitPolicy, Field: "spec", Value: np.Name}}
	rules := rulesOf(np)
	for _, r := range rules {
		traits = append(traits, r.portTraits()...)
		traits = append(traits, r.blockTraits(inside)...)
	}
	for _, direction := range []string{Ingress, Egress} {
		if most, found := mostPortEntries(rules, direction); found {
			traits = append(traits, most)
		}
	}
	for i := range traits {
		traits[i].AllPods = allPods
	}
	return traits, nil
}

// peerKinds says what the peers of r are; see Trait.Peers.
func (r rule) peerKinds() string {
	kinds := "none"
	for i := range r.peers {
		if r.peers[i].IPBlock != nil {
			return "addresses"
		}
		kinds = "pods"
	}
	return kinds
}

func (r rule) portTraits() []Trait {
	var traits []Trait
	for i := range r.ports {
		p := &r.ports[i]
		t := Trait{Direction: r.direction, Peers: r.peerKinds(), Protocol: protocolOf(p)}
		field := r.field() + ".ports[" + strconv.Itoa(i) + "]"
		add := func(name, field, value string) {
			t.Trait, t.Field, t.Value = name, field, value
			traits = append(traits, t)
		}
		if p.Port != nil && p.Port.Type == intstr.String {
			add(TraitPortName, field+".port", p.Port.StrVal)
		}
		if p.Port != nil && p.EndPort != nil && p.Port.Type == intstr.Int && *p.EndPort != p.Port.IntVal {
			add(TraitPortRange, field+".endPort", fmt.Sprintf("%d-%d", p.Port.IntVal, *p.EndPort))
		}
		if t.Protocol == string(corev1.ProtocolSCTP) {
			add(TraitSCTP, field+".protocol", t.Protocol)
		}
	}
	return traits
}

func protocolOf(p *networkingv1.NetworkPolicyPort) string {
	if p.Protocol == nil {
		return string(corev1.ProtocolTCP)
	}
	return string(*p.Protocol)
}

func (r rule) blockTraits(inside surroundings) []Trait {
	var traits []Trait
	only := r.onlyFamily()
	for i := range r.peers {
		b := r.peers[i].IPBlock
		if b == nil {
			continue
		}
		field := r.peerField(i) + ".ipBlock."
		t := cidrTrait(b.CIDR)
		t.Trait, t.Direction, t.Peers, t.Field = TraitCIDR, r.direction, "addresses", field+"cidr"
		t.OnlyFamily = only != "" && only == t.Family
		t.Inside = inside.of(b)
		traits = append(traits, t)
		for j, except := range b.Except {
			t := cidrTrait(except)
			t.Trait, t.Direction, t.Peers, t.Field = TraitExcept, r.direction, "addresses", field+"except["+strconv.Itoa(j)+"]"
			traits = append(traits, t)
		}
	}
	return traits
}

// onlyFamily is the family of all peers of r; empty if they are of both, or
// some are not blocks, or there are none.
func (r rule) onlyFamily() string {
	family := ""
	for i := range r.peers {
		b := r.peers[i].IPBlock
		if b == nil {
			return ""
		}
		this := cidrTrait(b.CIDR).Family
		if this == "" || family != "" && family != this {
			return ""
		}
		family = this
	}
	return family
}

// cidrTrait is what a CIDR is by itself.
func cidrTrait(cidr string) Trait {
	t := Trait{Value: cidr}
	_, _, err := net.ParseCIDR(cidr)
	t.Refused = err != nil
	if canonical, err := Canonical(cidr); err == nil {
		t.Canonical = canonical.Problem == ""
		t.Family = IPv6
		if n, err := parseNetwork(cidr); err == nil && n.prefix.Addr().Is4() {
			t.Family = IPv4
		}
	}
	return t
}

// surroundings tell whose addresses are whose.
type surroundings struct {
	cluster []netipx.IPRange // empty if not known
}

// privateUse are the ranges from which clusters take addresses: RFC 1918, RFC
// 6598 and RFC 4193.
var privateUse = func() *netipx.IPSet {
	var b netipx.IPSetBuilder
	for _, p := range []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"} {
		b.AddPrefix(netip.MustParsePrefix(p))
	}
	set, err := b.IPSet()
	if err != nil {
		panic(err) // only valid prefixes are added
	}
	return set
}()

func newSurroundings(cidrs []string) (surroundings, error) {
	var set BlockSet
	for i, cidr := range cidrs {
		if err := set.Add(cidr, nil); err != nil {
			return surroundings{}, fmt.Errorf("clusterCIDRs[%d]: %w", i, err)
		}
	}
	return surroundings{set.ranges()}, nil
}

// of is Trait.Inside of a block; empty if nobody can read it.
func (s surroundings) of(b *networkingv1.IPBlock) string {
	ranges, err := blockRanges(b.CIDR, b.Except)
	if err != nil || len(ranges) == 0 {
		return ""
	}
	private := true
	for _, r := range ranges {
		for _, c := range s.cluster {
			if r.Overlaps(c) {
				return "cluster"
			}
		}
		private = private && privateUse.ContainsRange(r)
	}
	if private && len(s.cluster) == 0 {
		return "private"
	}
	return ""
}
