# METADATA
# title: An Ingress lists the hosts it serves
# description: >
#   A wildcard, a rule without host and an Ingress with nothing but a default backend take names that nobody has listed,
#   among them those that other teams will want. A default backend beside rules takes only what they leave, and a wildcard
#   in spec.tls claims nothing. The Ingress of an HTTP-01 solver for an IP address has no host; it is excused if
#   cert-manager sends it.
# related_resources:
#   - https://kubernetes.io/docs/concepts/services-networking/ingress/#hostname-wildcards
#   - https://kubernetes.io/docs/reference/kubernetes-api/service-resources/ingress-v1/#IngressSpec
#   - https://nginx.org/en/docs/http/server_names.html
#   - https://github.com/cert-manager/cert-manager/blob/master/pkg/issuer/acme/http/ingress.go
# custom:
#   severity: medium
#   kinds: [networking.k8s.io/Ingress]
#   judges:
#     - spec
#     - metadata.annotations["kubernetes.io/ingress.class"]
#     - metadata.annotations["nginx.ingress.kubernetes.io/server-alias"]
#   parameters:
#     type: object
#     properties:
#       acmeSolvers:
#         description: users whose HTTP-01 solver Ingresses may have no host
#         type: array
#         items: {type: string}
#         default: ["system:serviceaccount:cert-manager:cert-manager"]
#     additionalProperties: false
package sluice.ingress.wildcard_host

import data.sluice.lib.acme

deny contains {"msg": msg, "field": host.field, "fix": fix} if {
	some host in sluice.ingress.hosts(input.request.object)
	host.wildcard
	not solver
	msg := message(host)
	fix := remedy(host)
}

solver if acme.sends_solver(input.request, input.parameters.acmeSolvers)

message(host) := sprintf("host %.253q claims every name that it matches, now and later", [host.host]) if {
	host.host != ""
} else := "a rule without host claims every name" if {
	host.via == "rule"
} else := "server-alias claims every name" if {
	host.via == "alias"
} else := "an Ingress without rules claims every name"

remedy(host) := "name each host in a rule of its own, such as host: shop.example.com" if {
	host.via == "rule"
} else := "name each host, such as nginx.ingress.kubernetes.io/server-alias: shop.example.com" if {
	host.via == "alias"
} else := "add to spec.rules: {host: shop.example.com, http: …} for each host"
