# METADATA
# title: A load balancer lets in clients that somebody has named
# description: >
#   Without loadBalancerSourceRanges a Service of type LoadBalancer takes clients from everywhere, and ranges that add up to
#   more than the limits are hardly better. The annotation service.beta.kubernetes.io/load-balancer-source-ranges counts where
#   the field is empty. Private ranges are not counted: the ranges of a load balancer inside of the network cost nothing to
#   write. Warns of node ports, which stay open beside the load balancer, and of an address family without a range of its
#   own, which kube-proxy leaves open. Whether the implementation of a loadBalancerClass keeps to the ranges can't be told from
#   here.
# related_resources:
#   - https://kubernetes.io/docs/concepts/services-networking/service/#loadbalancer
#   - https://kubernetes.io/docs/concepts/services-networking/service/#load-balancer-nodeport-allocation
#   - https://kubernetes.io/docs/reference/labels-annotations-taints/#service-beta-kubernetes-io-load-balancer-source-ranges
#   - https://github.com/kubernetes/kubernetes/blob/master/pkg/proxy/serviceport.go
# custom:
#   severity: high
#   kinds: [Service]
#   subresources: [status]
#   judges:
#     - spec
#     - metadata.annotations["service.beta.kubernetes.io/load-balancer-source-ranges"]
#   parameters:
#     type: object
#     properties:
#       ipv4Prefix:
#         description: as many public IPv4 addresses as a prefix of this length holds may be let in
#         type: integer
#         minimum: 1
#         maximum: 32
#         default: 8
#       ipv6Prefix:
#         description: as many public IPv6 addresses as a prefix of this length holds may be let in
#         type: integer
#         minimum: 1
#         maximum: 128
#         default: 32
#     additionalProperties: false
package sluice.service.loadbalancer

# The type comes first everywhere: by it, other Services are told apart without evaluation.

deny contains {"msg": msg, "field": "spec.type", "fix": fix} if {
	input.request.object.spec.type == "LoadBalancer"
	some wide in sources.wide
	wide.field == ""
	msg := "type LoadBalancer without loadBalancerSourceRanges lets clients in from everywhere"
	fix := remedy
}

deny contains {"msg": msg, "field": wide.field, "fix": fix} if {
	input.request.object.spec.type == "LoadBalancer"
	some wide in sources.wide
	wide.field != ""
	msg := sprintf("source ranges let in %s, more than a /%d of public addresses", [wide.reach, limit[wide.family]])
	fix := remedy
}

warn contains {"msg": msg, "field": missing.field, "fix": fix} if {
	input.request.object.spec.type == "LoadBalancer"
	some missing in sources.unlisted
	msg := sprintf("no source range is %s: kube-proxy lets every %s client in", [missing.family, missing.family])
	fix := sprintf("add the %s ranges of the clients, or ipFamilyPolicy: SingleStack", [missing.family])
}

warn contains {"msg": msg, "field": field, "fix": fix} if {
	input.request.object.spec.type == "LoadBalancer"
	is_judged
	object.get(input.request.object.spec, "allocateLoadBalancerNodePorts", null) != false
	fix := without_node_ports
	field := "spec.allocateLoadBalancerNodePorts"
	msg := "every node opens a port for the Service too, past the load balancer and its source ranges"
}

without_node_ports := "allocateLoadBalancerNodePorts: false, and remove nodePort from ports" if {
	some port in input.request.object.spec.ports
	port.nodePort > 0
} else := "allocateLoadBalancerNodePorts: false"

# A port that is written, or left from before, is open whatever the switch says.
warn contains {"msg": msg, "field": field, "fix": "remove nodePort"} if {
	input.request.object.spec.type == "LoadBalancer"
	is_judged
	input.request.object.spec.allocateLoadBalancerNodePorts == false
	some i, port in input.request.object.spec.ports
	port.nodePort > 0
	field := sprintf("spec.ports[%d].nodePort", [i])
	msg := sprintf("node port %v is open on every node, although allocateLoadBalancerNodePorts is false", [port.nodePort])
}

sources := sluice.service.sources(input.request.object, input.parameters) if is_judged

# is_judged leaves controllers that note a status alone. Such an update can't change the spec, but annotations.
is_judged if object.get(input.request, "subResource", "") != "status"

is_judged if range_text(input.request.object) != range_text(input.request.oldObject)

range_text(service) := object.get(
	service,
	["metadata", "annotations", "service.beta.kubernetes.io/load-balancer-source-ranges"],
	"",
)

limit := {"IPv4": input.parameters.ipv4Prefix, "IPv6": input.parameters.ipv6Prefix}

remedy := "loadBalancerSourceRanges: the networks of the clients, such as [203.0.113.0/24]"
