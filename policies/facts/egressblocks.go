package facts

import (
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

// Endpoints are addresses that answer on TCP ports.
type Endpoints struct {
	Addresses []string `json:"addresses"`
	Ports     []int32  `json:"ports"`
}

// BlockHit is an egress ipBlock that contains an address.
type BlockHit struct {
	Field   string `json:"field"`   // spec.egress[0].to[1].ipBlock.cidr
	CIDR    string `json:"cidr"`    // as written
	Address string `json:"address"` // in canonical form
	Port    int32  `json:"port"`
	Host    string `json:"host"`   // the address as a network of its own, for an except
	Single  bool   `json:"single"` // the block is that address and no other
	// HasExcepts is whether the block has excepts, which leave the address in.
	HasExcepts bool `json:"hasExcepts"`
	// Only is whether all peers of the rule are hits with Single. Without them
	// it would reach everything.
	Only bool `json:"only"`
}

// EgressBlocks are the egress ipBlocks of np that contain one of the addresses
// after their own excepts, in rules whose ports include one of the ports on
// TCP. There is at most one result per block, for the first address and the
// first port. Rules that policyTypes switches off don't count. The error names
// what has no meaning: a field of np, or an address.
func EgressBlocks(np *networkingv1.NetworkPolicy, endpoints Endpoints) ([]BlockHit, error) {
	addrs := make([]netip.Addr, len(endpoints.Addresses))
	for i, text := range endpoints.Addresses {
		addr, err := netip.ParseAddr(text)
		if err != nil || addr.Zone() != "" {
			return nil, fmt.Errorf("addresses[%d]: expected an address such as 169.254.169.254, not %q", i, text)
		}
		addrs[i] = addr.Unmap()
	}
	var hits []BlockHit
	for _, r := range rulesOf(np) {
		if r.direction != Egress {
			continue
		}
		ports, err := PortRanges(r.ports)
		if err != nil {
			return nil, fmt.Errorf("%s.%w", r.field(), err)
		}
		port := slices.IndexFunc(endpoints.Ports, func(p int32) bool { return Includes(ports, corev1.ProtocolTCP, p) })
		before := len(hits)
		for i := range r.peers {
			b := r.peers[i].IPBlock
			if b == nil {
				continue
			}
			ranges, err := blockRanges(b.CIDR, b.Except)
			if err != nil {
				return nil, fmt.Errorf("%s.ipBlock.%w", r.peerField(i), err)
			}
			addr := slices.IndexFunc(addrs, func(a netip.Addr) bool { return rangesContain(ranges, a) })
			if addr < 0 || port < 0 {
				continue
			}
			a := addrs[addr]
			hits = append(hits, BlockHit{
				Field: r.peerField(i) + ".ipBlock.cidr", CIDR: b.CIDR, Address: a.String(), Port: endpoints.Ports[port],
				Host: netip.PrefixFrom(a, a.BitLen()).String(), Single: len(ranges) == 1 && ranges[0].From() == ranges[0].To(),
				HasExcepts: len(b.Except) > 0,
			})
		}
		markOnly(hits[before:], len(r.peers))
	}
	return hits, nil
}

// markOnly says of the hits of a rule whether it has no peers but blocks that
// have to go.
func markOnly(hits []BlockHit, peers int) {
	if len(hits) < peers || slices.ContainsFunc(hits, func(h BlockHit) bool { return !h.Single }) {
		return
	}
	for i := range hits {
		hits[i].Only = true
	}
}
