# METADATA
# title: Addresses from outside lie in the prefixes of the namespace
# description: >
#   A network that learns routes from the hosts, such as a fabric run by Apstra AOS or Big Cloud Fabric, sends an address to
#   whichever node announces it. It can rely on the routes if each namespace keeps to prefixes allotted to it: in external IPs, in
#   what a load balancer is asked for (loadBalancerIP and the annotations of MetalLB, Cilium, kube-vip, Calico, PureLB, LoxiLB,
#   AWS and Azure) and in the status, which is where an address from a pool shows. Names of pools and of reserved addresses,
#   and host names in the status, can't be judged. Does nothing until allotments or fromNamespaces are set; then a
#   namespace without prefixes has no load balancers. A prefix that is no canonical CIDR is an error. With
#   fromNamespaces whoever may write a Namespace allots: grant update and patch of namespaces to the platform team only, which
#   the cluster roles admin and edit leave out.
# related_resources:
#   - https://kubernetes.io/docs/reference/kubernetes-api/service-resources/service-v1/#ServiceSpec
#   - https://metallb.io/usage/#requesting-specific-ips
#   - https://docs.cilium.io/en/stable/network/lb-ipam/#requesting-ips
#   - https://kube-vip.io/docs/usage/kubernetes-services/
#   - https://docs.tigera.io/calico/latest/networking/ipam/service-loadbalancer
# custom:
#   severity: high
#   kinds: [Service]
#   subresources: [status]
#   state: [Namespace]
#   judges:
#     - spec
#     - status.loadBalancer
#     - metadata.annotations["io.cilium/lb-ipam-ips"]
#     - metadata.annotations["kube-vip.io/loadbalancerIPs"]
#     - metadata.annotations["lbipam.cilium.io/ips"]
#     - metadata.annotations["loxilb.io/secondaryIPs"]
#     - metadata.annotations["loxilb.io/staticIP"]
#     - metadata.annotations["metallb.io/loadBalancerIPs"]
#     - metadata.annotations["metallb.universe.tf/loadBalancerIPs"]
#     - metadata.annotations["projectcalico.org/loadBalancerIPs"]
#     - metadata.annotations["purelb.io/addresses"]
#     - metadata.annotations["service.beta.kubernetes.io/aws-load-balancer-ipv6-addresses"]
#     - metadata.annotations["service.beta.kubernetes.io/aws-load-balancer-private-ipv4-addresses"]
#     - metadata.annotations["service.beta.kubernetes.io/azure-load-balancer-ipv4"]
#     - metadata.annotations["service.beta.kubernetes.io/azure-load-balancer-ipv6"]
#   parameters:
#     type: object
#     properties:
#       allotments:
#         description: prefixes and the namespaces that have them; a namespace has the prefixes of all entries that name it
#         type: array
#         default: []
#         items:
#           type: object
#           required: [namespaces, prefixes]
#           properties:
#             namespaces:
#               description: names or globs
#               type: array
#               items: {type: string, minLength: 1}
#             prefixes:
#               description: CIDRs
#               type: array
#               items: {type: string, minLength: 1}
#           additionalProperties: false
#       fromNamespaces:
#         description: >
#           whether a namespace also has the prefixes in its annotation policy.sluice.dev/load-balancer-prefixes, with commas
#           between them
#         type: boolean
#         default: false
#       requireAddress:
#         description: whether a load balancer has to ask for an address; otherwise its controller may choose, and the status is judged
#         type: boolean
#         default: false
#       allowUnallotted:
#         description: >
#           whether a namespace without prefixes may have load balancers that ask for no address, with whatever address their
#           controller gives them
#         type: boolean
#         default: false
#     additionalProperties: false
package sluice.service.load_balancer_prefixes

deny contains {"msg": msg, "field": claim.field, "fix": fix} if {
	some claim in claims.outside
	is_judged(claim)
	msg := trouble(claim)
	fix := remedy
}

deny contains {"msg": msg, "field": "spec.type", "fix": remedy} if {
	is_told
	input.request.object.spec.type == "LoadBalancer"
	claims.requests == 0
	not writes_status
	count(prefixes) == 0
	not input.parameters.allowUnallotted
	msg := sprintf("type LoadBalancer in namespace %s, which has no prefixes for load balancers", [home])
}

deny contains {"msg": msg, "field": "spec.type", "fix": fix} if {
	is_told
	input.request.object.spec.type == "LoadBalancer"
	input.parameters.requireAddress
	claims.requests == 0
	not writes_status
	count(prefixes) > 0
	msg := "type LoadBalancer asks for no address, so that its controller chooses one"
	fix := sprintf("the annotation by which the controller is asked, with an address in %s", [few(prefixes)])
}

claims := sluice.service.claims(input.request.object, prefixes) if {
	is_told
	has_addresses
}

# is_told comes first everywhere, so that Sluice asks about no Service until it holds.
is_told if input.parameters.allotments[0]

is_told if input.parameters.fromNamespaces

# has_addresses keeps other Services from being read.
has_addresses if input.request.object.spec.type == "LoadBalancer"

has_addresses if input.request.object.spec.externalIPs[0]

has_addresses if input.request.object.status.loadBalancer.ingress[0]

prefixes := array.concat(allotted, annotated)

allotted := [prefix |
	some allotment in input.parameters.allotments
	is_named(allotment)
	some prefix in allotment.prefixes
]

is_named(allotment) if {
	some pattern in allotment.namespaces
	glob.match(pattern, [], home)
}

default annotated := []

annotated := [prefix |
	some part in split(text, ",")
	prefix := trim_space(part)
] if {
	input.parameters.fromNamespaces
	namespace := sluice.state.get("Namespace", "", home)
	text := namespace.metadata.annotations["policy.sluice.dev/load-balancer-prefixes"]
	trim_space(text) != ""
}

home := input.request.namespace

# A status counts where it is written, and in the audit, which sees objects as if they were new. The API server ignores it in
# every other request.
is_judged(claim) if {
	claim.via == "status"
	not is_left_to_controller
	writes_status
}

is_judged(claim) if {
	claim.via == "status"
	not is_left_to_controller
	input.request.operation == "CREATE"
}

is_judged(claim) if {
	claim.via != "status"
	not writes_status
}

# Whoever writes a status may change annotations on the way.
is_judged(claim) if {
	claim.via == "annotation"
	writes_status
	value(input.request.object, claim.annotation) != value(input.request.oldObject, claim.annotation)
}

is_left_to_controller if {
	input.parameters.allowUnallotted
	claims.requests == 0
	count(prefixes) == 0
}

value(service, annotation) := object.get(service, ["metadata", "annotations", annotation], "")

writes_status if input.request.subResource == "status"

trouble(claim) := sprintf("%.80q is no address", [claim.address]) if {
	claim.unreadable
} else := sprintf("address %s: namespace %s has no prefixes for load balancers", [claim.address, home]) if {
	count(prefixes) == 0
} else := sprintf("address %s is outside of the prefixes of namespace %s: %s", [claim.address, home, few(prefixes)])

remedy := "ask the platform team for a prefix for the namespace" if {
	count(prefixes) == 0
} else := sprintf("use an address in %s", [few(prefixes)])

# few keeps a list within one line.
few(names) := concat(", ", names) if count(names) <= 3

few(names) := sprintf("%s and %d more", [concat(", ", array.slice(names, 0, 3)), count(names) - 3]) if count(names) > 3
