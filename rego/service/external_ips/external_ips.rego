# METADATA
# title: A Service claims no address that nobody gave it
# description: >
#   Nodes send traffic for an address in spec.externalIPs to the pods of the Service, whoever owns the address: the field
#   lets one namespace intercept what others send (CVE-2020-8554). The same holds for addresses in the status of a load
#   balancer, so that only its controllers may add any, and nobody to a Service of another type. The controllers are those in
#   statusWriters: name yours there if it runs elsewhere. Taking an address away is free.
# related_resources:
#   - https://kubernetes.io/docs/concepts/services-networking/service/#external-ips
#   - https://github.com/kubernetes/kubernetes/issues/97076
#   - https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#denyserviceexternalips
# custom:
#   severity: high
#   kinds: [Service]
#   subresources: [status]
#   judges: [spec, status.loadBalancer]
#   parameters:
#     type: object
#     properties:
#       statusWriters:
#         description: who may write the addresses of load balancers into the status of Services
#         type: object
#         default: {}
#         properties:
#           users:
#             description: users; a ServiceAccount is system:serviceaccount:NAMESPACE:NAME
#             type: array
#             items: {type: string, minLength: 1}
#             default:
#               - eks:cloud-controller-manager
#               - k3s-cloud-controller-manager
#               - rke2-cloud-controller-manager
#               - system:cloud-controller-manager
#               - system:controller:glbc
#               - system:kube-controller-manager
#           groups:
#             description: >
#               groups; the ServiceAccounts of a namespace are system:serviceaccounts:NAMESPACE. The first two are
#               administrators, as whom kube-vip runs on control planes
#             type: array
#             items: {type: string, minLength: 1}
#             default:
#               - kubeadm:cluster-admins
#               - system:masters
#               - system:serviceaccounts:calico-system
#               - system:serviceaccounts:kube-system
#               - system:serviceaccounts:metallb-system
#               - system:serviceaccounts:openshift-cloud-controller-manager
#         additionalProperties: false
#     additionalProperties: false
package sluice.service.external_ips

deny contains {"msg": msg, "field": field, "fix": "remove spec.externalIPs; type: LoadBalancer gives an address of its own"} if {
	some i, ip in input.request.object.spec.externalIPs
	not writes_status
	field := sprintf("spec.externalIPs[%d]", [i])
	msg := sprintf("external IP %.80s takes traffic for that address on every node, whoever owns it", [ip])
}

deny contains {"msg": msg, "field": field, "fix": fix} if {
	input.request.subResource == "status"
	type == "LoadBalancer"
	not is_writer
	some added in additions
	field := added.field
	msg := sprintf(
		"load balancer address %.80s comes from %.80s, who is not known to run load balancers: nodes would take its traffic",
		[added.address, user],
	)
	fix := "leave status.loadBalancer to its controller, or name the user in statusWriters of the policy"
}

# The API server takes such a status before Kubernetes 1.29 or with the feature gate AllowServiceLBStatusOnNonLB.
deny contains {"msg": msg, "field": field, "fix": fix} if {
	input.request.subResource == "status"
	type != "LoadBalancer"
	some added in additions
	field := added.field
	msg := sprintf("load balancer address %.80s is given to a Service of type %.80s: nodes would take its traffic", [added.address, type])
	fix := "remove status.loadBalancer.ingress"
}

type := object.get(input.request.object, ["spec", "type"], "ClusterIP")

# writes_status holds for requests that can change the status; the API server ignores it in any other.
writes_status if input.request.subResource == "status"

# additions are the addresses in the status that the old one lacks.
additions contains {"address": address, "field": field} if {
	some i, given in input.request.object.status.loadBalancer.ingress
	some key in ["ip", "hostname"]
	address := given[key]
	not was_there(key, address)
	field := sprintf("status.loadBalancer.ingress[%d].%s", [i, key])
}

was_there(key, address) if {
	some given in input.request.oldObject.status.loadBalancer.ingress
	given[key] == address
}

is_writer if input.request.userInfo.username in input.parameters.statusWriters.users

is_writer if {
	some group in input.request.userInfo.groups
	group in input.parameters.statusWriters.groups
}

user := object.get(input.request, ["userInfo", "username"], "nobody")
