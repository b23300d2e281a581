package sluice.lib.default_deny.cluster_test

import data.sluice.lib.default_deny.cluster

# nothing but the default deny is wanted.
nothing := {
	"namespace": "shop",
	"uid": "",
	"directions": ["Ingress", "Egress"],
	"dns": [],
	"same_namespace": [],
	"api_server": [],
	"ingress": [],
	"egress": [],
	"excluded": [],
}

dns := {"namespace": "kube-system", "podLabels": {"k8s-app": "kube-dns"}, "ports": [53], "caches": []}

made(wanted) := cluster.objects(object.union(nothing, wanted))

policy(excluded, ingress, egress) := {{
	"apiVersion": "policy.networking.k8s.io/v1alpha2",
	"kind": "ClusterNetworkPolicy",
	"metadata": {"name": "sluice-default-deny"},
	"spec": {
		"tier": "Baseline",
		"priority": 1000,
		"subject": {"namespaces": {"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": excluded}]}},
		"ingress": ingress,
		"egress": egress,
	},
}}

system := ["kube-node-lease", "kube-public", "kube-system", "sluice-system"]

deny_ingress := {"name": "deny-all-else", "action": "Deny", "from": [{"namespaces": {}}]}

deny_egress := {"name": "deny-all-else", "action": "Deny", "to": [{"namespaces": {}}, {"networks": ["0.0.0.0/0", "::/0"]}]}

test_nothing_allowed if {
	made({}) == policy(system, [deny_ingress], [deny_egress])
	made({"directions": ["Ingress"]}) == policy(system, [deny_ingress], [])
	made({"directions": ["Egress"]}) == policy(system, [], [deny_egress])
}

# It is one object, whichever namespace it is made for.
test_every_namespace_makes_the_same if made({"namespace": "blog", "uid": "1-2"}) == made({})

test_excluded if {
	every excluded in [["zoo", "argocd", "kube-system"], ["kube-system", "argocd", "zoo"]] {
		made({"excluded": excluded}) == policy(
			["argocd", "kube-node-lease", "kube-public", "kube-system", "sluice-system", "zoo"],
			[deny_ingress],
			[deny_egress],
		)
	}
}

port(protocol, number) := {protocol: {"destinationPort": {"number": number}}}

allow_dns(more) := {
	"name": "allow-dns",
	"action": "Accept",
	"to": array.concat(
		[{"pods": {
			"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
			"podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
		}}],
		more,
	),
	"protocols": [port("udp", 53), port("tcp", 53)],
}

test_dns if {
	made({"dns": [dns]}) == policy(system, [deny_ingress], [allow_dns([]), deny_egress])
	made({"dns": [object.union(dns, {"caches": ["169.254.20.10/32"]})]}) == policy(system, [deny_ingress], [
		allow_dns([{"networks": ["169.254.20.10/32"]}]),
		deny_egress,
	])
}

test_api_server if {
	made({"api_server": [{"cidrs": ["192.0.2.1/32", "2001:db8::1/128"], "ports": [443, 6443]}]}) == policy(system, [deny_ingress], [
		{
			"name": "allow-api-server",
			"action": "Accept",
			"to": [{"networks": ["192.0.2.1/32", "2001:db8::1/128"]}],
			"protocols": [port("tcp", 443), port("tcp", 6443)],
		},
		deny_egress,
	])
}

# What is denied comes last, or nothing would be allowed.
test_extra_comes_before_the_denial if {
	scrape := {"action": "Accept", "from": [{"namespaces": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]}
	pass := {"action": "Pass", "to": [{"networks": ["192.0.2.0/24"]}]}
	made({"dns": [dns], "ingress": [scrape], "egress": [pass]}) == policy(system, [scrape, deny_ingress], [allow_dns([]), pass, deny_egress])
}
