package facts

import (
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
)

// certificates are the hosts that the TLS entries of an Ingress list, of
// entries that name a Secret. A wildcard is listed as "*.a.b".
type certificates struct {
	hosts []string // normal, sorted
	// parents are the wildcards without their "*": ".a.b", sorted.
	parents []string
}

func newCertificates(tls []networkingv1.IngressTLS) certificates {
	n := 0
	for i := range tls {
		if tls[i].SecretName != "" {
			n += len(tls[i].Hosts)
		}
	}
	if n == 0 {
		return certificates{}
	}
	c := certificates{hosts: make([]string, 0, n)}
	for i := range tls {
		if tls[i].SecretName == "" {
			continue
		}
		for _, h := range tls[i].Hosts {
			h = normalHost(h)
			c.hosts = append(c.hosts, h)
			if parent, ok := strings.CutPrefix(h, "*"); ok && len(parent) > 1 && parent[0] == '.' {
				c.parents = append(c.parents, parent)
			}
		}
	}
	slices.Sort(c.hosts)
	slices.Sort(c.parents)
	return c
}

// cover reports whether an entry lists the host, exactly or by a wildcard for
// its first label. Nothing covers every host (""). A wildcard is covered by the
// same wildcard only. The host has to be normal.
func (c certificates) cover(host string) bool {
	if host == "" || len(c.hosts) == 0 {
		return false
	}
	if _, ok := slices.BinarySearch(c.hosts, host); ok {
		return true
	}
	dot := strings.IndexByte(host, '.')
	if dot < 1 || strings.IndexByte(host, '*') >= 0 {
		return false
	}
	_, ok := slices.BinarySearch(c.parents, host[dot:])
	return ok
}
