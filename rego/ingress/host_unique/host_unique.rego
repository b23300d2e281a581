# METADATA
# title: No two namespaces serve one host
# description: >
#   Controllers merge the rules for one host over all Ingresses of their class, so that whoever names a host of another
#   namespace takes over paths of it, or all of it. Wildcards overlap with the names that they match, in either direction,
#   names in nginx's server-alias are hosts, and a rule without host serves every host. A default backend takes only what
#   no rule names: it is in the way of another default backend. The same namespace and another class are fine; an Ingress
#   without class may be served by any. Of two requests at the same moment one gets the host.
# related_resources:
#   - https://kubernetes.io/docs/concepts/services-networking/ingress/#hostname-wildcards
#   - https://kubernetes.io/docs/concepts/services-networking/ingress/#ingress-class
#   - https://kubernetes.github.io/ingress-nginx/user-guide/basic-usage/
#   - https://nginx.org/en/docs/http/server_names.html
# custom:
#   severity: high
#   kinds: [networking.k8s.io/Ingress]
#   state: [networking.k8s.io/Ingress, networking.k8s.io/IngressClass]
package sluice.ingress.host_unique

deny contains {"msg": msg, "field": conflict.field, "fix": fix} if {
	some conflict in sluice.ingress.conflicts(input.request.object)
	fix := remedy(conflict.other)
	msg := concat("", [asked(conflict), " ", taken(conflict), further(conflict.more), lately(conflict.other)])
}

asked(conflict) := sprintf("host %.253q", [conflict.host]) if {
	conflict.host != ""
} else := "the default backend" if {
	conflict.via == "defaultBackend"
} else := "a rule without host"

taken(conflict) := sprintf("is served by the Ingress %s/%s", [other.namespace, other.name]) if {
	other := conflict.other
	other.host == conflict.host
	other.host != ""
} else := sprintf("overlaps with %.253q of the Ingress %s/%s", [other.host, other.namespace, other.name]) if {
	other := conflict.other
	other.host != ""
} else := sprintf("overlaps with the default backend of the Ingress %s/%s", [other.namespace, other.name]) if {
	other := conflict.other
	other.via == "defaultBackend"
} else := sprintf("overlaps with a rule without host of the Ingress %s/%s", [other.namespace, other.name]) if {
	other := conflict.other
}

further(0) := ""

further(more) := sprintf(" and %d more", [more]) if more > 0

lately(other) := ", which was admitted a moment ago" if other.pending

lately(other) := "" if not other.pending

remedy(other) := sprintf("set spec.ingressClassName to another class than %s: without one, any controller may serve this Ingress", [other.class]) if {
	sluice.ingress.class(input.request.object) == ""
	other.class != ""
} else := sprintf("use another host, or agree with the owners of namespace %s on who serves it", [other.namespace])
