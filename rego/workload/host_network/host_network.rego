# METADATA
# title: Pods stay off the network of their node
# description: >
#   With hostNetwork a pod has the addresses of its node, its loopback interface and whatever listens there; most network
#   plugins don't apply NetworkPolicies to such a pod, and take what it sends for the node's. A hostPort opens a port of the
#   node, and whether NetworkPolicies apply to what arrives there depends on the plugin too. With hostNetwork every port is a
#   host port, which is not reported a second time, and no allowed port makes up for it. Ephemeral containers have no ports
#   and share the network of their pod. Judged are pods and the templates that pods are made of; the message about a pod that
#   something makes names what that is. Pods of node agents belong in a namespace that is exempt, or an exception names them.
# related_resources:
#   - https://kubernetes.io/docs/concepts/services-networking/network-policies/#networkpolicy-and-hostnetwork-pods
#   - https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline
#   - https://kubernetes.io/docs/concepts/configuration/overview/#services
# custom:
#   severity: high
#   kinds:
#     - Pod
#     - ReplicationController
#     - apps/DaemonSet
#     - apps/Deployment
#     - apps/ReplicaSet
#     - apps/StatefulSet
#     - batch/CronJob
#     - batch/Job
#   only: host-network
#   judges:
#     - spec.hostNetwork
#     - spec.containers
#     - spec.initContainers
#     - spec.template.spec
#     - spec.jobTemplate.spec.template.spec
#   parameters:
#     type: object
#     properties:
#       allowedHostPorts:
#         description: ranges {from, to} of ports that pods may open on their nodes by hostPort, such as those of an ingress controller
#         type: array
#         items:
#           type: object
#           required: [from, to]
#           properties:
#             from:
#               description: the first port of the range
#               type: integer
#               minimum: 1
#               maximum: 65535
#             to:
#               description: the last port of the range
#               type: integer
#               minimum: 1
#               maximum: 65535
#           additionalProperties: false
#         default: []
#     additionalProperties: false
package sluice.workload.host_network

deny contains {"msg": msg, "field": field, "fix": fix} if {
	on_host_network
	msg := "hostNetwork: true puts pods on the network of their node, where no NetworkPolicy is sure to apply"
	field := sprintf("%s.hostNetwork", [pod.field])
	fix := remedy("hostNetwork", "the ports")
}

deny contains {"msg": msg, "field": field, "fix": fix} if {
	not on_host_network
	some list in ["containers", "initContainers"]
	some i, container in pod.spec[list]
	some j, port in container.ports
	not port.hostPort in {0, null}
	not allowed(port.hostPort)
	msg := sprintf("hostPort %v opens a port of the node, where no NetworkPolicy is sure to apply", [port.hostPort])
	field := sprintf("%s.%s[%d].ports[%d].hostPort", [pod.field, list, i, j])
	fix := remedy("hostPort", sprintf("port %v", [port.containerPort]))
}

# pod is the spec of the pods, and where it stands.
pod := {"spec": spec.jobTemplate.spec.template.spec, "field": "spec.jobTemplate.spec.template.spec"} if {
	spec.jobTemplate
} else := {"spec": spec.template.spec, "field": "spec.template.spec"} if {
	spec.template
} else := {"spec": spec, "field": "spec"}

spec := input.request.object.spec

on_host_network if {
	network := pod.spec.hostNetwork
	not network in {false, null}
}

allowed(port) if {
	some range in input.parameters.allowedHostPorts
	range.from <= port
	port <= range.to
}

# remedy sends whoever is denied to the object that makes this one, if a controller wrote it.
remedy(what, ports) := concat("", ["remove ", what, " from ", maker, ", which makes this"]) if {
	maker
} else := sprintf("remove %s; a Service makes %s of pods reachable", [what, ports])

maker := sprintf("%.20s %.63q", [owner.kind, owner.name]) if {
	some owner in input.request.object.metadata.ownerReferences
	owner.controller == true
}
