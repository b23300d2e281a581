package facts

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
)

func ingress(class string, tls []networkingv1.IngressTLS, hosts ...string) *networkingv1.Ingress {
	ing := &networkingv1.Ingress{}
	if class != "" {
		ing.Spec.IngressClassName = &class
	}
	ing.Spec.TLS = tls
	for _, h := range hosts {
		ing.Spec.Rules = append(ing.Spec.Rules, networkingv1.IngressRule{Host: h})
	}
	return ing
}

func tlsEntry(secret string, hosts ...string) networkingv1.IngressTLS {
	return networkingv1.IngressTLS{SecretName: secret, Hosts: hosts}
}

func TestIngressClass(t *testing.T) {
	ing := ingress("", nil)
	ing.Annotations = map[string]string{classAnnotation: "traefik"}
	if got := IngressClass(ing); got != "traefik" {
		t.Errorf("annotation: got %q", got)
	}
	name := "nginx"
	ing.Spec.IngressClassName = &name
	if got := IngressClass(ing); got != "nginx" {
		t.Errorf("the field wins: got %q", got)
	}
	if IngressClass(nil) != "" || IngressClass(ingress("", nil)) != "" {
		t.Error("no class")
	}
	for class, want := range map[string]string{"nginx": "nginx", "gce-internal": "gce", "alb": "alb", "nginx-internal": "", "": ""} {
		if got := ClassController(class); got != want {
			t.Errorf("ClassController(%q) = %q", class, got)
		}
	}
}

func TestCoverage(t *testing.T) {
	for _, c := range []struct {
		name, host string
		tls        []networkingv1.IngressTLS
		want       bool
	}{
		{"no section", "a.example.com", nil, false},
		{"exact", "a.example.com", []networkingv1.IngressTLS{tlsEntry("s", "a.example.com")}, true},
		{"no secret", "a.example.com", []networkingv1.IngressTLS{tlsEntry("", "a.example.com")}, false},
		{"no hosts", "a.example.com", []networkingv1.IngressTLS{tlsEntry("s")}, false},
		{"empty host", "a.example.com", []networkingv1.IngressTLS{tlsEntry("s", "")}, false},
		{"second entry", "a.example.com", []networkingv1.IngressTLS{{}, tlsEntry("s", "b.example.com", "a.example.com")}, true},
		{"case", "A.example.COM", []networkingv1.IngressTLS{tlsEntry("s", "a.Example.com")}, true},
		{"trailing dot", "a.example.com.", []networkingv1.IngressTLS{tlsEntry("s", "a.example.com")}, true},
		{"trailing dot in the certificate", "a.example.com", []networkingv1.IngressTLS{tlsEntry("s", "*.example.com.")}, true},
		{"wildcard", "a.example.com", []networkingv1.IngressTLS{tlsEntry("s", "*.EXAMPLE.com")}, true},
		{"wildcard, two labels", "a.b.example.com", []networkingv1.IngressTLS{tlsEntry("s", "*.example.com")}, false},
		{"wildcard, no label", "example.com", []networkingv1.IngressTLS{tlsEntry("s", "*.example.com")}, false},
		{"wildcard host, same", "*.example.com", []networkingv1.IngressTLS{tlsEntry("s", "*.example.com")}, true},
		{"wildcard host, wider", "*.a.example.com", []networkingv1.IngressTLS{tlsEntry("s", "*.example.com")}, false},
		{"wildcard host, one name", "*.example.com", []networkingv1.IngressTLS{tlsEntry("s", "a.example.com")}, false},
		{"star within a label", "w*.example.com", []networkingv1.IngressTLS{tlsEntry("s", "*.example.com")}, false},
		{"star alone", "localhost", []networkingv1.IngressTLS{tlsEntry("s", "*")}, false},
		{"every host", "", []networkingv1.IngressTLS{tlsEntry("s", "", "*", "*.")}, false},
	} {
		got := ServedHosts(ingress("nginx", c.tls, c.host))
		if len(got) != 1 || got[0].Covered != c.want {
			t.Errorf("%s: %+v, want covered=%v", c.name, got, c.want)
		}
	}
}

func TestServedHosts(t *testing.T) {
	const alias = "metadata.annotations[nginx.ingress.kubernetes.io/server-alias]"
	tls := []networkingv1.IngressTLS{tlsEntry("s", "a.example.com", "*.b.example.com")}
	withBackend := ingress("nginx", tls, "a.example.com")
	withBackend.Spec.DefaultBackend = &networkingv1.IngressBackend{}
	onlyBackend := ingress("nginx", tls)
	onlyBackend.Spec.DefaultBackend = &networkingv1.IngressBackend{}
	withAlias := func(class, value string) *networkingv1.Ingress {
		ing := ingress(class, tls, "a.example.com")
		ing.Annotations = map[string]string{aliasAnnotation: value}
		return ing
	}
	first := Host{Host: "a.example.com", Field: "spec.rules[0].host", Covered: true, Via: ViaRule}
	for _, c := range []struct {
		name string
		ing  *networkingv1.Ingress
		want []Host
	}{
		{"nil", nil, nil},
		{"nothing", ingress("", nil), []Host{{Field: "spec", Wildcard: true, Via: ViaDefaultBackend}}},
		{"rule without host", ingress("nginx", tls, "A.example.com", ""), []Host{first, {Field: "spec.rules[1]", Wildcard: true, Via: ViaRule}}},
		{"wildcard", ingress("nginx", tls, "*.B.example.com"), []Host{{Host: "*.b.example.com", Field: "spec.rules[0].host", Wildcard: true, Covered: true, Via: ViaRule}}},
		{"default backend beside", withBackend, []Host{first, {Field: "spec.defaultBackend", Via: ViaDefaultBackend}}},
		{"default backend alone", onlyBackend, []Host{{Field: "spec.defaultBackend", Wildcard: true, Via: ViaDefaultBackend}}},
		{"aliases", withAlias("nginx", "X.b.example.com,  c.example.com,"), []Host{first,
			{Host: "x.b.example.com", Field: alias, Covered: true, Via: ViaAlias}, {Host: "c.example.com", Field: alias, Via: ViaAlias, Secret: "c-example-com-tls"}}},
		{"alias between other blanks", withAlias("nginx", "\u00a0c.example.com\u2003,\u0085"), []Host{first,
			{Host: "c.example.com", Field: alias, Via: ViaAlias, Secret: "c-example-com-tls"}}},
		{"alias star", withAlias("my-class", "*"), []Host{first, {Host: "*", Field: alias, Wildcard: true, Via: ViaAlias}}},
		{"alias wildcard", withAlias("", "*.b.example.com www.example.* .example.com"), []Host{first,
			{Host: "*.b.example.com", Field: alias, Wildcard: true, Covered: true, Via: ViaAlias},
			{Host: "www.example.*", Field: alias, Wildcard: true, Via: ViaAlias}, {Host: ".example.com", Field: alias, Wildcard: true, Via: ViaAlias}}},
		{"alias expression", withAlias("", `~^A\.example\.com$`), []Host{first, {Host: `~^A\.example\.com$`, Field: alias, Wildcard: true, Via: ViaAlias}}},
		{"alias of another controller", withAlias("traefik", "c.example.com"), []Host{first}},
		{"alias, gce-internal", withAlias("gce-internal", "c.example.com"), []Host{first}},
	} {
		if got := ServedHosts(c.ing); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s:\n got %+v\nwant %+v", c.name, got, c.want)
		}
	}
	if got := ServedHostsBy(withAlias("edge", "c.example.com"), ControllerALB); len(got) != 1 {
		t.Errorf("resolved controller: %v", got)
	}
}

// TestCoverageAgainstReference compares label by label.
func TestCoverageAgainstReference(t *testing.T) {
	name := func(r *rand.Rand) string {
		labels := []string{pick(r, "*", "a", "b", "A"), pick(r, "a", "b", "B"), "com"}
		return strings.Join(labels[r.IntN(3):], ".") + pick(r, "", "", ".")
	}
	covers := func(cert, host string) bool {
		c, h := strings.Split(strings.TrimSuffix(cert, "."), "."), strings.Split(strings.TrimSuffix(host, "."), ".")
		if len(c) != len(h) {
			return false
		}
		for i := range c {
			if !strings.EqualFold(c[i], h[i]) && !(i == 0 && c[i] == "*" && len(c) > 1) {
				return false
			}
		}
		return true
	}
	forSeeds(t, 3000, func(t *testing.T, r *rand.Rand) {
		var tls []networkingv1.IngressTLS
		for range r.IntN(4) {
			e := tlsEntry(pick(r, "", "s", "s"))
			for range r.IntN(3) {
				e.Hosts = append(e.Hosts, name(r))
			}
			tls = append(tls, e)
		}
		host, want := name(r), false
		for _, e := range tls {
			for _, h := range e.Hosts {
				want = want || e.SecretName != "" && covers(h, host)
			}
		}
		if got := ServedHosts(ingress("nginx", tls, host)); got[0].Covered != want {
			t.Errorf("%q by %v: %v", host, tls, got)
		}
	})
}

func BenchmarkServedHosts(b *testing.B) {
	for _, n := range []int{2, 200} {
		var tls []networkingv1.IngressTLS
		var hosts []string
		for i := range n {
			hosts = append(hosts, fmt.Sprintf("h%d.shop.example.com", i))
			tls = append(tls, tlsEntry("s", hosts[i]))
		}
		ing := ingress("nginx", tls, hosts...)
		b.Run(fmt.Sprintf("hosts=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ServedHosts(ing)
			}
		})
	}
}

func TestControllerOf(t *testing.T) {
	cases := []struct{ class, implementation, want string }{
		{"nginx", "", ControllerNginx},
		{"edge", "", ControllerUnknown},
		{"edge", "k8s.io/ingress-nginx", ControllerNginx},
		{"edge", "haproxy.org/ingress-controller/edge", ControllerHAProxy},
		{"edge", "haproxy-ingress.github.io/controller", ControllerHAProxy},
		{"edge", "traefik.io/ingress-controller", ControllerTraefik},
		{"edge", "ingress.k8s.aws/alb", ControllerALB},
		{"edge", "eks.amazonaws.com/alb", ControllerALB},
		{"edge", "k8s.io/ingress-gce", ControllerGCE},
		{"edge", "nginx.org/ingress-controller", ControllerUnknown},
		{"haproxy", "k8s.io/ingress-nginx", ControllerNginx}, // the name says one thing, the cluster another
		{"nginx", "haproxy.org/ingress-controller", ControllerHAProxy},
		{"gce-internal", "example.com/own", ControllerGCE},
		{"", "", ControllerUnknown},
	}
	for _, c := range cases {
		if got := ControllerOf(c.class, c.implementation); got != c.want {
			t.Errorf("class %q of %q: got %q, want %q", c.class, c.implementation, got, c.want)
		}
	}
}

func TestSuggestedSecret(t *testing.T) {
	long := strings.Repeat("a.", 125) + "b" // 251 characters: a name, but not with -tls
	for host, want := range map[string]string{"shop.example.com": "shop-example-com-tls", "*.example.com": "wildcard-example-com-tls",
		"": "", "*": "", "*.": "", "a..b": "", "-a.b": "", "~^x$": "", "a b": "", long: "", long[2:]: strings.Repeat("a-", 124) + "b-tls"} {
		if got := secretName(host); got != want {
			t.Errorf("%q: got %q, want %q", host, got, want)
		}
	}
}
