# METADATA
# title: An Ingress has a certificate
# description: Without spec.tls every host is served in plaintext.
# custom:
#   severity: high
#   kinds: [networking.k8s.io/Ingress]
#   parameters:
#     type: object
#     properties:
#       minimum:
#         description: how many entries there have to be
#         type: integer
#         default: 1
#     additionalProperties: false
package sluice.team.tls

deny contains finding if {
	count(object.get(input.request.object.spec, "tls", [])) < input.parameters.minimum
	finding := {"msg": "there is no certificate", "field": "spec.tls", "fix": "add spec.tls"}
}

warn contains {"msg": "the class is not set", "field": "spec.ingressClassName"} if {
	not input.request.object.spec.ingressClassName
}
