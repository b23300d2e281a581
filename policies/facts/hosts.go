package facts

import (
	"strconv"
	"strings"
	"unicode"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// Host is a name that an Ingress serves.
type Host struct {
	// Host is in lower case and without trailing dot; "" is every host.
	Host  string `json:"host"`
	Field string `json:"field"` // spec.rules[0].host
	// Wildcard is whether the Ingress claims names here that it doesn't list:
	// a rule without host, a name with a wildcard, a regular expression, or a
	// default backend without rules beside it. A default backend beside rules
	// only takes what they leave.
	Wildcard bool `json:"wildcard"`
	// Covered is whether a TLS entry with a Secret lists the host.
	Covered bool `json:"covered"`
	// Secret is a name to suggest for the Secret that an uncovered host lacks: shop-example-com-tls, or
	// wildcard-example-com-tls for *.example.com. Empty if the host is covered or no DNS name.
	Secret string `json:"secret"`
	Via    string `json:"via"` // one of the constants below
}

// How an Ingress comes to serve a host.
const (
	ViaRule           = "rule"
	ViaDefaultBackend = "defaultBackend"
	ViaAlias          = "alias" // nginx.ingress.kubernetes.io/server-alias
)

const (
	classAnnotation = "kubernetes.io/ingress.class"
	aliasAnnotation = "nginx.ingress.kubernetes.io/server-alias"
)

// The controllers whose annotations Sluice knows.
const (
	ControllerUnknown = ""
	ControllerNginx   = "nginx"
	ControllerHAProxy = "haproxy"
	ControllerTraefik = "traefik"
	ControllerALB     = "alb"
	ControllerGCE     = "gce"
)

// IngressClass is spec.ingressClassName or, without it, the annotation
// kubernetes.io/ingress.class; "" if there is neither.
func IngressClass(ing *networkingv1.Ingress) string {
	if ing == nil {
		return ""
	}
	if name := ing.Spec.IngressClassName; name != nil && *name != "" {
		return *name
	}
	return ing.Annotations[classAnnotation]
}

// ClassController is the controller that a class is named after;
// ControllerUnknown for every other name and for none.
func ClassController(class string) string {
	switch class {
	case "nginx", "haproxy", "traefik", "alb", "gce":
		return class
	case "gce-internal":
		return ControllerGCE
	}
	return ControllerUnknown
}

// implementations are the controllers by the beginning of IngressClass.spec.controller, which each
// controller's documentation names.
var implementations = []struct{ prefix, controller string }{
	{"k8s.io/ingress-nginx", ControllerNginx},
	{"haproxy.org/ingress-controller", ControllerHAProxy},
	{"haproxy-ingress.github.io/controller", ControllerHAProxy},
	{"traefik.io/ingress-controller", ControllerTraefik},
	{"ingress.k8s.aws/alb", ControllerALB},
	{"eks.amazonaws.com/alb", ControllerALB},
	{"k8s.io/ingress-gce", ControllerGCE},
}

// ControllerOf is the controller that serves a class. implementation is spec.controller of the IngressClass
// of that name and decides, since names are free; without it, or if it is none that Sluice knows, the name
// of the class does.
func ControllerOf(class, implementation string) string {
	for _, known := range implementations {
		if strings.HasPrefix(implementation, known.prefix) {
			return known.controller
		}
	}
	return ClassController(class)
}

// ServedHosts are the hosts that ing serves, judged by the name of its class;
// see ServedHostsBy.
func ServedHosts(ing *networkingv1.Ingress) []Host {
	return ServedHostsBy(ing, ClassController(IngressClass(ing)))
}

// ServedHostsBy are the hosts that ing serves, where one of the Controller
// constants serves its class: those of its rules in their order, every host
// for a default backend or for an Ingress with nothing in it, and the names in
// nginx's server-alias if the controller is nginx or unknown. A host may occur
// several times.
func ServedHostsBy(ing *networkingv1.Ingress, controller string) []Host {
	if ing == nil {
		return nil
	}
	certs := newCertificates(ing.Spec.TLS)
	hosts := make([]Host, 0, len(ing.Spec.Rules)+1)
	for i := range ing.Spec.Rules {
		h := Host{Host: normalHost(ing.Spec.Rules[i].Host), Field: "spec.rules[" + strconv.Itoa(i) + "]", Via: ViaRule}
		if ing.Spec.Rules[i].Host != "" {
			h.Field += ".host"
		}
		h.Wildcard = h.Host == "" || h.Host[0] == '*'
		h.cover(certs)
		hosts = append(hosts, h)
	}
	if ing.Spec.DefaultBackend != nil {
		hosts = append(hosts, Host{Field: "spec.defaultBackend", Wildcard: len(hosts) == 0, Via: ViaDefaultBackend})
	} else if len(hosts) == 0 {
		hosts = append(hosts, Host{Field: "spec", Wildcard: true, Via: ViaDefaultBackend})
	}
	if controller == ControllerNginx || controller == ControllerUnknown {
		if names := ing.Annotations[aliasAnnotation]; names != "" {
			hosts = appendAliases(hosts, names, certs)
		}
	}
	return hosts
}

// appendAliases adds the names of a server-alias annotation: names as in
// nginx's server_name, which knows wildcards at both ends (*.a, a.*), .a for a
// and *.a, and regular expressions after ~.
func appendAliases(hosts []Host, names string, certs certificates) []Host {
	for name := range strings.FieldsFuncSeq(names, isAliasSeparator) {
		h := Host{Field: "metadata.annotations[" + aliasAnnotation + "]", Via: ViaAlias}
		if name[0] == '~' {
			h.Host, h.Wildcard = name, true
		} else {
			h.Host = normalHost(name)
			h.Wildcard = h.Host == "" || h.Host[0] == '.' || strings.IndexByte(h.Host, '*') >= 0
			h.cover(certs)
		}
		hosts = append(hosts, h)
	}
	return hosts
}

// isAliasSeparator holds for what stands between names: commas and blanks in nginx's configuration, and what ingress-nginx
// cuts off around each name, which is any white space.
func isAliasSeparator(r rune) bool { return r == ',' || unicode.IsSpace(r) }

func (h *Host) cover(certs certificates) {
	if h.Covered = certs.cover(h.Host); !h.Covered {
		h.Secret = secretName(h.Host)
	}
}

// secretName is empty for what is no DNS name, or too long to be a Secret's with what it gets.
func secretName(host string) string {
	name, wildcard := strings.CutPrefix(host, "*.")
	if len(name) > validation.DNS1123SubdomainMaxLength || len(validation.IsDNS1123Subdomain(name)) > 0 {
		return ""
	}
	name = strings.ReplaceAll(name, ".", "-") + "-tls"
	if wildcard {
		name = "wildcard-" + name
	}
	if len(name) > validation.DNS1123SubdomainMaxLength {
		return ""
	}
	return name
}

// normalHost is in lower case and without the dot of a fully qualified name.
func normalHost(host string) string {
	return strings.ToLower(strings.TrimSuffix(host, "."))
}
