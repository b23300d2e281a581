package facts

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestExternalTargetOf(t *testing.T) {
	const (
		self, service, domain                             = "the host that asks", "a Service of the cluster", "in the cluster's domain cluster.local"
		private, loopback, linkLocal, unspecified, shared = "a private address", "a loopback address", "a link-local address",
			"an unspecified address", "an address of carrier-grade NAT"
	)
	for name, inside := range map[string]string{
		"ledger.finance.svc.cluster.local": domain, "Ledger.Finance.SVC.Cluster.Local.": domain, "cluster.local": domain, "cluster.local.": domain,
		"10-0-0-1.finance.pod.cluster.local": domain, "x.notcluster.local": "", "cluster.local.example.com": "",
		"ledger.finance.svc": "a Service of the cluster", "ledger.finance.svc.": service, "x.svc": service, "svc": "", "x.notsvc": "", "x.svc.example.com": "",
		"kubernetes.default": service, "kubernetes.default.": service, "kubernetes.default.example.com": "", "kubernetes": "",
		"10-0-0-1.finance.pod": "a pod of the cluster", "finance.pod": "",
		"localhost": self, "LOCALHOST.": self, "x.localhost": self, "localhost.localdomain": self, "ip6-localhost": self, "localhost.example.com": "", "mylocalhost": "",
		"10.1.2.3": private, "172.16.0.1": private, "172.32.0.1": "", "192.168.0.1.": private, "fd00::1": private, "[fd00::1]": private, "2001:db8::1": "",
		"127.0.0.1": loopback, "127.1": loopback, "2130706433": loopback, "0x7f.1": loopback, "0x7f000001": loopback, "0177.0.0.1": loopback, "0177.1": loopback,
		"::1": loopback, "[::1]": loopback, "::ffff:127.0.0.1": loopback, "128.0.0.1": "", "127.0.0.1.nip.io": "", "127.0.0.256": "", "127.0.0.0.1": "",
		"169.254.169.254": linkLocal, "0xa9fea9fe": linkLocal, "fe80::1%eth0": linkLocal, "169.254.169.254.nip.io": "", "metadata.google.internal": "",
		"0.0.0.0": unspecified, "0": unspecified, "::": unspecified, "100.64.0.1": shared, "100.128.0.1": "",
		"010.1.1.1": private, // decimal to some readers
		"012.1.1.1": private, // octal to most
		"8.8.8.8":   "", "203.0.113.9": "", "10.1.2.3.example.com": "", "10.example.com": "", "0x.1": "", "0xg.1": "", "10.+1": "", "1_0.1": "", "": "", ".": "",
		"orders-db.eu.example.net": "",
	} {
		if got := ExternalTargetOf(name, []string{"cluster.local"}); got.Inside != inside {
			t.Errorf("%q: got %q, want %q", name, got.Inside, inside)
		}
	}
}

func TestClusterDomains(t *testing.T) {
	for _, domain := range []string{"k8s.example.com", ".K8s.Example.com."} {
		if got := ExternalTargetOf("a.b.svc.k8s.example.com", []string{"", ".", domain}); got.Inside != "in the cluster's domain k8s.example.com" {
			t.Errorf("%q: got %+v", domain, got)
		}
	}
	if got := ExternalTargetOf("example.com.", []string{"", "."}); got != (ExternalTarget{}) {
		t.Errorf("an empty domain holds nothing: got %+v", got)
	}
}

func TestSearchedName(t *testing.T) {
	for name, want := range map[string]ExternalTarget{
		"ledger.finance": {Service: "ledger", Namespace: "finance"}, "Ledger-0.ledger.Finance": {Service: "ledger", Namespace: "finance"},
		"ledger.finance.": {}, "ledger": {}, "a.ledger-0.ledger.finance": {}, "x.svc": {Inside: "a Service of the cluster"},
	} {
		if got := ExternalTargetOf(name, nil); got != want {
			t.Errorf("%q: got %+v, want %+v", name, got, want)
		}
	}
}

// Every spelling that inet_aton takes is the address.
func TestSpellingsOfAddresses(t *testing.T) {
	number := func(r *rand.Rand, n uint32) string {
		return fmt.Sprintf(pick(r, "%d", "0x%x", "0x%08X", "0%o", "0%06o"), n)
	}
	forSeeds(t, 2000, func(t *testing.T, r *rand.Rand) {
		value := r.Uint32()
		want := netip.AddrFrom4([4]byte{byte(value >> 24), byte(value >> 16), byte(value >> 8), byte(value)})
		parts := 1 + r.IntN(4)
		var spelling []string
		for i := range parts - 1 {
			spelling = append(spelling, number(r, value>>(24-8*i)&0xff))
		}
		spelling = append(spelling, number(r, value&(1<<(8*(5-parts))-1)))
		text := strings.ToLower(strings.Join(spelling, "."))
		if got := addressReadings(text); !slices.Contains(got, want) {
			t.Errorf("%s: got %v, want %s", text, got, want)
		}
	})
}
