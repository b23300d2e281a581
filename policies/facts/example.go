package facts

import (
	"net/netip"
	"strconv"
	"strings"
)

// Example is one pod, one peer and one port. The peer is an address or a pod.
type Example struct {
	Pod       map[string]string `json:"pod"`       // labels
	Address   string            `json:"address"`   // empty if the peer is a pod
	Peer      map[string]string `json:"peer"`      // labels of the peer; empty if it is an address
	Namespace map[string]string `json:"namespace"` // labels of the peer's namespace; empty if it is an address
	Protocol  string            `json:"protocol"`
	Port      string            `json:"port"` // a number, or a name that may be any
}

// point is one pod, one peer and one port of a box.
type point struct {
	pod     map[string]string
	address netip.Addr        // invalid if the peer is a pod
	peer    map[string]string // as peerPods has labels
	anyName bool              // the name of the peer's namespace doesn't matter
	port    span              // of one port
}

// point is a member of b, which must not be empty.
func (b *box) point() point {
	p := point{pod: b.pods.Witness(), port: b.ports}
	p.port.From = b.ports.sample()
	p.port.To = p.port.From
	if b.peers.arePods {
		p.peer = b.peers.pods.Witness()
		p.anyName = b.peers.pods.admits(namespaceNameLabel).others
	} else {
		p.address = b.peers.sample()
	}
	return p
}

// opens reports whether b has p's peer and port, for whatever pods.
func (b *box) opens(p *point) bool {
	if !p.port.meets(b.ports) || b.peers.arePods != (p.peer != nil) {
		return false
	}
	if b.peers.arePods {
		return b.peers.pods.Matches(p.peer)
	}
	return rangesContain(b.peers.addresses, p.address)
}

func (p point) example() Example {
	e := Example{Pod: p.pod, Peer: map[string]string{}, Namespace: map[string]string{}, Protocol: string(p.port.Protocol), Port: p.port.text()}
	if p.peer == nil {
		e.Address = p.address.String()
	}
	for key, value := range p.peer {
		if label, is := strings.CutPrefix(key, podKeys); is {
			e.Peer[label] = value
		} else {
			e.Namespace[key] = value
		}
	}
	return e
}

// text is the name, or the first port.
func (s span) text() string {
	if s.name != "" {
		return s.name
	}
	return strconv.Itoa(int(s.From))
}

// knownPorts are those that a reader knows best.
var knownPorts = [...]int32{443, 80, 53}

// sample is a port that a reader knows, or else the first.
func (r PortRange) sample() int32 {
	for _, known := range knownPorts {
		if r.From <= known && known <= r.To {
			return known
		}
	}
	return r.From
}

// knownAddresses are some of which a reader sees that they are the internet,
// the cloud's metadata, or private.
var knownAddresses = [...]netip.Addr{
	netip.MustParseAddr("8.8.8.8"), netip.MustParseAddr("2001:4860:4860::8888"),
	netip.MustParseAddr("169.254.169.254"), netip.MustParseAddr("10.0.0.1"),
}

// sample is an address that a reader knows, or else the first that is not the
// name of a network.
func (p peers) sample() netip.Addr {
	for _, a := range knownAddresses {
		if rangesContain(p.addresses, a) {
			return a
		}
	}
	r := p.addresses[0]
	if next := r.From().Next(); r.Contains(next) {
		return next
	}
	return r.From()
}
