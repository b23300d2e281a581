package facts

import (
	"fmt"
	"strconv"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
)

// NameClaim is a name that an Ingress asks for.
type NameClaim struct {
	// Host is in lower case and without trailing dot; "" is every host.
	Host  string `json:"host"`
	Field string `json:"field"` // spec.tls[0].hosts[1]
	Via   string `json:"via"`   // a Via constant
}

// How an Ingress comes to claim a name that it doesn't serve, or not by that name.
const (
	ViaTLS      = "tls"      // spec.tls: cert-manager gets a certificate for it
	ViaRedirect = "redirect" // nginx.ingress.kubernetes.io/from-to-www-redirect: the name with www. or without
	ViaDNS      = "dns"      // external-dns.alpha.kubernetes.io/hostname: external-dns makes a record
)

const (
	redirectAnnotation = "nginx.ingress.kubernetes.io/from-to-www-redirect"
	dnsAnnotation      = "external-dns.alpha.kubernetes.io/hostname"
)

// ClaimAnnotations are the annotations in which an Ingress names or makes hosts.
func ClaimAnnotations() []string { return []string{aliasAnnotation, redirectAnnotation, dnsAnnotation} }

// ClaimsOutside are the names outside of the domains that ing asks for, where one of the Controller constants serves
// its class: hosts that it serves, the default backend's every host among them, hosts in spec.tls, and names that
// annotations have redirected or put into DNS. Each is there once, by its first field.
func ClaimsOutside(ing *networkingv1.Ingress, controller string, domains Domains) []NameClaim {
	if ing == nil || domains.every {
		return nil
	}
	c := claimSearch{domains: domains, seen: map[HostIdentity]bool{}}
	served := ServedHostsBy(ing, controller)
	for _, h := range served {
		c.claim(h.Host, h.Field, h.Via)
	}
	if controller == ControllerNginx || controller == ControllerUnknown {
		if on, _ := strconv.ParseBool(ing.Annotations[redirectAnnotation]); on {
			c.redirects(served)
		}
	}
	for i := range ing.Spec.TLS {
		for j, host := range ing.Spec.TLS[i].Hosts {
			c.claim(normalHost(host), fmt.Sprintf("spec.tls[%d].hosts[%d]", i, j), ViaTLS)
		}
	}
	for name := range strings.SplitSeq(ing.Annotations[dnsAnnotation], ",") {
		if name = strings.TrimSpace(name); name != "" {
			c.claim(normalHost(name), "metadata.annotations["+dnsAnnotation+"]", ViaDNS)
		}
	}
	return c.found
}

// claimSearch collects claims outside of domains.
type claimSearch struct {
	domains     Domains
	seen        map[HostIdentity]bool
	expressions int
	found       []NameClaim
}

func (c *claimSearch) claim(host, field, via string) {
	h := Host{Host: host, Via: via}
	if c.seen[h.Identity()] {
		return
	}
	c.seen[h.Identity()] = true
	if strings.HasPrefix(host, "~") {
		if c.expressions++; c.expressions > maxRegexps {
			h.Host = "*"
		}
	}
	if !c.domains.contain(h.Pattern()) {
		c.found = append(c.found, NameClaim{host, field, via})
	}
}

// redirects are the names that ingress-nginx redirects to the hosts of rules.
func (c *claimSearch) redirects(served []Host) {
	for _, h := range served {
		if h.Via != ViaRule || h.Wildcard {
			continue
		}
		name, has := strings.CutPrefix(h.Host, "www.")
		if !has {
			name = "www." + h.Host
		}
		c.claim(name, "metadata.annotations["+redirectAnnotation+"]", ViaRedirect)
	}
}
