package manifest

import (
	"fmt"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"
)

// validateIngress refuses what ValidateIngressSpec in
// k8s.io/kubernetes/pkg/apis/networking/validation refuses.
func validateIngress(ingress *networkingv1.Ingress) field.ErrorList {
	path, spec := field.NewPath("spec"), &ingress.Spec
	var errs field.ErrorList
	if len(spec.Rules) == 0 && spec.DefaultBackend == nil {
		errs = append(errs, field.Required(path, "`rules` or `defaultBackend` must be specified"))
	}
	if spec.IngressClassName != nil {
		errs = append(errs, invalid(path.Child("ingressClassName"), *spec.IngressClassName,
			apivalidation.NameIsDNSSubdomain(*spec.IngressClassName, false))...)
	}
	if spec.DefaultBackend != nil {
		errs = append(errs, validateBackend(spec.DefaultBackend, path.Child("defaultBackend"))...)
	}
	for i, tls := range spec.TLS {
		at := path.Child("tls").Index(i)
		for j, host := range tls.Hosts {
			errs = append(errs, validateHost(host, at.Child("hosts").Index(j))...)
		}
		if tls.SecretName != "" {
			errs = append(errs, invalid(at.Child("secretName"), tls.SecretName,
				apivalidation.NameIsDNSSubdomain(tls.SecretName, false))...)
		}
	}
	for i, rule := range spec.Rules {
		errs = append(errs, validateIngressRule(rule, path.Child("rules").Index(i))...)
	}
	return errs
}

func validateIngressRule(rule networkingv1.IngressRule, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if rule.Host != "" {
		errs = validateHost(rule.Host, path.Child("host"))
	}
	if rule.HTTP == nil {
		return errs
	}
	paths := path.Child("http", "paths")
	if len(rule.HTTP.Paths) == 0 {
		errs = append(errs, field.Required(paths, "at least one path"))
	}
	for i, p := range rule.HTTP.Paths {
		errs = append(errs, validateHTTPPath(p, paths.Index(i))...)
	}
	return errs
}

// validateHost checks a DNS name or a wildcard. The usual mistakes, a URL and a
// port, get words of their own.
func validateHost(host string, path *field.Path) field.ErrorList {
	const want = "must be a DNS name such as shop.example.com, or a wildcard such as *.example.com"
	switch {
	case netutils.ParseIPSloppy(strings.Trim(host, "[]")) != nil:
		return field.ErrorList{field.Invalid(path, host, "must be a DNS name, not an IP address")}
	case strings.Contains(host, "://"):
		return field.ErrorList{field.Invalid(path, host, want+"; remove the scheme")}
	case strings.Contains(host, ":"):
		return field.ErrorList{field.Invalid(path, host, want+"; remove the port")}
	case strings.Contains(host, "/"):
		return field.ErrorList{field.Invalid(path, host, want+"; the path goes into http.paths")}
	case strings.Contains(host, "*"):
		return invalid(path, host, validation.IsWildcardDNS1123Subdomain(host))
	}
	return invalid(path, host, validation.IsDNS1123Subdomain(host))
}

func validateHTTPPath(p networkingv1.HTTPIngressPath, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	types := []networkingv1.PathType{networkingv1.PathTypeExact, networkingv1.PathTypeImplementationSpecific, networkingv1.PathTypePrefix}
	at := path.Child("path")
	absolute := strings.HasPrefix(p.Path, "/")
	switch {
	case p.PathType == nil:
		errs = append(errs, field.Required(path.Child("pathType"), "Prefix, Exact or ImplementationSpecific; there is no default"))
	case *p.PathType == networkingv1.PathTypeExact || *p.PathType == networkingv1.PathTypePrefix:
		if !absolute {
			errs = append(errs, field.Invalid(at, p.Path, "must be an absolute path: it begins with /"))
		}
		errs = append(errs, validatePathParts(p.Path, at)...)
	case *p.PathType == networkingv1.PathTypeImplementationSpecific:
		if p.Path != "" && !absolute {
			errs = append(errs, field.Invalid(at, p.Path, "must be an absolute path: it begins with /"))
		}
	default:
		errs = append(errs, field.NotSupported(path.Child("pathType"), *p.PathType, types))
	}
	return append(errs, validateBackend(&p.Backend, path.Child("backend"))...)
}

// validatePathParts refuses sequences that proxies resolve in different ways.
func validatePathParts(path string, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, part := range []string{"//", "/./", "/../", "%2f", "%2F"} {
		if strings.Contains(path, part) {
			errs = append(errs, field.Invalid(at, path, fmt.Sprintf("must not contain %q", part)))
		}
	}
	for _, end := range []string{"/..", "/."} {
		if strings.HasSuffix(path, end) {
			errs = append(errs, field.Invalid(at, path, fmt.Sprintf("must not end with %q", end)))
		}
	}
	return errs
}

func validateBackend(backend *networkingv1.IngressBackend, path *field.Path) field.ErrorList {
	service := backend.Service
	switch {
	case service != nil && backend.Resource != nil:
		return field.ErrorList{field.Forbidden(path, "may not specify both service and resource")}
	case service == nil && backend.Resource == nil:
		return field.ErrorList{field.Required(path, "service or resource: {service: {name: …, port: {number: …}}}")}
	case service == nil:
		return nil
	}
	var errs field.ErrorList
	at := path.Child("service")
	if service.Name == "" {
		errs = append(errs, field.Required(at.Child("name"), "the name of a Service"))
	} else {
		errs = append(errs, invalid(at.Child("name"), service.Name, apivalidation.NameIsDNSLabel(service.Name, false))...)
	}
	port := at.Child("port")
	switch {
	case service.Port.Name != "" && service.Port.Number != 0:
		errs = append(errs, field.Forbidden(port, "may not specify both name and number"))
	case service.Port.Name != "":
		errs = append(errs, invalid(port.Child("name"), service.Port.Name, validation.IsValidPortName(service.Port.Name))...)
	case service.Port.Number != 0:
		errs = append(errs, validatePortNumber(service.Port.Number, port.Child("number"))...)
	default:
		errs = append(errs, field.Required(port, "name or number of the Service's port"))
	}
	return errs
}
