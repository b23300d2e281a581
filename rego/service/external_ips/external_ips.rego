# METADATA
# title: A Service claims no external IP
# description: >
#   Nodes send traffic for an address in spec.externalIPs to the pods of the Service, whoever owns the address: the field
#   lets one namespace intercept what others send (CVE-2020-8554). Addresses in the status of a load balancer come from its
#   controller and are not judged.
# related_resources:
#   - https://kubernetes.io/docs/concepts/services-networking/service/#external-ips
#   - https://github.com/kubernetes/kubernetes/issues/97076
#   - https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#denyserviceexternalips
# custom:
#   severity: high
#   kinds: [Service]
package sluice.service.external_ips

deny contains {"msg": msg, "field": field, "fix": "remove spec.externalIPs; type: LoadBalancer gives an address of its own"} if {
	some i, ip in input.request.object.spec.externalIPs
	field := sprintf("spec.externalIPs[%d]", [i])
	msg := sprintf("external IP %.80s takes traffic for that address on every node, whoever owns it", [ip])
}
