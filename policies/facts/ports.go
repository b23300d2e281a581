package facts

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// PortRange is a closed interval of ports of one protocol, 1 to 65535.
type PortRange struct {
	Protocol corev1.Protocol `json:"protocol"`
	From     int32           `json:"from"`
	To       int32           `json:"to"`
}

const lastPort = 65535

// protocols are all that a NetworkPolicy knows, in the order of results.
var protocols = [...]corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP}

var allPorts = []PortRange{
	{corev1.ProtocolTCP, 1, lastPort},
	{corev1.ProtocolUDP, 1, lastPort},
	{corev1.ProtocolSCTP, 1, lastPort},
}

// PortRanges are the ports that a rule's ports allow, one range for each entry,
// in their order; they may overlap. No entries are all ports of all protocols,
// an entry without protocol is TCP, one without port is every port of its
// protocol, and so is a named port, which may be any. The error names the
// entry, "ports[1].endPort: …". The caller must not change the result.
func PortRanges(ports []networkingv1.NetworkPolicyPort) ([]PortRange, error) {
	if len(ports) == 0 {
		return allPorts, nil
	}
	ranges := make([]PortRange, 0, len(ports))
	for i := range ports {
		r, err := portRange(&ports[i])
		if err != nil {
			return nil, fmt.Errorf("ports[%d].%w", i, err)
		}
		ranges = append(ranges, r)
	}
	return ranges, nil
}

func portRange(p *networkingv1.NetworkPolicyPort) (PortRange, error) {
	r := PortRange{Protocol: corev1.ProtocolTCP, From: 1, To: lastPort}
	if p.Protocol != nil {
		r.Protocol = *p.Protocol
	}
	if !slices.Contains(protocols[:], r.Protocol) {
		return r, fmt.Errorf("protocol: expected TCP, UDP or SCTP, not %q", string(r.Protocol))
	}
	if p.Port == nil || p.Port.Type == intstr.String {
		return r, nil
	}
	r.From, r.To = p.Port.IntVal, p.Port.IntVal
	if r.From < 1 || r.From > lastPort {
		return r, fmt.Errorf("port: expected 1 to 65535, not %d", r.From)
	}
	if p.EndPort != nil {
		r.To = *p.EndPort
		if r.To < r.From || r.To > lastPort {
			return r, fmt.Errorf("endPort: expected %d to 65535, not %d", r.From, r.To)
		}
	}
	return r, nil
}

// Includes reports whether some range includes the port.
func Includes(ranges []PortRange, protocol corev1.Protocol, port int32) bool {
	for _, r := range ranges {
		if r.Protocol == protocol && r.From <= port && port <= r.To {
			return true
		}
	}
	return false
}

// IsAllPorts reports whether ranges together are every port of every protocol.
func IsAllPorts(ranges []PortRange) bool {
	if len(ranges) < len(protocols) {
		return false
	}
	return slices.Equal(mergePorts(ranges), allPorts)
}

// limitsPorts reports whether entries leave out some port of some protocol;
// ranges are theirs. A named port is one port of each pod, whichever it is.
func limitsPorts(ports []networkingv1.NetworkPolicyPort, ranges []PortRange) bool {
	return len(ports) > 0 && !IsAllPorts(surePorts(ports, ranges))
}

// surePorts are the ranges of entries that allow the same ports of every pod:
// those without a name.
func surePorts(ports []networkingv1.NetworkPolicyPort, ranges []PortRange) []PortRange {
	if len(ports) == 0 {
		return ranges
	}
	var sure []PortRange
	for i := range ports {
		if portName(&ports[i]) == "" {
			sure = append(sure, ranges[i])
		}
	}
	return sure
}

// mergePorts returns the fewest ranges for the same ports, in the order of
// protocols and ports.
func mergePorts(ranges []PortRange) []PortRange {
	sorted := slices.Clone(ranges)
	slices.SortFunc(sorted, func(a, b PortRange) int {
		if a.Protocol != b.Protocol {
			return slices.Index(protocols[:], a.Protocol) - slices.Index(protocols[:], b.Protocol)
		}
		return int(a.From - b.From)
	})
	merged := sorted[:0]
	for _, r := range sorted {
		if n := len(merged) - 1; n >= 0 && merged[n].Protocol == r.Protocol && r.From <= merged[n].To+1 {
			merged[n].To = max(merged[n].To, r.To)
			continue
		}
		merged = append(merged, r)
	}
	return merged
}

// portsText writes the ports of ranges of one protocol, as in "80, 8000-8999";
// "all" if they are all. More than five ranges are cut short.
func portsText(ranges []PortRange) string {
	if len(ranges) == 1 && ranges[0].From == 1 && ranges[0].To == lastPort {
		return "all"
	}
	const shown = 5
	var b strings.Builder
	for i, r := range ranges {
		if i == shown {
			fmt.Fprintf(&b, " and %d more", len(ranges)-shown)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(strconv.Itoa(int(r.From)))
		if r.To != r.From {
			b.WriteByte('-')
			b.WriteString(strconv.Itoa(int(r.To)))
		}
	}
	return b.String()
}
