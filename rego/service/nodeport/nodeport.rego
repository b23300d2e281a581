# METADATA
# title: A Service opens no port on the nodes
# description: >
#   For type NodePort every node takes traffic on its own addresses, past load balancers, Ingress controllers and their source
#   ranges, whether or not a nodePort is written. The Service of an HTTP-01 solver is excused if cert-manager sends it. Node
#   ports of load balancers are service-loadbalancer's.
# related_resources:
#   - https://kubernetes.io/docs/concepts/services-networking/service/#type-nodeport
#   - https://cert-manager.io/docs/configuration/acme/http01/
# custom:
#   severity: medium
#   kinds: [Service]
#   judges: [spec]
#   parameters:
#     type: object
#     properties:
#       acmeSolvers:
#         description: users whose HTTP-01 solver Services may be of type NodePort
#         type: array
#         items: {type: string}
#         default: ["system:serviceaccount:cert-manager:cert-manager"]
#     additionalProperties: false
package sluice.service.nodeport

import data.sluice.lib.acme

deny contains {"msg": msg, "field": "spec.type", "fix": fix} if {
	input.request.object.spec.type == "NodePort"
	not solver
	msg := "type NodePort opens a port on every node, past load balancers and Ingress controllers"
	fix := "type: ClusterIP, with an Ingress or a Gateway in front of it"
}

solver if acme.sends_solver_service(input.request, input.parameters.acmeSolvers)
