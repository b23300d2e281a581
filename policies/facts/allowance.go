package facts

import (
	"fmt"
	"path"
	"strconv"
	"strings"

	"go4.org/netipx"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

// Allowance is traffic that may be opened. What it leaves out it does not
// limit.
type Allowance struct {
	Direction  string   `json:"direction"`  // "Ingress" or "Egress"
	Namespaces []string `json:"namespaces"` // of the pods; * and ? stand for any characters and any one
	// Peers, if given, are the only ones.
	Peers *AllowedPeers `json:"peers"`
	Ports []string      `json:"ports"` // "443", "UDP/53", "TCP/8000-8999"; TCP if it names no protocol
}

// AllowedPeers are addresses, and pods by the namespaces that they are in.
type AllowedPeers struct {
	CIDRs        []string `json:"cidrs"`
	Namespaces   []string `json:"namespaces"` // names, as in Allowance
	OwnNamespace bool     `json:"ownNamespace"`
}

// allowance is an Allowance for one namespace and direction.
type allowance struct {
	anyone    bool
	addresses []netipx.IPRange
	names     []string // patterns
	own       string   // a namespace, or empty
	ports     []span
}

// allowances are those that concern a namespace's pods in a direction. The
// error names the field that has no meaning.
func allowances(list []Allowance, namespace, direction string) ([]allowance, error) {
	var found []allowance
	for i := range list {
		a, err := list[i].read(namespace)
		if err != nil {
			return nil, fmt.Errorf("allowed[%d].%w", i, err)
		}
		concerns, err := matchesAny(list[i].Namespaces, namespace)
		if err != nil {
			return nil, fmt.Errorf("allowed[%d].namespaces%w", i, err)
		}
		if (concerns || len(list[i].Namespaces) == 0) && (list[i].Direction == "" || list[i].Direction == direction) {
			found = append(found, a)
		}
	}
	return found, nil
}

func (a *Allowance) read(namespace string) (allowance, error) {
	read := allowance{anyone: a.Peers == nil, ports: everyPort[:]}
	if a.Direction != "" && a.Direction != Ingress && a.Direction != Egress {
		return read, fmt.Errorf("direction: expected Ingress or Egress, not %q", a.Direction)
	}
	if len(a.Ports) > 0 {
		read.ports = nil
	}
	for i, text := range a.Ports {
		r, err := parsePorts(text)
		if err != nil {
			return read, fmt.Errorf("ports[%d]: %w", i, err)
		}
		read.ports = append(read.ports, span{PortRange: r})
	}
	if a.Peers == nil {
		return read, nil
	}
	var blocks BlockSet
	for i, cidr := range a.Peers.CIDRs {
		if err := blocks.Add(cidr, nil); err != nil {
			return read, fmt.Errorf("peers.cidrs[%d]: %w", i, err)
		}
	}
	read.addresses, read.names = blocks.ranges(), a.Peers.Namespaces
	if _, err := matchesAny(read.names, namespace); err != nil {
		return read, fmt.Errorf("peers.namespaces%w", err)
	}
	if a.Peers.OwnNamespace {
		read.own = namespace
	}
	return read, nil
}

// matchesAny reports whether a pattern matches the name, and checks all. The
// error begins with the index of the pattern.
func matchesAny(patterns []string, name string) (bool, error) {
	found := false
	for i, p := range patterns {
		matches, err := path.Match(p, name)
		if err != nil {
			return false, fmt.Errorf("[%d]: %q is no pattern: %w", i, p, err)
		}
		found = found || matches
	}
	return found, nil
}

func parsePorts(text string) (PortRange, error) {
	protocol, numbers, found := strings.Cut(text, "/")
	if !found {
		protocol, numbers = string(corev1.ProtocolTCP), text
	}
	first, last, isRange := strings.Cut(numbers, "-")
	if !isRange {
		last = first
	}
	r := PortRange{Protocol: corev1.Protocol(protocol)}
	from, errFrom := strconv.ParseInt(first, 10, 32)
	to, errTo := strconv.ParseInt(last, 10, 32)
	r.From, r.To = int32(from), int32(to)
	known := r.Protocol == protocols[0] || r.Protocol == protocols[1] || r.Protocol == protocols[2]
	if errFrom != nil || errTo != nil || !known || r.From < 1 || r.To < r.From || r.To > lastPort {
		return r, fmt.Errorf("expected ports such as 443, UDP/53 or TCP/8000-8999, not %q", text)
	}
	return r, nil
}

// covers are what a allows to peers, as boxes.
func (a *allowance) covers(set peers) []*box {
	var boxes []*box
	for _, p := range a.peersFor(set) {
		for _, s := range a.ports {
			boxes = append(boxes, &box{peers: p, ports: s})
		}
	}
	return boxes
}

// peersFor are the allowed peers of the kind of set. A pattern stands for those
// of its names that set names, since selectors can't tell any other from those
// that don't match.
func (a *allowance) peersFor(set peers) []peers {
	switch {
	case a.anyone && set.arePods:
		return everyone[1:]
	case a.anyone:
		return everyone[:1]
	case !set.arePods && len(a.addresses) > 0:
		return []peers{{addresses: a.addresses}}
	case !set.arePods:
		return nil
	}
	var names []string
	if a.own != "" {
		names = append(names, a.own)
	}
	for _, pattern := range a.names {
		if strings.Trim(pattern, "*") == "" && pattern != "" {
			return everyone[1:]
		}
		if !strings.ContainsAny(pattern, `*?[\`) {
			names = append(names, pattern)
		}
		for _, name := range set.pods.admits(namespaceNameLabel).listed {
			if matches, err := path.Match(pattern, name); err == nil && matches {
				names = append(names, name)
			}
		}
	}
	if len(names) == 0 {
		return nil
	}
	return []peers{{arePods: true, pods: Selector{domain: Namespaces, constraints: []constraint{
		{namespaceNameLabel, values{listed: sortedSet(names)}},
	}}}}
}

// allowanceText is an Allowance for a target on ports, as YAML in one line;
// empty if there are more ports than anybody reads.
func allowanceText(t *target, found []opened, all bool) string {
	const most = 5
	parts := []string{"direction: " + t.direction}
	if peer := allowedPeerText(t.peer); peer != "" {
		parts = append(parts, "peers: {"+peer+"}")
	}
	if !all {
		ports := allowedPorts(found)
		if len(ports) > most {
			return ""
		}
		parts = append(parts, "ports: ["+strings.Join(ports, ", ")+"]")
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// allowedPorts are the fewest entries that hold what is found, as it may have
// been cut into parts that touch.
func allowedPorts(found []opened) []string {
	ranges := make([]PortRange, len(found))
	for i := range found {
		ranges[i] = found[i].ports.PortRange
	}
	var ports []string
	for _, r := range mergePorts(ranges) {
		text := string(r.Protocol) + "/" + strconv.Itoa(int(r.From))
		if r.To != r.From {
			text += "-" + strconv.Itoa(int(r.To))
		}
		ports = append(ports, text)
	}
	return sortedSet(ports)
}

func allowedPeerText(p *networkingv1.NetworkPolicyPeer) string {
	switch {
	case p == nil:
		return ""
	case p.IPBlock != nil:
		return "cidrs: [" + strconv.Quote(p.IPBlock.CIDR) + "]"
	case p.NamespaceSelector == nil:
		return "ownNamespace: true"
	}
	s, err := Compile(p.NamespaceSelector, Namespaces)
	if names := s.admits(namespaceNameLabel); err == nil && !names.others {
		quoted := make([]string, len(names.listed)) // 2024 and true are names too
		for i, name := range names.listed {
			quoted[i] = strconv.Quote(name)
		}
		return "namespaces: [" + strings.Join(quoted, ", ") + "]"
	}
	return `namespaces: ["*"]`
}
