package facts

import (
	"fmt"
	"net/netip"
	"strings"

	netutils "k8s.io/utils/net"
)

// CIDR is a network in the form that every reader understands alike.
type CIDR struct {
	// Canonical is the network with host bits masked, without leading zeros,
	// lower case, and as IPv4 where it was IPv4-mapped.
	Canonical string `json:"canonical"`
	// Problem says why two readers might see two networks in the text; empty
	// if there is no reason. Upper-case and expanded IPv6 is no problem.
	Problem string `json:"problem"`
}

// The problems that Canonical reports: those that the API server refuses in
// new objects since 1.36 (feature gate StrictIPCIDRValidation), and no others.
const (
	ProblemHostBits   = "bits set beyond the prefix length"
	ProblemOctet      = "leading zeros in an octet"
	ProblemLength     = "leading zeros in the prefix length"
	ProblemGroup      = "more than four digits in an IPv6 group"
	ProblemIPv4Mapped = "an IPv4-mapped IPv6 address"
)

// network is a CIDR as Kubernetes reads it.
type network struct {
	prefix netip.Prefix // masked and never IPv4-mapped
	// everyIPv4 is set for an IPv4-mapped address with a prefix shorter than
	// 96: the legacy parser sees an IPv6 network, other readers one that
	// contains all mapped addresses, that is the whole of IPv4.
	everyIPv4 bool
}

// ParseCIDR reads s as the legacy parser of Kubernetes does: leading zeros in
// octets are decimal, host bits are masked, and ::ffff:a.b.c.d/96+n is
// a.b.c.d/n. A mapped address with a prefix shorter than 96 is the IPv6
// network that the legacy parser makes of it; BlockSet adds the whole of IPv4
// to that, because it is contained. The error says what was expected.
func ParseCIDR(s string) (netip.Prefix, error) {
	n, err := parseNetwork(s)
	return n.prefix, err
}

func parseNetwork(s string) (network, error) {
	p, err := netip.ParsePrefix(s)
	if err == nil {
		return networkOf(p.Addr(), p.Bits()), nil
	}
	addr, bits, err := parseSloppy(s)
	if err != nil {
		return network{}, err
	}
	return networkOf(addr, bits), nil
}

// parseSloppy is the legacy parser. The address keeps its host bits and its
// written family: an IPv4-mapped address is an IPv6 address here.
func parseSloppy(s string) (netip.Addr, int, error) {
	ip, ipnet, err := netutils.ParseCIDRSloppy(s)
	if err != nil {
		return netip.Addr{}, 0, fmt.Errorf("expected a CIDR such as 10.0.0.0/8 or fd00::/8, not %q", s)
	}
	ones, size := ipnet.Mask.Size()
	addr, ok := netip.AddrFromSlice(ip.To16())
	if !ok {
		return netip.Addr{}, 0, fmt.Errorf("expected a CIDR such as 10.0.0.0/8 or fd00::/8, not %q", s)
	}
	if size == 32 {
		addr = addr.Unmap()
	}
	return addr, ones, nil
}

func networkOf(addr netip.Addr, bits int) network {
	if addr.Is4In6() {
		if bits >= 96 {
			return network{prefix: netip.PrefixFrom(addr.Unmap(), bits-96).Masked()}
		}
		return network{prefix: netip.PrefixFrom(addr, bits).Masked(), everyIPv4: true}
	}
	return network{prefix: netip.PrefixFrom(addr, bits).Masked()}
}

// Canonical reads s as ParseCIDR does and tells whether s is unambiguous. With
// several problems the first is reported, in the order zeros, mapped, host
// bits; the canonical form has none of them.
func Canonical(s string) (CIDR, error) {
	problem := ""
	var addr netip.Addr
	var bits int
	if p, err := netip.ParsePrefix(s); err == nil {
		addr, bits = p.Addr(), p.Bits()
	} else {
		addr, bits, err = parseSloppy(s)
		if err != nil {
			return CIDR{}, err
		}
		problem = zeroProblem(s)
	}
	n := networkOf(addr, bits)
	switch {
	case problem != "":
	case addr.Is4In6():
		problem = ProblemIPv4Mapped
	case n.prefix.Addr() != addr:
		problem = ProblemHostBits
	}
	return CIDR{Canonical: n.prefix.String(), Problem: problem}, nil
}

// zeroProblem names what the legacy parser accepts in s and netip refuses.
func zeroProblem(s string) string {
	addr, length, _ := strings.Cut(s, "/")
	if len(length) > 1 && length[0] == '0' {
		return ProblemLength
	}
	if i := strings.LastIndexByte(addr, ':'); strings.IndexByte(addr[i+1:], '.') >= 0 {
		for octet := range strings.SplitSeq(addr[i+1:], ".") {
			if len(octet) > 1 && octet[0] == '0' {
				return ProblemOctet
			}
		}
	}
	return ProblemGroup
}
