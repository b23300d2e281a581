# METADATA
# title: Every host an Ingress serves is covered by a certificate
# description: >
#   A host that no TLS entry covers is served in plaintext. An entry covers a host if it names a Secret and lists the
#   host, exactly or by a wildcard, which stands for one label. A rule without host and a default backend serve every
#   host, and no certificate covers that. Names in nginx's server-alias are hosts. The Ingress of an HTTP-01 solver is
#   excused if cert-manager sends it.
# related_resources:
#   - https://kubernetes.io/docs/concepts/services-networking/ingress/#tls
#   - https://kubernetes.io/docs/reference/kubernetes-api/service-resources/ingress-v1/#IngressSpec
#   - https://kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/annotations/#server-alias
#   - https://cert-manager.io/docs/configuration/acme/http01/
# custom:
#   severity: high
#   kinds: [networking.k8s.io/Ingress]
#   judges:
#     - spec
#     - metadata.annotations["kubernetes.io/ingress.class"]
#     - metadata.annotations["nginx.ingress.kubernetes.io/server-alias"]
#   parameters:
#     type: object
#     properties:
#       acmeSolvers:
#         description: users whose HTTP-01 solver Ingresses need no certificate
#         type: array
#         items: {type: string}
#         default: ["system:serviceaccount:cert-manager:cert-manager"]
#     additionalProperties: false
package sluice.ingress.tls_required

import data.sluice.lib.acme

deny contains {"msg": msg, "field": host.field, "fix": fix} if {
	some host in sluice.ingress.hosts(input.request.object)
	not host.covered
	not solver
	msg := message(host)
	fix := remedy(host)
}

solver if acme.sends_solver(input.request, input.parameters.acmeSolvers)

message(host) := sprintf("host %.253q is served without a certificate", [host.host]) if {
	host.host != ""
} else := "a rule without host serves every host, and no certificate covers that" if {
	host.via == "rule"
} else := "server-alias serves every host, and no certificate covers that" if {
	host.via == "alias"
} else := "the default backend serves every host that no rule names, and no certificate covers that"

# A star is quoted: to YAML it would be an alias.
remedy(host) := sprintf("add to spec.tls: {hosts: [%q], secretName: %s}", [host.host, host.secret]) if {
	host.secret != ""
	host.wildcard
} else := sprintf("add to spec.tls: {hosts: [%s], secretName: %s}", [host.host, host.secret]) if {
	host.secret != ""
} else := "write the names one by one, and list each in spec.tls" if {
	host.via == "alias"
} else := "name one host in the rule, and list it in spec.tls" if {
	host.via == "rule"
} else := "move the default backend to rules with a host, and list each in spec.tls"
