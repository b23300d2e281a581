package facts

import (
	"net/netip"
	"slices"
	"testing"

	netutils "k8s.io/utils/net"
)

func TestCanonical(t *testing.T) {
	for _, c := range []struct{ in, canonical, problem string }{
		{"10.0.0.0/8", "10.0.0.0/8", ""},
		{"0.0.0.0/0", "0.0.0.0/0", ""},
		{"10.0.0.1/8", "10.0.0.0/8", ProblemHostBits},
		{"10.0.0.1/32", "10.0.0.1/32", ""},
		{"010.040.0.0/16", "10.40.0.0/16", ProblemOctet},
		{"10.40.0.00/16", "10.40.0.0/16", ProblemOctet},
		{"10.0.0.0/08", "10.0.0.0/8", ProblemLength},
		{"10.0.0.0/00", "0.0.0.0/0", ProblemLength},
		{"::ffff:10.0.0.0/104", "10.0.0.0/8", ProblemIPv4Mapped},
		{"::ffff:0a00:0/104", "10.0.0.0/8", ProblemIPv4Mapped},
		{"::FFFF:10.1.2.3/96", "0.0.0.0/0", ProblemIPv4Mapped},
		{"::ffff:10.0.0.0/90", "::ffc0:0:0/90", ProblemIPv4Mapped},
		{"::ffff:010.0.0.0/104", "10.0.0.0/8", ProblemOctet},
		{"::10.0.0.0/104", "::a00:0/104", ""},
		{"2001:DB8:0000:0000:0000:0000:0000:0000/032", "2001:db8::/32", ProblemLength},
		{"2001:0DB8:0000:0000:0000:0000:0000:0000/32", "2001:db8::/32", ""},
		{"2001:db8::/32", "2001:db8::/32", ""},
		{"2001:db8::1/32", "2001:db8::/32", ProblemHostBits},
		{"02001:db8::/32", "2001:db8::/32", ProblemGroup},
	} {
		got, err := Canonical(c.in)
		if want := (CIDR{c.canonical, c.problem}); err != nil || got != want {
			t.Errorf("Canonical(%q) = %+v, %v; want %+v", c.in, got, err, want)
		}
	}
	for _, in := range []string{"", "/", "10.0.0.0", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/-1", "10.0.0.0/8 ",
		"fe80::1%eth0/64", "256.0.0.0/8", "example.com/8", "10.0.0.0/8/8", "::ffff:10.0.0.0/999999999999"} {
		if got, err := Canonical(in); err == nil {
			t.Errorf("Canonical(%q) = %+v, want an error", in, got)
		}
	}
}

func TestSpecialPurposeAddresses(t *testing.T) {
	public := []string{"1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
		"128.0.0.0", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.0.9", "192.0.0.10",
		"192.0.1.0", "192.0.3.0", "192.31.196.1", "192.88.99.1", "198.17.255.255", "198.20.0.0", "223.255.255.255",
		"2000::", "2001::1", "2001:1::1", "2001:3::", "2001:20::", "2001:200::", "2001:db7:ffff::", "2001:db9::",
		"2002::1", "2600::", "3ffe:ffff::", "3fff:1000::", "3fff:ffff::"}
	private := []string{"0.0.0.0", "0.255.255.255", "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.127.255.255",
		"127.0.0.1", "169.254.169.254", "172.16.0.0", "172.31.255.255", "192.0.0.8", "192.0.0.11", "192.0.2.1",
		"192.168.255.255", "198.18.0.0", "198.19.255.255", "198.51.100.1", "203.0.113.255", "224.0.0.1", "240.0.0.0",
		"255.255.255.255", "::", "::1", "64:ff9b::1", "1fff:ffff::", "2001:2::1", "2001:10::", "2001:40::", "2001:db8::",
		"2001:db8:ffff::", "3fff::", "3fff:fff:ffff::", "4000::", "5f00::1", "fc00::", "fd00:ec2::254", "fe80::1", "ff02::1"}
	count := func(s string) int {
		a := netip.MustParseAddr(s)
		var set BlockSet
		if err := set.Add(netip.PrefixFrom(a, a.BitLen()).String(), nil); err != nil {
			t.Fatal(err)
		}
		r := set.PublicAddresses()
		return int(r.IPv4.lo + r.IPv6.lo)
	}
	for _, s := range public {
		if count(s) != 1 {
			t.Errorf("%s is public", s)
		}
	}
	for _, s := range private {
		if count(s) != 0 {
			t.Errorf("%s is not public", s)
		}
	}
	for i, row := range specialPurpose {
		p := netip.MustParsePrefix(row.prefix)
		if p != p.Masked() || row.source == "" {
			t.Errorf("row %s: host bits or no source", row.prefix)
		}
		for _, later := range specialPurpose[i+1:] {
			if q := netip.MustParsePrefix(later.prefix); q.Overlaps(p) && q.Bits() <= p.Bits() {
				t.Errorf("row %s has to stand before %s", later.prefix, row.prefix)
			}
		}
	}
}

func TestWideRanges(t *testing.T) {
	for _, c := range []struct {
		name  string
		cidrs []string
		want  []WideRange
	}{
		{"one /8", []string{"20.0.0.0/8"}, nil},
		{"one /8 and an address", []string{"52.1.2.3/32", "20.0.0.0/8"}, []WideRange{{IPv4, "16,777,217 public addresses", 1}}},
		{"the same /8 twice", []string{"20.0.0.0/8", " 20.0.0.0/9 "}, nil},
		{"two halves", []string{"0.0.0.0/1", "128.0.0.0/1"}, []WideRange{{IPv4, "the whole IPv4 internet", 0}}},
		{"private only", []string{"10.0.0.0/8", "172.16.0.0/12", "fc00::/7", "100.64.0.0/10"}, nil},
		{"one IPv6 /32", []string{"2600::/32"}, nil},
		{"IPv6 /31", []string{"2600::/32", "2601::/31"}, []WideRange{{IPv6, "more than 2^97 public addresses", 1}}},
		{"IPv6 power of two", []string{"2600::/31"}, []WideRange{{IPv6, "2^97 public addresses", 0}}},
		{"mapped and too short", []string{"::ffff:0:0/95"}, []WideRange{{IPv4, "the whole IPv4 internet", 0}}},
		{"mapped", []string{"::ffff:20.0.0.0/104"}, nil},
		{"nothing is everything", nil, []WideRange{{IPv4, "the whole IPv4 internet", -1}, {IPv6, "the whole IPv6 internet", -1}}},
	} {
		for _, limits := range []Limits{{}, DefaultLimits, {-1, 129}} {
			if got, err := WideRanges(c.cidrs, limits); err != nil || !slices.Equal(got, c.want) {
				t.Errorf("%s: got %v, %v; want %v", c.name, got, err, c.want)
			}
		}
	}
	if _, err := WideRanges([]string{"20.0.0.0/8", "20.0.0.0"}, Limits{}); err == nil {
		t.Error("want an error for a range without prefix length")
	}
	if got, _ := WideRanges([]string{"20.0.0.0/8"}, Limits{IPv4Prefix: 9, IPv6Prefix: 1}); len(got) != 1 {
		t.Errorf("limit of a /9: got %v", got)
	}
}

func FuzzParseCIDR(f *testing.F) {
	for _, s := range []string{"10.0.0.0/8", "010.1.2.3/08", "::ffff:1.2.3.4/90", "::ffff:1.2.3.4/120", "2001:DB8::/32", "00001::/16", "::/0", "fe80::%a/64"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParseCIDR(s)
		ip, legacy, legacyErr := netutils.ParseCIDRSloppy(s)
		if (err == nil) != (legacyErr == nil) {
			t.Fatalf("ParseCIDR(%q): %v; the legacy parser: %v", s, err, legacyErr)
		}
		if err != nil {
			return
		}
		if p != p.Masked() || p.Addr().Is4In6() {
			t.Fatalf("ParseCIDR(%q) = %v is not masked", s, p)
		}
		addr, _ := netip.AddrFromSlice(ip.To16())
		if p.Addr().Is4() {
			addr = addr.Unmap()
		}
		if addr.Is4In6() { // netip's Contains tells mapped addresses apart
			addr = netip.PrefixFrom(addr, p.Bits()).Masked().Addr()
		}
		if !p.Contains(addr) {
			t.Fatalf("ParseCIDR(%q) = %v does not contain %v", s, p, ip)
		}
		ones, bits := legacy.Mask.Size()
		if p.Addr().Is4() && bits == 128 {
			ones -= 96
		}
		if p.Bits() != ones || p.Addr().String() != legacy.IP.String() {
			t.Fatalf("ParseCIDR(%q) = %v; the legacy parser: %v", s, p, legacy)
		}
		c, err := Canonical(s)
		if err != nil || c.Canonical != p.String() {
			t.Fatalf("Canonical(%q) = %+v, %v; want %v", s, c, err, p)
		}
		if again, err := Canonical(c.Canonical); err != nil || again != (CIDR{c.Canonical, ""}) {
			t.Fatalf("Canonical(%q) = %+v, %v", c.Canonical, again, err)
		}
		strict, strictErr := netip.ParsePrefix(s)
		fine := strictErr == nil && !strict.Addr().Is4In6() && strict == strict.Masked()
		if fine != (c.Problem == "") {
			t.Fatalf("Canonical(%q) = %+v; strict validation says fine=%v", s, c, fine)
		}
	})
}
