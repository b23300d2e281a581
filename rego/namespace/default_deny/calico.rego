# METADATA
# title: A default deny in a GlobalNetworkPolicy of Calico
# description: >
#   One object for the namespace with all that namespace-default-deny wants. Calico gives NetworkPolicies the order 1000, goes
#   on to this one with what none of them allows, and drops at the end of the tier what this one doesn't allow either.
#   A rule names a protocol if it names ports, and CIDRs of one address family. Ports of a Service are those of its endpoints.
# related_resources:
#   - https://docs.tigera.io/calico/latest/reference/resources/globalnetworkpolicy
#   - https://docs.tigera.io/calico/latest/network-policy/policy-tiers/tiered-policy
package sluice.lib.default_deny.calico

objects(wanted) := {{
	"apiVersion": "projectcalico.org/v3",
	"kind": "GlobalNetworkPolicy",
	"metadata": object.union({"name": sprintf("sluice-default-deny-%s", [wanted.namespace])}, owned(wanted)),
	"spec": {
		"order": 2000,
		"namespaceSelector": named(wanted.namespace),
		"selector": "all()",
		"types": wanted.directions,
		"ingress": array.concat(
			[{"action": "Allow", "source": {"namespaceSelector": named(wanted.namespace)}} | "Ingress" in wanted.same_namespace],
			wanted.ingress,
		),
		"egress": array.flatten([
			[rule | some dns in wanted.dns; some rule in dns_rules(dns)],
			[{"action": "Allow", "destination": {"namespaceSelector": named(wanted.namespace)}} | "Egress" in wanted.same_namespace],
			[rule | some server in wanted.api_server; some rule in server_rules(server)],
			wanted.egress,
		]),
	},
}}

# owned: the object goes with the namespace, whose uid is not known in files.
owned(wanted) := {} if {
	wanted.uid == ""
} else := {"ownerReferences": [{
	"apiVersion": "v1",
	"kind": "Namespace",
	"name": wanted.namespace,
	"uid": wanted.uid,
}]}

named(namespace) := sprintf("projectcalico.org/name == '%s'", [namespace])

dns_rules(dns) := [allowed(protocol, object.union(peers, {"ports": dns.ports})) |
	pods := concat(" && ", [sprintf("%s == '%s'", [key, value]) | some key, value in dns.podLabels])
	some peers in array.concat(
		[{"namespaceSelector": named(dns.namespace), "selector": pods}],
		[{"nets": nets} | some nets in families(dns.caches)],
	)
	some protocol in ["UDP", "TCP"]
]

server_rules(server) := [{"action": "Allow", "destination": {"services": {"name": "kubernetes", "namespace": "default"}}}] if {
	count(server.cidrs) == 0
} else := [allowed("TCP", {"nets": nets, "ports": server.ports}) | some nets in families(server.cidrs)]

allowed(protocol, destination) := {"action": "Allow", "protocol": protocol, "destination": destination}

# families are the CIDRs of IPv4 and those of IPv6, if there are any.
families(cidrs) := [nets |
	some ipv6 in [false, true]
	nets := [cidr | some cidr in cidrs; contains(cidr, ":") == ipv6]
	count(nets) > 0
]
