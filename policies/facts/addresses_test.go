package facts

import (
	"math/rand/v2"
	"net/netip"
	"testing"
)

// windows are small networks, public and not, in which unions are compared
// with a list of all addresses.
var windows = []netip.Prefix{
	netip.MustParsePrefix("198.51.96.0/21"), // 198.51.100.0/24 is documentation
	netip.MustParsePrefix("192.0.0.0/22"),   // 192.0.0.0/24 has two public addresses
	netip.MustParsePrefix("2001:db7:ffff:ffff:ffff:ffff:ffff:fc00/118"),
	netip.MustParsePrefix("2001:db8::/118"),
	netip.MustParsePrefix("2001:1::/118"), // three public addresses
}

type block struct {
	cidr   netip.Prefix
	except []netip.Prefix
}

func (b block) has(a netip.Addr) bool {
	for _, e := range b.except {
		if e.Contains(a) {
			return false
		}
	}
	return b.cidr.Contains(a)
}

func (b block) add(t *testing.T, s *BlockSet) {
	t.Helper()
	var except []string
	for _, e := range b.except {
		except = append(except, e.String())
	}
	if err := s.Add(b.cidr.String(), except); err != nil {
		t.Fatal(err)
	}
}

var specialPrefixes = func() (prefixes []netip.Prefix) {
	for _, row := range specialPurpose {
		prefixes = append(prefixes, netip.MustParsePrefix(row.prefix))
	}
	return prefixes
}()

// isPublic decides by the most specific row, one address at a time.
func isPublic(a netip.Addr) bool {
	longest, public := -1, a.Is4() || a.As16()[0]>>5 == 1 // 2000::/3
	for i, p := range specialPrefixes {
		if p.Contains(a) && p.Bits() > longest {
			longest, public = p.Bits(), specialPurpose[i].public
		}
	}
	return public
}

func randomPrefix(in netip.Prefix, below func(int) int) netip.Prefix {
	bits := in.Bits() + below(in.Addr().BitLen()-in.Bits()+1)
	a := in.Addr().As16()
	host := below(1 << (in.Addr().BitLen() - in.Bits()))
	a[15], a[14] = a[15]|byte(host), a[14]|byte(host>>8)
	addr := netip.AddrFrom16(a)
	if in.Addr().Is4() {
		addr = addr.Unmap()
	}
	return netip.PrefixFrom(addr, bits).Masked()
}

func randomBlocks(below func(int) int) []block {
	var blocks []block
	for range below(7) {
		window := windows[below(len(windows))]
		b := block{cidr: randomPrefix(window, below)}
		for range below(4) {
			b.except = append(b.except, randomPrefix(window, below))
		}
		blocks = append(blocks, b)
	}
	return blocks
}

func checkUnion(t *testing.T, blocks []block) {
	var set BlockSet
	for _, b := range blocks {
		b.add(t, &set)
	}
	var want Reach
	ranges := set.ranges()
	for _, window := range windows {
		for a := window.Addr(); window.Contains(a); a = a.Next() {
			in := false
			for _, b := range blocks {
				in = in || b.has(a)
			}
			if got := rangesContain(ranges, a); got != in {
				t.Fatalf("%v: contains %s is %v", blocks, a, got)
			}
			switch {
			case !in || !isPublic(a):
			case a.Is4():
				want.IPv4 = want.IPv4.plus(Count{0, 1})
			default:
				want.IPv6 = want.IPv6.plus(Count{0, 1})
			}
		}
	}
	if got := set.PublicAddresses(); got != want {
		t.Errorf("%v: %v public addresses, want %v", blocks, got, want)
	}
}

func TestUnionAgainstBitmap(t *testing.T) {
	forSeeds(t, 60, func(t *testing.T, r *rand.Rand) { checkUnion(t, randomBlocks(r.IntN)) })
}

func FuzzCIDRUnion(f *testing.F) {
	f.Add([]byte{3, 1, 2, 3, 4, 5, 6, 7, 8, 9})
	f.Add([]byte("except narrows its own block only; another block reopens it"))
	f.Fuzz(func(t *testing.T, data []byte) {
		checkUnion(t, randomBlocks(func(n int) int {
			if len(data) == 0 {
				return 0
			}
			v := int(data[0])
			data = data[1:]
			if n > 256 && len(data) > 0 {
				v, data = v<<8|int(data[0]), data[1:]
			}
			return v % n
		}))
	})
}

func TestExcepts(t *testing.T) {
	for _, c := range []struct {
		name string
		add  func(*BlockSet) error
		want string
	}{
		{"narrows its block", func(s *BlockSet) error { return s.Add("20.0.0.0/24", []string{"20.0.0.0/25"}) }, "128"},
		{"reopened by the next", func(s *BlockSet) error {
			return firstError(s.Add("20.0.0.0/24", []string{"20.0.0.0/25"}), s.Add("20.0.0.0/26", nil))
		}, "192"},
		{"does not narrow the one before", func(s *BlockSet) error {
			return firstError(s.Add("20.0.0.0/25", nil), s.Add("20.0.0.0/24", []string{"20.0.0.0/25"}))
		}, "256"},
		{"of the other family", func(s *BlockSet) error { return s.Add("20.0.0.0/24", []string{"::/0"}) }, "256"},
		{"IPv4-mapped", func(s *BlockSet) error { return s.Add("20.0.0.0/24", []string{"::ffff:20.0.0.0/121"}) }, "128"},
		{"everything", func(s *BlockSet) error { return s.Add("20.0.0.0/24", []string{"0.0.0.0/0"}) }, "0"},
	} {
		var s BlockSet
		if err := c.add(&s); err != nil {
			t.Fatal(err)
		}
		if got := s.PublicAddresses().IPv4.String(); got != c.want {
			t.Errorf("%s: %s addresses, want %s", c.name, got, c.want)
		}
	}
	var s BlockSet
	if err := s.Add("20.0.0.0/24", []string{"20.0.0.0/25", "x"}); err == nil || !s.PublicAddresses().isZero() {
		t.Errorf("bad except: %v, and the set has to stay empty", err)
	}
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func TestReachInWords(t *testing.T) {
	for want, got := range map[string]string{
		"the whole IPv4 internet":         wholeInternet.IPv4.describe(IPv4),
		"the whole IPv6 internet":         wholeInternet.IPv6.describe(IPv6),
		"1 public addresses":              Count{0, 1}.describe(IPv4),
		"16,777,216 public addresses":     powerOfTwo(24).describe(IPv4),
		"2^96 public addresses":           powerOfTwo(96).describe(IPv6),
		"more than 2^96 public addresses": powerOfTwo(96).plus(Count{0, 1}).describe(IPv6),
		"79228162514264337593543950337":   powerOfTwo(96).plus(Count{0, 1}).String(),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := (Count{}).describe(IPv4) + (Count{}).describe(IPv6); got != "0 public addresses0 public addresses" {
		t.Error(got)
	}
	all := Count{^uint64(0), ^uint64(0)}
	if all.plus(all) != all {
		t.Error("a sum has to saturate")
	}
}
