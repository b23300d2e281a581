# METADATA
# title: A default deny in NetworkPolicies
# description: >
#   One object for each thing that namespace-default-deny wants, with every field of its spec: who applies them owns what is
#   written, and nothing that somebody adds stays.
package sluice.lib.default_deny.networkpolicies

objects(wanted) := {network_policy(wanted.namespace, name, spec) |
	some name, spec in specs(wanted)
	count(spec.policyTypes) > 0
}

network_policy(namespace, name, spec) := {
	"apiVersion": "networking.k8s.io/v1",
	"kind": "NetworkPolicy",
	"metadata": {"name": name, "namespace": namespace},
	"spec": spec,
}

specs(wanted) := {
	"sluice-default-deny": {"podSelector": {}, "policyTypes": wanted.directions, "ingress": [], "egress": []},
	"sluice-allow-dns": allow([], [dns_rule(dns) | some dns in wanted.dns]),
	"sluice-allow-same-namespace": allow(
		[{"from": [{"podSelector": {}}]} | "Ingress" in wanted.same_namespace],
		[{"to": [{"podSelector": {}}]} | "Egress" in wanted.same_namespace],
	),
	"sluice-allow-api-server": allow([], [rule |
		some server in wanted.api_server
		rule := {"to": blocks(server.cidrs), "ports": ports(["TCP"], server.ports)}
	]),
	"sluice-allow-extra": allow(wanted.ingress, wanted.egress),
}

# allow is of no type where it allows nothing.
allow(ingress, egress) := {
	"podSelector": {},
	"policyTypes": [type | some [type, rules] in [["Ingress", ingress], ["Egress", egress]]; count(rules) > 0],
	"ingress": ingress,
	"egress": egress,
}

dns_rule(dns) := {
	"to": array.concat(
		[{
			"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": dns.namespace}},
			"podSelector": {"matchLabels": dns.podLabels},
		}],
		blocks(dns.caches),
	),
	"ports": ports(["UDP", "TCP"], dns.ports),
}

blocks(cidrs) := [{"ipBlock": {"cidr": cidr}} | some cidr in cidrs]

ports(protocols, numbers) := [{"protocol": protocol, "port": number} |
	some number in numbers
	some protocol in protocols
]
