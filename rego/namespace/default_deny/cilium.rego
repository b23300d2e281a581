# METADATA
# title: A default deny in CiliumNetworkPolicies
# description: >
#   One object for each thing that namespace-default-deny wants. In Cilium an empty list says nothing of a direction, and what
#   denies it is a rule without peers. The node's DNS cache is the entity host since Cilium 1.17, and was an address outside
#   of the cluster before, so that both are allowed; a CIDR matches neither nodes nor pods. A selector of peers without a
#   namespace is about the policy's own.
# related_resources:
#   - https://docs.cilium.io/en/stable/security/policy/intro/
#   - https://docs.cilium.io/en/stable/security/policy/layer3/
#   - https://github.com/cilium/cilium/issues/18644
#   - https://github.com/cilium/cilium/issues/42528
package sluice.lib.default_deny.cilium

objects(wanted) := {network_policy(wanted.namespace, name, rules) |
	some name, rules in specs(wanted)
	some list in rules
	count(list) > 0
}

network_policy(namespace, name, rules) := {
	"apiVersion": "cilium.io/v2",
	"kind": "CiliumNetworkPolicy",
	"metadata": {"name": name, "namespace": namespace},
	"spec": {
		"endpointSelector": {},
		"enableDefaultDeny": {"ingress": count(rules.ingress) > 0, "egress": count(rules.egress) > 0},
		"ingress": rules.ingress,
		"egress": rules.egress,
	},
}

specs(wanted) := {
	"sluice-default-deny": {
		"ingress": [{} | "Ingress" in wanted.directions],
		"egress": [{} | "Egress" in wanted.directions],
	},
	"sluice-allow-dns": {"ingress": [], "egress": [rule |
		some dns in wanted.dns
		some peers in dns_peers(dns)
		rule := object.union(peers, {"toPorts": ports(["UDP", "TCP"], dns.ports)})
	]},
	"sluice-allow-same-namespace": {
		"ingress": [{"fromEndpoints": [{}]} | "Ingress" in wanted.same_namespace],
		"egress": [{"toEndpoints": [{}]} | "Egress" in wanted.same_namespace],
	},
	"sluice-allow-api-server": {"ingress": [], "egress": [rule |
		some server in wanted.api_server
		some peers in array.concat([{"toEntities": ["kube-apiserver"]}], cidr_peers(server.cidrs))
		rule := object.union(peers, {"toPorts": ports(["TCP"], server.ports)})
	]},
	"sluice-allow-extra": {"ingress": wanted.ingress, "egress": wanted.egress},
}

# dns_peers are rules of their own: Cilium takes one kind of peers for each.
dns_peers(dns) := array.concat(
	[{"toEndpoints": [{"matchLabels": object.union(
		{"k8s:io.kubernetes.pod.namespace": dns.namespace},
		{sprintf("k8s:%s", [key]): value | some key, value in dns.podLabels},
	)}]}],
	array.concat([{"toEntities": ["host"]} | some _ in dns.caches], cidr_peers(dns.caches)),
)

cidr_peers(cidrs) := [{"toCIDR": cidrs} | count(cidrs) > 0]

ports(protocols, numbers) := [{"ports": [{"port": sprintf("%d", [number]), "protocol": protocol} |
	some number in numbers
	some protocol in protocols
]}]
