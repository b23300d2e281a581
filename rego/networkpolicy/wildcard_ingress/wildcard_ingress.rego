# METADATA
# title: Ingress is not open to everyone on every port
# description: >
#   An ingress rule limits who may connect, or to which ports. One with neither undoes the isolation that its policy brings,
#   and so does a rule without ports whose peers are every pod of every namespace, or whose IP blocks together are every
#   address of IPv4 or IPv6. Rules of one policy add up, so several that on every port let in every pod or every address do
#   the same; other policies are not looked at. Ports that are all ports of TCP, UDP and SCTP are no limit. A public service
#   names its ports and may let anyone in. Whether peers select every pod is decided by the labels that could exist; where
#   that is too complicated to tell, it is taken for yes. A default deny for the same pods, which is undone, is named.
# related_resources:
#   - https://kubernetes.io/docs/concepts/services-networking/network-policies/#allow-all-ingress-traffic
#   - https://kubernetes.io/docs/concepts/services-networking/network-policies/#behavior-of-to-and-from-selectors
#   - https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/network-policy-v1/#NetworkPolicySpec
# custom:
#   severity: medium
#   kinds: [networking.k8s.io/NetworkPolicy]
#   state: [networking.k8s.io/NetworkPolicy]
package sluice.networkpolicy.wildcard_ingress

import data.sluice.lib.isolation

deny contains {"msg": msg, "field": open.field, "fix": fix} if {
	has_ingress
	some open in sluice.networkpolicy.open_ingress(input.request.object)
	msg := concat("", [whoever(open), undone(open)])
	fix := limited(open)
}

deny contains {"msg": msg, "field": peer.field, "fix": fix} if {
	has_ingress
	some peer in sluice.networkpolicy.every_pod(input.request.object)
	peer.direction == "Ingress"
	not peer.hasPorts
	msg := concat("", [everyone(peer), undone(peer)])
	fix := "ports of this service, or namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: NAMESPACE}}"
}

has_ingress if input.request.object.spec.ingress[0]

# own is the policy itself; its name may be for the API server to make.
own := {"name": object.get(input.request.object.metadata, "name", ""), "spec": input.request.object.spec}

undone(finding) := "" if {
	finding.uncertain
} else := isolation.undone(own, "Ingress", sluice.state.list("networking.k8s.io/NetworkPolicy", input.request.namespace))

whoever(open) := "the ingress rule lets in every address on every port" if endswith(open.field, ".from")

whoever(open) := "the ingress rule lets in everyone on every port: neither from nor ports limit it" if endswith(open.field, "]")

whoever(open) := "the ingress rules together let in every address on every port" if {
	not open.uncertain
	open.field == "spec.ingress"
}

whoever(open) := "the ingress rules may together let in every address on every port: too complicated to tell" if open.uncertain

# limited says what would limit the rule; where it has peers, more of them would let in no fewer.
limited(open) := "add from with the clients, or ports with what this service serves" if {
	endswith(open.field, "]")
} else := "cidr: only the networks of the clients, or add ports with what this service serves" if {
	endswith(open.field, ".from")
} else := "limit each rule to the clients, or to the ports that this service serves"

everyone(peer) := "the ingress peer lets in every pod of every namespace on every port" if endswith(peer.field, "]")

everyone(peer) := sprintf("the ingress %s together let in every pod of every namespace on every port", [several(peer)]) if {
	not peer.uncertain
	not endswith(peer.field, "]")
}

everyone(peer) := sprintf("the ingress %s may together let in every pod of every namespace: too complicated to tell", [several(peer)]) if {
	peer.uncertain
}

several(peer) := "rules" if {
	peer.field == "spec.ingress"
} else := "peers"
