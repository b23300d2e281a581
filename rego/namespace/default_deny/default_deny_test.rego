package sluice.namespace.default_deny_test

import data.sluice.lib.default_deny.calico
import data.sluice.lib.default_deny.cilium
import data.sluice.lib.default_deny.cluster
import data.sluice.lib.testing.create
import data.sluice.lib.testing.namespace
import data.sluice.lib.testing.with_parameters
import data.sluice.namespace.default_deny

shop := namespace("shop", {})

# made is what a policy with parameters makes for a namespace.
made(home, parameters) := found if {
	found := default_deny.generate with input as with_parameters(create(home), parameters)
}

policy(name, spec) := {
	"apiVersion": "networking.k8s.io/v1",
	"kind": "NetworkPolicy",
	"metadata": {"name": name, "namespace": "shop"},
	"spec": spec,
}

deny(types) := policy("sluice-default-deny", {"podSelector": {}, "policyTypes": types, "ingress": [], "egress": []})

default_deny_policy := deny(["Ingress", "Egress"])

ingress(name, rules) := policy(name, {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": rules, "egress": []})

egress(name, rules) := policy(name, {"podSelector": {}, "policyTypes": ["Egress"], "ingress": [], "egress": rules})

kube_dns := {
	"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
	"podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
}

allow_dns(more) := egress("sluice-allow-dns", [{
	"to": array.concat([kube_dns], more),
	"ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
}])

# METADATA
# title: with the defaults
# custom: {example: generated}
test_namespace if {
	default_deny.generate == {default_deny_policy, allow_dns([])} with input.request.object.metadata.name as "shop"
}

test_terminating if {
	going := object.union(shop, {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}})
	every flavour in ["NetworkPolicy", "CiliumNetworkPolicy", "GlobalNetworkPolicy", "ClusterNetworkPolicy"] {
		made(going, {"flavour": flavour}) == set()
		made(shop, {"flavour": flavour}) != set()
	}
}

test_excluded if {
	made(shop, {"excludedNamespaces": ["blog", "shop"]}) == set()
	made(shop, {"excludedNamespaces": ["sh*"]}) == set()
	made(shop, {"excludedNamespaces": ["*-shop", "shop-eu", "sho"]}) == {default_deny_policy, allow_dns([])}
}

# Who answers everyone can't be denied to.
test_namespace_of_dns if {
	made(shop, {"dns": {"namespace": "shop"}}) == set()
	made(shop, {"dns": {"namespace": "shop", "enabled": false}}) == {default_deny_policy}
}

test_directions if {
	made(shop, {"directions": ["Ingress"]}) == {deny(["Ingress"])}
	made(shop, {"directions": ["Egress"]}) == {deny(["Egress"]), allow_dns([])}
	made(shop, {"directions": ["Egress", "Ingress"]}) == {default_deny_policy, allow_dns([])}
}

test_dns_of_openshift if {
	made(shop, {"dns": {
		"namespace": "openshift-dns",
		"podLabels": {"dns.operator.openshift.io/daemonset-dns": "default"},
		"ports": [5353],
	}}) == {default_deny_policy, egress("sluice-allow-dns", [{
		"to": [{
			"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "openshift-dns"}},
			"podSelector": {"matchLabels": {"dns.operator.openshift.io/daemonset-dns": "default"}},
		}],
		"ports": [{"protocol": "UDP", "port": 5353}, {"protocol": "TCP", "port": 5353}],
	}])}
}

test_node_local_dns if {
	every address, cidr in {"169.254.20.10": "169.254.20.10/32", "fd00::10": "fd00::10/128"} {
		made(shop, {"dns": {"nodeLocal": address}}) == {default_deny_policy, allow_dns([{"ipBlock": {"cidr": cidr}}])}
	}
}

test_same_namespace if {
	made(shop, {"sameNamespace": true, "dns": {"enabled": false}}) == {default_deny_policy, policy("sluice-allow-same-namespace", {
		"podSelector": {},
		"policyTypes": ["Ingress", "Egress"],
		"ingress": [{"from": [{"podSelector": {}}]}],
		"egress": [{"to": [{"podSelector": {}}]}],
	})}
	made(shop, {"sameNamespace": true, "directions": ["Ingress"]}) == {
		deny(["Ingress"]),
		ingress("sluice-allow-same-namespace", [{"from": [{"podSelector": {}}]}]),
	}
}

api_server := {"enabled": true, "cidrs": ["192.0.2.1/32", "2001:db8::1/128"]}

test_api_server if {
	made(shop, {"apiServer": api_server}) == {default_deny_policy, allow_dns([]), egress("sluice-allow-api-server", [{
		"to": [{"ipBlock": {"cidr": "192.0.2.1/32"}}, {"ipBlock": {"cidr": "2001:db8::1/128"}}],
		"ports": [{"protocol": "TCP", "port": 443}, {"protocol": "TCP", "port": 6443}],
	}])}
	made(shop, {"apiServer": object.union(api_server, {"enabled": false})}) == {default_deny_policy, allow_dns([])}
	made(shop, {"apiServer": api_server, "directions": ["Ingress"]}) == {deny(["Ingress"])}
}

scrape := {"from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]}

proxy := {"to": [{"ipBlock": {"cidr": "192.0.2.7/32"}}], "ports": [{"protocol": "TCP", "port": 3128}]}

test_extra if {
	made(shop, {"extraIngress": [scrape], "extraEgress": [proxy]}) == {
		default_deny_policy, allow_dns([]),
		policy("sluice-allow-extra", {
			"podSelector": {},
			"policyTypes": ["Ingress", "Egress"],
			"ingress": [scrape],
			"egress": [proxy],
		}),
	}
}

# It would isolate in a direction that was to stay open.
test_extra_in_an_open_direction if {
	made(shop, {"extraIngress": [scrape], "extraEgress": [proxy], "directions": ["Ingress"]}) == {
		deny(["Ingress"]),
		ingress("sluice-allow-extra", [scrape]),
	}
	made(shop, {"extraIngress": [scrape], "extraEgress": [proxy], "directions": ["Egress"]}) == {
		deny(["Egress"]), allow_dns([]),
		egress("sluice-allow-extra", [proxy]),
	}
}

# standard is what is wanted of other flavours by default.
standard := {
	"namespace": "shop",
	"uid": "",
	"directions": ["Ingress", "Egress"],
	"dns": [{"enabled": true, "namespace": "kube-system", "podLabels": {"k8s-app": "kube-dns"}, "ports": [53], "nodeLocal": "", "caches": []}],
	"same_namespace": [],
	"api_server": [],
	"ingress": [],
	"egress": [],
	"excluded": ["kube-system"],
}

# METADATA
# title: with the flavour CiliumNetworkPolicy, and pods that may talk to each other and to the API server
# custom: {example: generated}
test_cilium if {
	default_deny.generate == cilium.objects(object.union(standard, {
		"same_namespace": ["Ingress", "Egress"],
		"api_server": [{"enabled": true, "cidrs": [], "ports": [443, 6443]}],
	})) with input.request.object.metadata.name as "shop"
		with input.parameters as {"flavour": "CiliumNetworkPolicy", "sameNamespace": true, "apiServer": {"enabled": true}}
}

# METADATA
# title: with the flavour GlobalNetworkPolicy, and pods that may talk to each other and to the API server
# custom: {example: generated}
test_calico if {
	default_deny.generate == calico.objects(object.union(standard, {
		"uid": "5f2c8a4e-6d0b-4c1e-9b53-0d9a3c1f7e21",
		"same_namespace": ["Ingress", "Egress"],
		"api_server": [{"enabled": true, "cidrs": [], "ports": [443, 6443]}],
	})) with input.request.object.metadata as {"name": "shop", "uid": "5f2c8a4e-6d0b-4c1e-9b53-0d9a3c1f7e21"}
		with input.parameters as {"flavour": "GlobalNetworkPolicy", "sameNamespace": true, "apiServer": {"enabled": true}}
}

# METADATA
# title: with the flavour ClusterNetworkPolicy and the API server at 192.0.2.1
# custom: {example: generated}
test_cluster if {
	default_deny.generate == cluster.objects(object.union(standard, {
		"api_server": [{"enabled": true, "cidrs": ["192.0.2.1/32"], "ports": [443, 6443]}],
		"excluded": ["ingress-nginx", "kube-system"],
	})) with input.request.object.metadata.name as "shop"
		with input.parameters as {
			"flavour": "ClusterNetworkPolicy",
			"apiServer": {"enabled": true, "cidrs": ["192.0.2.1/32"]},
			"excludedNamespaces": ["ingress-nginx"],
		}
}
