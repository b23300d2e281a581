# METADATA
# title: A default deny in a ClusterNetworkPolicy
# description: >
#   One object for the cluster with all that namespace-default-deny wants; every namespace makes the same. Rules are asked in
#   their order, so that the last denies what the others leave. Peers of ingress are pods and nothing else. Egress is denied
#   to every address, too, except that no address is a node to Cilium.
# related_resources:
#   - https://network-policy-api.sigs.k8s.io/api-overview/
#   - https://network-policy-api.sigs.k8s.io/reference/spec/
package sluice.lib.default_deny.cluster

# system are the namespaces that Sluice never judges, and its own unless its manifests were changed.
system := {"kube-system", "kube-public", "kube-node-lease", "sluice-system"}

objects(wanted) := {{
	"apiVersion": "policy.networking.k8s.io/v1alpha2",
	"kind": "ClusterNetworkPolicy",
	"metadata": {"name": "sluice-default-deny"},
	"spec": {
		"tier": "Baseline",
		"priority": 1000,
		"subject": {"namespaces": {"matchExpressions": [{
			"key": "kubernetes.io/metadata.name",
			"operator": "NotIn",
			"values": sort(system | {name | some name in wanted.excluded}),
		}]}},
		"ingress": array.concat(wanted.ingress, [rule |
			"Ingress" in wanted.directions
			rule := {"name": "deny-all-else", "action": "Deny", "from": [{"namespaces": {}}]}
		]),
		"egress": array.flatten([
			[dns_rule(dns) | some dns in wanted.dns],
			[server_rule(server) | some server in wanted.api_server],
			wanted.egress,
			[rule |
				"Egress" in wanted.directions
				rule := {"name": "deny-all-else", "action": "Deny", "to": [{"namespaces": {}}, {"networks": ["0.0.0.0/0", "::/0"]}]}
			],
		]),
	},
}}

dns_rule(dns) := {
	"name": "allow-dns",
	"action": "Accept",
	"to": array.concat(
		[{"pods": {
			"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": dns.namespace}},
			"podSelector": {"matchLabels": dns.podLabels},
		}}],
		[{"networks": dns.caches} | count(dns.caches) > 0],
	),
	"protocols": protocols(["udp", "tcp"], dns.ports),
}

server_rule(server) := {
	"name": "allow-api-server",
	"action": "Accept",
	"to": [{"networks": server.cidrs}],
	"protocols": protocols(["tcp"], server.ports),
}

protocols(names, numbers) := [{name: {"destinationPort": {"number": number}}} |
	some number in numbers
	some name in names
]
