package facts

import (
	"fmt"
	"net/netip"
	"strings"

	"go4.org/netipx"
)

// BlockSet is a union of blocks of both families. The zero value is empty. It
// is not safe for concurrent use.
type BlockSet struct {
	builder netipx.IPSetBuilder
}

// Add unites s with cidr without its excepts. An except narrows this block
// only: what another block adds stays. With an error s is unchanged; the error
// names the part of the ipBlock, "cidr" or "except[i]".
func (s *BlockSet) Add(cidr string, except []string) error {
	ranges, err := blockRanges(cidr, except)
	if err != nil {
		return err
	}
	s.addRanges(ranges)
	return nil
}

// AddEverything unites s with all addresses of both families.
func (s *BlockSet) AddEverything() { s.addRanges(everyAddress) }

func (s *BlockSet) addRanges(ranges []netipx.IPRange) {
	for _, r := range ranges {
		s.builder.AddRange(r)
	}
}

// ranges are the addresses of s, sorted and disjoint.
func (s *BlockSet) ranges() []netipx.IPRange {
	set, err := s.builder.IPSet()
	if err != nil {
		panic(err) // only valid ranges are added
	}
	return set.Ranges()
}

// Contains reports whether addr is in s; an IPv4-mapped address is IPv4.
func (s *BlockSet) Contains(addr netip.Addr) bool {
	return rangesContain(s.ranges(), addr)
}

func rangesContain(ranges []netipx.IPRange, addr netip.Addr) bool {
	addr = addr.Unmap()
	for _, r := range ranges {
		if r.Contains(addr) {
			return true
		}
	}
	return false
}

// PublicAddresses counts the public addresses of s: those that the IANA
// special-purpose registries call globally reachable, for IPv6 inside 2000::/3.
func (s *BlockSet) PublicAddresses() Reach { return publicReach(s.ranges()) }

// blockRanges are the addresses of one ipBlock, sorted and disjoint.
func blockRanges(cidr string, except []string) ([]netipx.IPRange, error) {
	n, err := parseNetwork(cidr)
	if err != nil {
		return nil, fmt.Errorf("cidr: %w", err)
	}
	if len(except) == 0 && !n.everyIPv4 {
		return []netipx.IPRange{netipx.RangeOfPrefix(n.prefix)}, nil
	}
	var b netipx.IPSetBuilder
	b.AddPrefix(n.prefix)
	if n.everyIPv4 {
		b.AddRange(everyAddress[0])
	}
	for i, e := range except {
		p, err := ParseCIDR(e)
		if err != nil {
			return nil, fmt.Errorf("except[%d]: %w", i, err)
		}
		b.RemovePrefix(p)
	}
	set, err := b.IPSet()
	if err != nil {
		return nil, fmt.Errorf("subtract excepts from %q: %w", cidr, err)
	}
	return set.Ranges(), nil
}

// Limits say how many public addresses are still narrow: as many as a prefix
// of this length holds. A prefix that is zero or impossible stands for the
// default, 8 for IPv4 (2^24 addresses) and 32 for IPv6 (2^96), so that the
// zero value limits.
type Limits struct {
	IPv4Prefix int `json:"ipv4Prefix"`
	IPv6Prefix int `json:"ipv6Prefix"`
}

// DefaultLimits are those of the corpus: a /8 of IPv4 and a /32 of IPv6.
var DefaultLimits = Limits{IPv4Prefix: 8, IPv6Prefix: 32}

func (l Limits) allowed() Reach {
	v4, v6 := l.IPv4Prefix, l.IPv6Prefix
	if v4 <= 0 || v4 > 32 {
		v4 = DefaultLimits.IPv4Prefix
	}
	if v6 <= 0 || v6 > 128 {
		v6 = DefaultLimits.IPv6Prefix
	}
	return Reach{IPv4: powerOfTwo(32 - v4), IPv6: powerOfTwo(128 - v6)}
}

// Exceeds reports for each family whether r is more than l allows. As many
// addresses as the limit are fine.
func (l Limits) Exceeds(r Reach) (ipv4, ipv6 bool) {
	a := l.allowed()
	return r.IPv4.Cmp(a.IPv4) > 0, r.IPv6.Cmp(a.IPv6) > 0
}

// The names of address families in results.
const (
	IPv4 = "IPv4"
	IPv6 = "IPv6"
)

// family picks one family of r by its name.
func (r Reach) family(name string) Count {
	if name == IPv4 {
		return r.IPv4
	}
	return r.IPv6
}

// describe says how many public addresses c of the family are, in words that
// follow "reaches".
func (c Count) describe(family string) string {
	switch {
	case c == wholeInternet.family(family):
		return "the whole " + family + " internet"
	case family == IPv4 || c.isZero():
		return grouped(c.String()) + " public addresses"
	case c == powerOfTwo(c.bitLen()-1):
		return fmt.Sprintf("2^%d public addresses", c.bitLen()-1)
	}
	return fmt.Sprintf("more than 2^%d public addresses", c.bitLen()-1)
}

// grouped puts a comma after every third digit from the right.
func grouped(digits string) string {
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}
