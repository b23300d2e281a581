package facts

import (
	"net/netip"

	"k8s.io/apimachinery/pkg/util/intstr"
)

// portEntry is an entry of a rule's ports; the zero value stands for all ports
// of all protocols.
type portEntry struct {
	protocol string
	port     intstr.IntOrString
	end      int32
}

type portEntries map[portEntry]bool

func (e portEntries) add(others portEntries) {
	for entry := range others {
		e[entry] = true
	}
}

// entries are those of r; names are left out where nothing resolves them.
func (r rule) entries(names bool) portEntries {
	if len(r.ports) == 0 {
		return portEntries{{}: true}
	}
	entries := portEntries{}
	for i := range r.ports {
		p := &r.ports[i]
		e := portEntry{protocol: protocolOf(p)}
		if p.Port != nil {
			e.port = *p.Port
		}
		if p.EndPort != nil {
			e.end = *p.EndPort
		}
		if names || e.port.Type == intstr.Int {
			entries[e] = true
		}
	}
	return entries
}

// entryList are the entries of ports that one block has, over rules, and the
// rule that gives most of them.
type entryList struct {
	entries portEntries
	rule    rule
	most    int
}

func (l *entryList) add(r rule, entries portEntries) {
	if l.entries == nil {
		l.entries = portEntries{}
	}
	l.entries.add(entries)
	if len(entries) > l.most {
		l.rule, l.most = r, len(entries)
	}
}

func (l *entryList) join(other *entryList) {
	if other != nil && len(other.entries) > 0 {
		before := l.most
		l.add(other.rule, other.entries)
		if l.most > before {
			l.most = other.most
		}
	}
}

// mostPortEntries is the TraitPortEntries of a direction: the block, or the
// pods of a rule, for which most different entries of ports are given. A block
// has those of all blocks that hold it, and all have those of rules without
// peers. Overlaps of ports don't count once: entries do.
func mostPortEntries(rules []rule, direction string) (Trait, bool) {
	blocks := map[netip.Prefix]*entryList{}
	var order []netip.Prefix
	var everyone entryList
	for _, r := range rules {
		if r.direction != direction {
			continue
		}
		if len(r.peers) == 0 {
			everyone.add(r, r.entries(false))
		}
		for i := range r.peers {
			b := r.peers[i].IPBlock
			if b == nil {
				continue
			}
			n, err := parseNetwork(b.CIDR)
			if err != nil {
				continue
			}
			if blocks[n.prefix] == nil {
				blocks[n.prefix] = &entryList{}
				order = append(order, n.prefix)
			}
			blocks[n.prefix].add(r, r.entries(false))
		}
	}
	var most Trait
	consider := func(value string, l *entryList) {
		if len(l.entries) > most.Count {
			most = Trait{Trait: TraitPortEntries, Direction: direction, Field: l.rule.field() + ".ports", Value: value,
				Peers: l.rule.peerKinds(), Count: len(l.entries)}
			if len(l.rule.ports) == 0 {
				most.Field = l.rule.field()
			}
		}
	}
	consider("every address", &everyone)
	for _, prefix := range order {
		consider(prefix.String(), inherited(blocks, prefix, &everyone))
	}
	for _, r := range rules {
		if r.direction == direction && r.peerKinds() != "none" && r.selectsPods() {
			var l entryList
			l.add(r, r.entries(true))
			l.join(&everyone)
			consider("pods", &l)
		}
	}
	return most, most.Count > 0
}

// inherited are the entries of a block and of all that hold it.
func inherited(blocks map[netip.Prefix]*entryList, prefix netip.Prefix, everyone *entryList) *entryList {
	var l entryList
	for bits := prefix.Bits(); bits >= 0; bits-- {
		wider, err := prefix.Addr().Prefix(bits)
		if err != nil {
			break
		}
		l.join(blocks[wider])
	}
	l.join(everyone)
	return &l
}

func (r rule) selectsPods() bool {
	for i := range r.peers {
		if r.peers[i].IPBlock == nil {
			return true
		}
	}
	return false
}
