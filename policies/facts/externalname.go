package facts

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// ExternalTarget is what the name in spec.externalName of a Service leads to.
type ExternalTarget struct {
	// Inside says what the name stands for if that is inside of the cluster, such as "a loopback address"; empty if the
	// name alone does not tell.
	Inside string `json:"inside"`
	// Service and Namespace are what a resolver with the cluster's search path takes the name for if there is
	// such a Service; empty for names that can't be one, and for those with a trailing dot, which aren't searched for.
	Service   string `json:"service"`
	Namespace string `json:"namespace"`
}

// ExternalTargetOf reads a name as DNS servers and the proxies that connect to
// it do: case and a trailing dot don't matter, and an address is one in every
// spelling that inet_aton takes. domains are the cluster's own.
func ExternalTargetOf(name string, domains []string) ExternalTarget {
	name = strings.ToLower(strings.TrimSpace(name))
	short := strings.TrimRight(name, ".")
	if inside := insideName(short, domains); inside != "" {
		return ExternalTarget{Inside: inside}
	}
	for _, addr := range addressReadings(short) {
		if inside := insideAddress(addr); inside != "" {
			return ExternalTarget{Inside: inside}
		}
	}
	labels := strings.Split(short, ".")
	if n := len(labels); short == name && (n == 2 || n == 3) { // service.namespace, pod.service.namespace
		return ExternalTarget{Service: labels[n-2], Namespace: labels[n-1]}
	}
	return ExternalTarget{}
}

// hostNames stand in /etc/hosts of nodes and pods.
var hostNames = []string{
	"localhost.localdomain", "localhost4", "localhost4.localdomain4", "localhost6", "localhost6.localdomain6",
	"ip6-localhost", "ip6-loopback",
}

func insideName(name string, domains []string) string {
	switch {
	case within(name, "localhost") || slices.Contains(hostNames, name):
		return "the host that asks"
	case strings.HasSuffix(name, ".svc") || name == "kubernetes.default":
		return "a Service of the cluster"
	case strings.HasSuffix(name, ".pod") && strings.Count(name, ".") > 1:
		return "a pod of the cluster"
	}
	for _, domain := range domains {
		if domain = strings.ToLower(strings.Trim(domain, ".")); domain != "" && within(name, domain) {
			return "in the cluster's domain " + domain
		}
	}
	return ""
}

// within tells whether a name is a domain or below it.
func within(name, domain string) bool {
	return name == domain || strings.HasSuffix(name, "."+domain)
}

// thisNetwork and sharedSpace are the ranges that netip has no name for.
var (
	thisNetwork = netip.MustParsePrefix("0.0.0.0/8")     // RFC 791 §3.2
	sharedSpace = netip.MustParsePrefix("100.64.0.0/10") // RFC 6598
)

func insideAddress(addr netip.Addr) string {
	addr = addr.Unmap().WithZone("")
	switch {
	case addr.IsUnspecified() || thisNetwork.Contains(addr):
		return "an unspecified address"
	case addr.IsLoopback():
		return "a loopback address"
	case addr.IsLinkLocalUnicast():
		return "a link-local address"
	case addr.IsPrivate():
		return "a private address"
	case sharedSpace.Contains(addr):
		return "an address of carrier-grade NAT"
	}
	return ""
}

// addressReadings are the addresses that some reader sees in a text: most take
// leading zeros for octal, some for decimal.
func addressReadings(text string) []netip.Addr {
	bare := strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")
	if addr, err := netip.ParseAddr(bare); err == nil {
		return []netip.Addr{addr}
	}
	var out []netip.Addr
	for _, zeroBase := range []int{8, 10} {
		if addr, ok := looseIPv4(bare, zeroBase); ok {
			out = append(out, addr)
		}
	}
	return out
}

// looseIPv4 reads what inet_aton of POSIX does: one to four numbers, decimal,
// hexadecimal or with a leading zero, the last of which fills what is left.
func looseIPv4(text string, zeroBase int) (netip.Addr, bool) {
	parts := strings.Split(text, ".")
	if len(parts) > 4 {
		return netip.Addr{}, false
	}
	var value uint64
	for i, part := range parts {
		base, digits := 10, part
		if hex, ok := strings.CutPrefix(part, "0x"); ok {
			base, digits = 16, hex
		} else if len(part) > 1 && part[0] == '0' {
			base = zeroBase
		}
		bits := 8
		if i == len(parts)-1 {
			bits = 8 * (4 - i)
		}
		n, err := strconv.ParseUint(digits, base, bits)
		if err != nil || strings.HasPrefix(digits, "+") {
			return netip.Addr{}, false
		}
		value = value<<bits | n
	}
	return netip.AddrFrom4([4]byte{byte(value >> 24), byte(value >> 16), byte(value >> 8), byte(value)}), true
}
