package facts

import (
	"net/netip"
	"sort"

	"go4.org/netipx"
)

// box is traffic: some pods, their peers, and ports of one protocol, each with
// each.
type box struct {
	pods  Selector
	peers peers
	ports span
}

// peers are addresses or pods, never both: whether an IP block also means the
// pods that have its addresses depends on the dataplane, so that neither
// covers the other.
type peers struct {
	addresses []netipx.IPRange // sorted and disjoint
	pods      Selector         // see peerPods
	arePods   bool
}

// span is a range of ports, or the port of a name, which may be any in the
// range: pods say which, each for itself.
type span struct {
	PortRange
	name string
}

// everyone are all peers, everyPort all ports.
var (
	everyone  = [...]peers{{addresses: everyAddress}, {pods: everything(Namespaces), arePods: true}}
	everyPort = [...]span{{PortRange: allPorts[0]}, {PortRange: allPorts[1]}, {PortRange: allPorts[2]}}
)

// meets reports whether what is open on t can be open on s too. A name is sure
// to be only itself, and its port to be open where every port is.
func (s span) meets(t span) bool {
	return s.Protocol == t.Protocol && (t.name == "" || t.name == s.name) && s.From <= t.To && t.From <= s.To
}

func (p peers) overlap(q peers) bool {
	switch {
	case p.arePods != q.arePods:
		return false
	case p.arePods:
		return p.pods.Overlap(q.pods)
	}
	return rangesOverlap(p.addresses, q.addresses)
}

func (p peers) subset(q peers) bool {
	switch {
	case p.arePods != q.arePods:
		return false
	case p.arePods:
		return p.pods.Subset(q.pods)
	}
	return rangesSubset(p.addresses, q.addresses)
}

// without are the peers of p that q lacks, disjoint.
func (p peers) without(q peers) []peers {
	var left []peers
	if !p.arePods {
		if ranges := rangesMinus(p.addresses, q.addresses); len(ranges) > 0 {
			left = append(left, peers{addresses: ranges})
		}
		return left
	}
	for _, pods := range p.pods.without(q.pods) {
		left = append(left, peers{pods: pods, arePods: true})
	}
	return left
}

func (p peers) isEmpty() bool {
	if p.arePods {
		return p.pods.MatchesNothing()
	}
	return len(p.addresses) == 0
}

func (b box) isEmpty() bool { return b.pods.MatchesNothing() || b.peers.isEmpty() }

// overlaps reports whether c takes something away from b.
func (b box) overlaps(c *box) bool {
	return b.ports.meets(c.ports) && b.pods.Overlap(c.pods) && b.peers.overlap(c.peers)
}

// within reports whether c leaves nothing of b.
func (b box) within(c *box) bool {
	return b.ports.meets(c.ports) && c.ports.From <= b.ports.From && b.ports.To <= c.ports.To &&
		b.pods.Subset(c.pods) && b.peers.subset(c.peers)
}

// without are disjoint boxes that together are b but for c, which overlaps b.
func (b box) without(c *box) []box {
	var left []box
	for _, pods := range b.pods.without(c.pods) {
		left = append(left, box{pods, b.peers, b.ports})
	}
	b.pods = b.pods.And(c.pods)
	if below := b; b.ports.From < c.ports.From {
		below.ports.To = c.ports.From - 1
		left = append(left, below)
		b.ports.From = c.ports.From
	}
	if above := b; b.ports.To > c.ports.To {
		above.ports.From = c.ports.To + 1
		left = append(left, above)
		b.ports.To = c.ports.To
	}
	for _, p := range b.peers.without(c.peers) {
		left = append(left, box{b.pods, p, b.ports})
	}
	return left
}

// firstUpTo is the index of the first of sorted, disjoint ranges that does not end
// before a.
func firstUpTo(ranges []netipx.IPRange, a netip.Addr) int {
	if len(ranges) == 1 {
		if ranges[0].To().Less(a) {
			return 1
		}
		return 0
	}
	return sort.Search(len(ranges), func(i int) bool { return !ranges[i].To().Less(a) })
}

// rangesOverlap reports whether sorted, disjoint ranges share an address.
func rangesOverlap(a, b []netipx.IPRange) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	for _, r := range a {
		if i := firstUpTo(b, r.From()); i < len(b) && !r.To().Less(b[i].From()) {
			return true
		}
	}
	return false
}

// rangesSubset reports whether b has every address of a. No two ranges of b
// touch.
func rangesSubset(a, b []netipx.IPRange) bool {
	for _, r := range a {
		i := firstUpTo(b, r.From())
		if i == len(b) || r.From().Less(b[i].From()) || b[i].To().Less(r.To()) {
			return false
		}
	}
	return true
}

// rangesMinus are the addresses of a that b lacks.
func rangesMinus(a, b []netipx.IPRange) []netipx.IPRange {
	var left []netipx.IPRange
	for _, r := range a {
		first, last, done := r.From(), r.To(), false
		for i := firstUpTo(b, first); i < len(b) && !last.Less(b[i].From()); i++ {
			if first.Less(b[i].From()) {
				left = append(left, netipx.IPRangeFrom(first, b[i].From().Prev()))
			}
			if !b[i].To().Less(last) {
				done = true
				break
			}
			first = b[i].To().Next()
		}
		if !done {
			left = append(left, netipx.IPRangeFrom(first, last))
		}
	}
	return left
}
