# METADATA
# title: A namespace starts with a default deny and a way to DNS
# description: >
#   Pods that no NetworkPolicy selects may be reached by and reach everyone. Each namespace gets sluice-default-deny, which
#   isolates all of its pods in both directions, and sluice-allow-dns, without which nothing could resolve a name: egress to
#   the kube-dns pods of kube-system on port 53, and to the node's DNS cache if its address is given. They are two objects,
#   as is common practice, so that each says one thing and the exception can be seen beside the rule; their prefix keeps
#   them apart from a default-deny that the namespace's owners apply themselves. Lists are written out, empty ones too.
# related_resources:
#   - https://kubernetes.io/docs/concepts/services-networking/network-policies/#default-deny-all-ingress-and-all-egress-traffic
#   - https://kubernetes.io/docs/reference/labels-annotations-taints/#kubernetes-io-metadata-name
#   - https://kubernetes.io/docs/tasks/administer-cluster/nodelocaldns/
# custom:
#   severity: medium
#   kinds: [Namespace]
#   generates: [networking.k8s.io/NetworkPolicy]
#   parameters:
#     type: object
#     properties:
#       nodeLocalDNS:
#         description: address of NodeLocal DNSCache, such as 169.254.20.10 or fd00::10; empty for none
#         type: string
#         pattern: '^$|^([0-9]{1,3}\.){3}[0-9]{1,3}$|^[0-9A-Fa-f]*:[0-9A-Fa-f:]+$'
#         default: ""
#     additionalProperties: false
package sluice.namespace.default_deny

generate contains network_policy("sluice-default-deny", {
	"podSelector": {},
	"policyTypes": ["Ingress", "Egress"],
	"ingress": [],
	"egress": [],
}) if {
	not terminating
}

generate contains network_policy("sluice-allow-dns", {
	"podSelector": {},
	"policyTypes": ["Egress"],
	"egress": [{
		"to": array.concat([cluster_dns], node_dns),
		"ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
	}],
}) if {
	not terminating
}

# terminating namespaces take no new objects.
terminating if input.request.object.metadata.deletionTimestamp

network_policy(name, spec) := {
	"apiVersion": "networking.k8s.io/v1",
	"kind": "NetworkPolicy",
	"metadata": {"name": name, "namespace": input.request.object.metadata.name},
	"spec": spec,
}

cluster_dns := {
	"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
	"podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
}

node_dns := [{"ipBlock": {"cidr": sprintf("%s/%d", [address, bits])}} |
	address := input.parameters.nodeLocalDNS
	address != ""
	bits := {true: 128, false: 32}[contains(address, ":")]
]
