package facts

import (
	"encoding/binary"
	"math/big"
	"math/bits"
	"net/netip"
	"sort"

	"go4.org/netipx"
)

// special is one row of the IANA special-purpose address registries
// (iana-ipv4-special-registry, iana-ipv6-special-registry; RFC 6890 and
// RFC 8190), or multicast, which has registries of its own.
type special struct {
	prefix string
	public bool // "Globally Reachable" in the registry
	source string
}

// specialPurpose lists what differs from its surroundings, wider blocks first:
// the most specific row decides. Around it, IPv4 is public and IPv6 is public
// inside 2000::/3, the only block from which global unicast is given out
// (RFC 4291 §2.4, iana-ipv6-address-space). Rows whose reachability the
// registry leaves open ("N/A": 192.88.99.0/24, 2001::/32, 2002::/16) count as
// public, since packets to them are forwarded; the withdrawn ORCHID block
// 2001:10::/28 (RFC 4843) never was.
var specialPurpose = []special{
	{"0.0.0.0/8", false, "RFC 791 §3.2"},
	{"10.0.0.0/8", false, "RFC 1918"},
	{"100.64.0.0/10", false, "RFC 6598"},
	{"127.0.0.0/8", false, "RFC 1122 §3.2.1.3"},
	{"169.254.0.0/16", false, "RFC 3927"},
	{"172.16.0.0/12", false, "RFC 1918"},
	{"192.0.0.0/24", false, "RFC 6890 §2.1"},
	{"192.0.0.9/32", true, "RFC 7723"},
	{"192.0.0.10/32", true, "RFC 8155"},
	{"192.0.2.0/24", false, "RFC 5737"},
	{"192.168.0.0/16", false, "RFC 1918"},
	{"198.18.0.0/15", false, "RFC 2544"},
	{"198.51.100.0/24", false, "RFC 5737"},
	{"203.0.113.0/24", false, "RFC 5737"},
	{"224.0.0.0/4", false, "RFC 5771"},
	{"240.0.0.0/4", false, "RFC 1112 §4"},

	{"2001::/23", false, "RFC 2928"},
	{"2001::/32", true, "RFC 4380, RFC 8190"},
	{"2001:1::1/128", true, "RFC 7723"},
	{"2001:1::2/128", true, "RFC 8155"},
	{"2001:1::3/128", true, "RFC 9665"},
	{"2001:3::/32", true, "RFC 7450"},
	{"2001:4:112::/48", true, "RFC 7535"},
	{"2001:20::/28", true, "RFC 7343"},
	{"2001:30::/28", true, "RFC 9374"},
	{"2001:db8::/32", false, "RFC 3849"},
	{"3fff::/20", false, "RFC 9637"},
}

// everyAddress are all addresses of both families.
var everyAddress = []netipx.IPRange{
	netipx.RangeOfPrefix(netip.MustParsePrefix("0.0.0.0/0")),
	netipx.RangeOfPrefix(netip.MustParsePrefix("::/0")),
}

// publicRanges are the public addresses, sorted and disjoint.
var publicRanges = publicFrom(specialPurpose)

// wholeInternet counts publicRanges.
var wholeInternet = publicReach(everyAddress)

func publicFrom(table []special) []netipx.IPRange {
	var b netipx.IPSetBuilder
	b.AddPrefix(netip.MustParsePrefix("0.0.0.0/0"))
	b.AddPrefix(netip.MustParsePrefix("2000::/3"))
	for _, row := range table {
		if row.public {
			b.AddPrefix(netip.MustParsePrefix(row.prefix))
		} else {
			b.RemovePrefix(netip.MustParsePrefix(row.prefix))
		}
	}
	set, err := b.IPSet()
	if err != nil {
		panic(err) // only a mistake in the table above
	}
	return set.Ranges()
}

// Count is a number of addresses; the zero value is none. It holds any number
// of IPv6 addresses but all 2^128 of them, and saturates below that.
type Count struct{ hi, lo uint64 }

// Cmp is -1, 0 or +1 as c is less than, equal to or greater than d.
func (c Count) Cmp(d Count) int {
	switch {
	case c == d:
		return 0
	case c.hi < d.hi || c.hi == d.hi && c.lo < d.lo:
		return -1
	}
	return 1
}

// Big returns c as a big integer that the caller may change.
func (c Count) Big() *big.Int {
	n := new(big.Int).SetUint64(c.hi)
	return n.Lsh(n, 64).Or(n, new(big.Int).SetUint64(c.lo))
}

// String returns c in decimal.
func (c Count) String() string { return c.Big().String() }

func (c Count) isZero() bool { return c.hi|c.lo == 0 }

func (c Count) plus(d Count) Count {
	lo, carry := bits.Add64(c.lo, d.lo, 0)
	hi, carry := bits.Add64(c.hi, d.hi, carry)
	if carry != 0 {
		return Count{^uint64(0), ^uint64(0)}
	}
	return Count{hi, lo}
}

func (c Count) minus(d Count) Count {
	lo, borrow := bits.Sub64(c.lo, d.lo, 0)
	hi, _ := bits.Sub64(c.hi, d.hi, borrow)
	return Count{hi, lo}
}

// powerOfTwo is 2^n for n below 128, else the largest Count; none for n below 0.
func powerOfTwo(n int) Count {
	switch {
	case n < 0:
		return Count{}
	case n < 64:
		return Count{0, 1 << n}
	case n < 128:
		return Count{1 << (n - 64), 0}
	}
	return Count{^uint64(0), ^uint64(0)}
}

// bitLen is the number of bits needed for c; 0 for none.
func (c Count) bitLen() int {
	if c.hi != 0 {
		return 64 + bits.Len64(c.hi)
	}
	return bits.Len64(c.lo)
}

// Reach counts public addresses by family.
type Reach struct{ IPv4, IPv6 Count }

func (r Reach) isZero() bool { return r.IPv4.isZero() && r.IPv6.isZero() }

func (r Reach) plus(s Reach) Reach {
	return Reach{IPv4: r.IPv4.plus(s.IPv4), IPv6: r.IPv6.plus(s.IPv6)}
}

// publicReach counts the public addresses in ranges, which have to be sorted
// and disjoint.
func publicReach(ranges []netipx.IPRange) Reach {
	var r Reach
	eachInBoth(ranges, publicRanges, func(from, to netip.Addr) {
		if from.Is4() {
			r.IPv4 = r.IPv4.plus(size(from, to))
		} else {
			r.IPv6 = r.IPv6.plus(size(from, to))
		}
	})
	return r
}

// publicBound counts the public addresses of n.
func (n network) publicBound() Reach {
	r := publicReach([]netipx.IPRange{netipx.RangeOfPrefix(n.prefix)})
	if n.everyIPv4 {
		r.IPv4 = wholeInternet.IPv4
	}
	return r
}

// publicOverlap counts the public addresses that a and b have in common; both
// have to be sorted and disjoint.
func publicOverlap(a, b []netipx.IPRange) Reach {
	var common []netipx.IPRange
	eachInBoth(a, b, func(from, to netip.Addr) {
		common = append(common, netipx.IPRangeFrom(from, to))
	})
	return publicReach(common)
}

// eachInBoth calls f for the ranges that a and b have in common, in order.
// Both have to be sorted and disjoint.
func eachInBoth(a, b []netipx.IPRange, f func(from, to netip.Addr)) {
	if len(a) == 0 {
		return
	}
	first := a[0].From()
	b = b[sort.Search(len(b), func(i int) bool { return b[i].To().Compare(first) >= 0 }):]
	for len(a) > 0 && len(b) > 0 {
		from, to := a[0].From(), a[0].To()
		if from.Less(b[0].From()) {
			from = b[0].From()
		}
		if b[0].To().Less(to) {
			to = b[0].To()
			b = b[1:]
		} else {
			a = a[1:]
		}
		if !to.Less(from) {
			f(from, to)
		}
	}
}

// size is the number of addresses from from to to, both included.
func size(from, to netip.Addr) Count {
	return position(to).minus(position(from)).plus(Count{0, 1})
}

func position(a netip.Addr) Count {
	b := a.As16()
	return Count{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}
