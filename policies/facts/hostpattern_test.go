package facts

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func pattern(host, via string) HostPattern { return Host{Host: host, Via: via}.Pattern() }

func TestOverlapsOfHosts(t *testing.T) {
	const rule, alias, rest = ViaRule, ViaAlias, ViaDefaultBackend
	for _, c := range []struct {
		a, viaA, b, viaB string
		want             bool
	}{
		{"shop.example.com", rule, "shop.example.com", rule, true},
		{"shop.example.com", rule, "shop.example.com", alias, true},
		{"shop.example.com", rule, "shop.example.org", rule, false},
		{"shop.example.com", rule, "*.example.com", rule, true},
		{"a.shop.example.com", rule, "*.example.com", rule, false},
		{"example.com", rule, "*.example.com", rule, false},
		{"example.com", rule, "*.com", rule, true},
		{"xexample.com", rule, "*.example.com", rule, false},
		{"*.example.com", rule, "*.example.com", rule, true},
		{"*.a.example.com", rule, "*.example.com", rule, false},
		// nginx: any number of labels.
		{"a.shop.example.com", rule, "*.example.com", alias, true},
		{"example.com", rule, "*.example.com", alias, false},
		{"example.com", rule, ".example.com", alias, true},
		{"*.com", rule, ".example.com", alias, true},
		{"*.com", rule, "*.example.com", alias, false},
		{"*.a.example.com", rule, "*.example.com", alias, true},
		{"*.a.example.com", alias, ".example.com", alias, true},
		{"*.example.org", alias, ".example.com", alias, false},
		{"shop.example.com", rule, "shop.*", alias, true},
		{"shop", rule, "shop.*", alias, false},
		{"www.shop.example.com", rule, "shop.*", alias, false},
		{"*.example.com", rule, "shop.*", alias, true},
		{"*.example.com", rule, "shop.example.*", alias, true},
		{"*.example.com", rule, "shop.sample.*", alias, false},
		{".com", alias, "shop.*", alias, true},
		{"shop.a.*", alias, "shop.*", alias, true},
		{"shop.*", alias, "blog.*", alias, false},
		{"www12.example.com", rule, `~^www\d+\.example\.com$`, alias, true},
		{"shop.example.com", rule, `~^www\d+\.example\.com$`, alias, false},
		{"*.example.com", rule, `~^www\d+\.example\.com$`, alias, true},
		{"*.example.org", rule, `~^www\d+\.example\.com$`, alias, false},
		{`~^www\d+\.example\.com$`, alias, `~^(?<x>.+)\.example\.org$`, alias, false},
		{`~^www\d+\.example\.com$`, alias, `~example`, alias, true},
		{"shop.example.com", rule, "~(?!shop)", alias, true}, // no expression of Go's
		{"shop.example.com", rule, "~" + strings.Repeat("a", 2000), alias, true},
		// Every name, and what is left of them.
		{"shop.example.com", rule, "", rule, true},
		{"*.example.com", rule, "", rule, true},
		{"", rule, "", rule, true},
		{"shop.example.com", rule, "*", alias, true},
		{"", rest, "shop.example.com", rule, false},
		{"", rest, "*.example.com", alias, false},
		{"", rest, "", rest, true},
		{"", rest, "", rule, true},
		{"a*b.example.com", rule, "shop.example.org", rule, true}, // nothing that an API server stores
	} {
		a, b := pattern(c.a, c.viaA), pattern(c.b, c.viaB)
		if got := a.Overlaps(b); got != c.want {
			t.Errorf("%s %q, %s %q: got %v", c.viaA, c.a, c.viaB, c.b, got)
		}
		if a.Overlaps(b) != b.Overlaps(a) {
			t.Errorf("%s %q, %s %q: not the same in both directions", c.viaA, c.a, c.viaB, c.b)
		}
	}
}

// In a world of short names made of few labels, patterns overlap if and only if a name is in both, as the
// documentation of the API and of nginx describes them.
func TestOverlapsAgreesWithAllNames(t *testing.T) {
	labels := []string{"a", "b", "aa"}
	names := slices.Clone(labels)
	for from, depth := 0, 1; depth < 5; depth++ {
		to := len(names)
		for _, name := range names[from:to] {
			for _, label := range labels {
				names = append(names, label+"."+name)
			}
		}
		from = to
	}
	var hosts []HostIdentity
	for _, name := range names {
		switch strings.Count(name, ".") {
		case 0, 1:
			hosts = append(hosts, HostIdentity{name + ".*", ViaAlias}, HostIdentity{"." + name, ViaAlias}, HostIdentity{"*." + name, ViaAlias})
			fallthrough
		case 2:
			hosts = append(hosts, HostIdentity{name, ViaRule}, HostIdentity{"*." + name, ViaRule})
		}
	}
	within := map[HostIdentity]map[string]bool{}
	for _, h := range hosts {
		within[h] = map[string]bool{}
		for _, name := range names {
			within[h][name] = isNamed(h, name)
		}
	}
	for i, p := range hosts {
		for _, q := range hosts[i:] {
			want := slices.ContainsFunc(names, func(name string) bool { return within[p][name] && within[q][name] })
			if got := p.Pattern().Overlaps(q.Pattern()); got != want || q.Pattern().Overlaps(p.Pattern()) != want {
				t.Fatalf("%v and %v: got %v, want %v", p, q, got, want)
			}
			parentP, okP := p.Pattern().Parent()
			if parentQ, okQ := q.Pattern().Parent(); want && okP && okQ && parentP != parentQ {
				t.Fatalf("%v and %v overlap, and have the parents %q and %q", p, q, parentP, parentQ)
			}
		}
	}
}

func isNamed(h HostIdentity, name string) bool {
	switch {
	case strings.HasPrefix(h.Host, "."):
		return name == h.Host[1:] || strings.HasSuffix(name, h.Host)
	case strings.HasPrefix(h.Host, "*"):
		first, found := strings.CutSuffix(name, h.Host[1:])
		return found && first != "" && (h.Via == ViaAlias || !strings.Contains(first, "."))
	case strings.HasSuffix(h.Host, "*"):
		return strings.HasPrefix(name, strings.TrimSuffix(h.Host, "*")) && len(name) >= len(h.Host)
	}
	return name == h.Host
}

func TestClaimedHosts(t *testing.T) {
	served := []Host{
		{Host: "a.example.com", Via: ViaRule, Field: "spec.rules[0].host"},
		{Host: "a.example.com", Via: ViaRule, Field: "spec.rules[1].host"},
		{Host: "a.example.com", Via: ViaAlias},
		{Via: ViaDefaultBackend},
	}
	if got := fmt.Sprint(len(ClaimedHosts(served)), " ", ClaimedHosts(served)[0].Field); got != "2 spec.rules[0].host" {
		t.Errorf("beside rules: %s", got)
	}
	if got := ClaimedHosts([]Host{{Via: ViaDefaultBackend, Wildcard: true}}); len(got) != 1 {
		t.Errorf("alone: %v", got)
	}
}

func TestNewHosts(t *testing.T) {
	a, b := Host{Host: "a.example.com", Via: ViaRule, Field: "spec.rules[0].host"}, Host{Host: "b.example.com", Via: ViaRule}
	moved := a
	moved.Field = "spec.rules[7].host"
	old := HostClaims{Class: "nginx", Hosts: []Host{a}}
	if got := (HostClaims{Class: "nginx", Hosts: []Host{b, moved}}).NewHosts(old); len(got) != 1 || got[0] != b {
		t.Errorf("one more: %v", got)
	}
	if got := (HostClaims{Class: "traefik", Hosts: []Host{a}}).NewHosts(old); len(got) != 1 {
		t.Errorf("another class: %v", got)
	}
}
