package sluice.namespace.default_deny_test

import data.sluice.namespace.default_deny

default_deny_policy := {
	"apiVersion": "networking.k8s.io/v1",
	"kind": "NetworkPolicy",
	"metadata": {"name": "sluice-default-deny", "namespace": "shop"},
	"spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "ingress": [], "egress": []},
}

allow_dns(more) := {
	"apiVersion": "networking.k8s.io/v1",
	"kind": "NetworkPolicy",
	"metadata": {"name": "sluice-allow-dns", "namespace": "shop"},
	"spec": {
		"podSelector": {},
		"policyTypes": ["Egress"],
		"egress": [{
			"to": array.concat(
				[{
					"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
					"podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
				}],
				more,
			),
			"ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
		}],
	},
}

# METADATA
# title: a namespace without a node-local DNS cache
# custom: {example: generated}
test_namespace if {
	default_deny.generate == {default_deny_policy, allow_dns([])} with input.request.object.metadata.name as "shop"
		with input.parameters as {"nodeLocalDNS": ""}
}

test_node_local_dns if {
	default_deny.generate == {
		default_deny_policy,
		allow_dns([{"ipBlock": {"cidr": "169.254.20.10/32"}}]),
	} with input.request.object.metadata.name as "shop"
		with input.parameters as {"nodeLocalDNS": "169.254.20.10"}
}

test_node_local_dns_ipv6 if {
	default_deny.generate == {
		default_deny_policy,
		allow_dns([{"ipBlock": {"cidr": "fd00::10/128"}}]),
	} with input.request.object.metadata.name as "shop"
		with input.parameters as {"nodeLocalDNS": "fd00::10"}
}

test_terminating if {
	default_deny.generate == set() with input.request.object.metadata as {
		"name": "shop",
		"deletionTimestamp": "2026-01-01T00:00:00Z",
	}
		with input.parameters as {"nodeLocalDNS": ""}
}
