package facts

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func domains(t *testing.T, texts ...string) Domains {
	t.Helper()
	d, err := NewDomains(texts)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDomainsContain(t *testing.T) {
	const rule, alias = ViaRule, ViaAlias
	for _, c := range []struct {
		domains, host, via string
		want               bool
	}{
		{"shop.example.com", "shop.example.com", rule, true},
		{"SHOP.example.com.", "shop.example.com", rule, true},
		{"shop.example.com", "a.shop.example.com", rule, false},
		{"shop.example.com", "*.shop.example.com", rule, false},
		{"*.example.com", "shop.example.com", rule, true},
		{"*.example.com", "*.example.com", rule, true},
		{"*.example.com", "example.com", rule, false},
		{"*.example.com", "a.shop.example.com", rule, false},
		{"*.example.com", "*.shop.example.com", rule, false},
		{"*.example.com", "*.example.com", alias, false}, // any number of labels to nginx
		{"*.example.com", "xexample.com", rule, false},
		{"**.example.com", "a.shop.example.com", rule, true},
		{"**.example.com", "*.shop.example.com", rule, true},
		{"**.example.com", "*.example.com", alias, true},
		{"**.example.com", "example.com", rule, false},
		{"**.example.com", "xexample.com", rule, false},
		{"**.example.com", "*.com", rule, false},
		{"**.example.com", ".example.com", alias, false},
		{"**.example.com", ".shop.example.com", alias, true},
		{"**.example.com example.com", ".example.com", alias, true},
		{"**.example.com *.com", ".example.com", alias, true},
		{"**.example.com", `~^www\d+\.example\.com$`, alias, true},
		{"**.example.com", `~^www\d+\.shop\.example\.com$`, alias, true},
		{"**.example.com", `~example\.com`, alias, false},
		{"**.example.com", `~^(?!a)\.example\.com$`, alias, false},
		{"shop.example.com", `~^shop\.example\.com$`, alias, false},
		{"**.example.com", "shop.*", alias, false},
		{"**.example.com", "", rule, false},
		{"**.example.com", "", ViaDefaultBackend, false},
		{"**.example.com", "a*b.example.com", rule, false},
		{"**", "", rule, true},
		{"**", "", ViaDefaultBackend, true},
		{"**", "~.", alias, true},
		{"", "shop.example.com", rule, false},
		{"a.example.com b.example.com", "b.example.com", rule, true},
	} {
		if got := domains(t, strings.Fields(c.domains)...).contain(pattern(c.host, c.via)); got != c.want {
			t.Errorf("%q, %s %q: got %v", c.domains, c.via, c.host, got)
		}
	}
}

func TestNewDomainsRefuses(t *testing.T) {
	for _, text := range []string{"", ".", "*", "*.", "**.", ".example.com", "a.*.example.com", "*.*.example.com", "***.example.com", "https://example.com",
		"example.com/", "exämple.com", "a b", "shop.*", "~a", "-a.example.com", strings.Repeat("a.", 130) + "com"} {
		if _, err := NewDomains([]string{"example.com", text}); err == nil {
			t.Errorf("%q is taken for a domain", text)
		}
	}
}

// In a world of short names, domains contain a host if and only if they have all of its names. No domain has the label z,
// so that no list of names is all of a wildcard.
func TestContainAgreesWithAllNames(t *testing.T) {
	labels := []string{"a", "b", "aa", "z"}
	names := slices.Clone(labels)
	for from, depth := 0, 1; depth < 4; depth++ {
		to := len(names)
		for _, name := range names[from:to] {
			for _, label := range labels {
				names = append(names, label+"."+name)
			}
		}
		from = to
	}
	var hosts []HostIdentity
	var texts []string
	for _, name := range names {
		if strings.Contains(name, "z") || strings.Count(name, ".") > 1 {
			continue
		}
		hosts = append(hosts, HostIdentity{name, ViaRule}, HostIdentity{"*." + name, ViaRule}, HostIdentity{"*." + name, ViaAlias}, HostIdentity{"." + name, ViaAlias})
		texts = append(texts, name, "*."+name, "**."+name)
	}
	forSeeds(t, 300, func(t *testing.T, r *rand.Rand) {
		given := []string{pick(r, texts...), pick(r, texts...), pick(r, texts...)}
		d := domains(t, given...)
		for _, h := range hosts {
			want := !slices.ContainsFunc(names, func(name string) bool {
				return isNamed(h, name) && !slices.ContainsFunc(given, func(text string) bool { return isWithin(text, name) })
			})
			if got := d.contain(h.Pattern()); got != want {
				t.Fatalf("%v, %v: got %v, want %v", given, h, got, want)
			}
		}
	})
}

func isWithin(domain, name string) bool {
	if below, deep := strings.CutPrefix(domain, "**"); deep {
		return strings.HasSuffix(name, below)
	}
	return isNamed(HostIdentity{domain, ViaRule}, name)
}

func TestClaimsOutside(t *testing.T) {
	own := domains(t, "shop.example.com", "*.shop.example.com")
	web := ingress("nginx", nil, "shop.example.com", "bank.example.com", "Bank.example.com.", "")
	web.Spec.TLS = append(web.Spec.TLS, tlsEntry("s", "shop.example.com", "*.example.com"), tlsEntry("", "mail.example.com"))
	web.Annotations = map[string]string{redirectAnnotation: "T", dnsAnnotation: "a.shop.example.com, Mail.example.com,, "}
	found := []NameClaim{
		{"bank.example.com", "spec.rules[1].host", ViaRule},
		{"", "spec.rules[3]", ViaRule},
		{"www.bank.example.com", "metadata.annotations[nginx.ingress.kubernetes.io/from-to-www-redirect]", ViaRedirect},
		{"*.example.com", "spec.tls[0].hosts[1]", ViaTLS},
		{"mail.example.com", "spec.tls[1].hosts[0]", ViaTLS},
		{"mail.example.com", "metadata.annotations[external-dns.alpha.kubernetes.io/hostname]", ViaDNS},
	}
	if got := ClaimsOutside(web, ControllerNginx, own); !reflect.DeepEqual(got, found) {
		t.Errorf("got %+v", got)
	}
	if got := ClaimsOutside(web, ControllerTraefik, own); len(got) != len(found)-1 {
		t.Errorf("nobody reads the redirect: %+v", got)
	}
	if got := ClaimsOutside(web, ControllerNginx, domains(t, "**")); got != nil {
		t.Errorf("every name: %+v", got)
	}
	if got := ClaimsOutside(nil, ControllerNginx, own); got != nil {
		t.Errorf("nothing: %+v", got)
	}
	redirected := ingress("", nil, "www.shop.example.com", "*.shop.example.com")
	redirected.Annotations = map[string]string{redirectAnnotation: "true"}
	if got := ClaimsOutside(redirected, ControllerUnknown, domains(t, "*.shop.example.com")); len(got) != 1 || got[0].Host != "shop.example.com" {
		t.Errorf("without www: %+v", got)
	}
}

// Compiling regular expressions takes time: beyond the bound an expression may match any name.
func TestClaimsOutsideBoundsExpressions(t *testing.T) {
	var names []string
	for i := range maxRegexps + 2 {
		names = append(names, fmt.Sprintf(`~^w%d\.example\.com$`, i))
	}
	web := ingress("nginx", nil, "a.example.com")
	web.Annotations = map[string]string{aliasAnnotation: strings.Join(names, " ")}
	if got := ClaimsOutside(web, ControllerNginx, domains(t, "**.example.com")); len(got) != 2 {
		t.Errorf("got %d claims", len(got))
	}
}
