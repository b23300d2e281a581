package sluice.lib.default_deny.calico_test

import data.sluice.lib.default_deny.calico

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

made(wanted) := calico.objects(object.union(nothing, wanted))

policy(metadata, types, ingress, egress) := {{
	"apiVersion": "projectcalico.org/v3",
	"kind": "GlobalNetworkPolicy",
	"metadata": object.union({"name": "sluice-default-deny-shop"}, metadata),
	"spec": {
		"order": 2000,
		"namespaceSelector": "projectcalico.org/name == 'shop'",
		"selector": "all()",
		"types": types,
		"ingress": ingress,
		"egress": egress,
	},
}}

both := ["Ingress", "Egress"]

test_nothing_allowed if {
	every types in [["Ingress"], ["Egress"], both] {
		made({"directions": types}) == policy({}, types, [], [])
	}
}

test_goes_with_the_namespace if {
	made({"uid": "1-2"}) == policy(
		{"ownerReferences": [{"apiVersion": "v1", "kind": "Namespace", "name": "shop", "uid": "1-2"}]},
		both, [], [],
	)
}

allowed(protocol, destination) := {"action": "Allow", "protocol": protocol, "destination": destination}

kube_dns := {"namespaceSelector": "projectcalico.org/name == 'kube-system'", "selector": "k8s-app == 'kube-dns'", "ports": [53]}

test_dns if {
	made({"dns": [dns]}) == policy({}, both, [], [allowed("UDP", kube_dns), allowed("TCP", kube_dns)])
	cache := {"nets": ["fd00::10/128"], "ports": [53]}
	made({"dns": [object.union(dns, {"caches": ["fd00::10/128"]})]}) == policy({}, both, [], [
		allowed("UDP", kube_dns), allowed("TCP", kube_dns),
		allowed("UDP", cache), allowed("TCP", cache),
	])
}

test_labels_of_dns if {
	other := {"namespaceSelector": "projectcalico.org/name == 'kube-system'", "selector": "a/b == '1' && c == ''", "ports": [53, 5353]}
	made({"dns": [{"namespace": "kube-system", "podLabels": {"c": "", "a/b": "1"}, "ports": [53, 5353], "caches": []}]}) == policy(
		{}, both, [],
		[allowed("UDP", other), allowed("TCP", other)],
	)
}

shop := {"namespaceSelector": "projectcalico.org/name == 'shop'"}

test_same_namespace if {
	from := [{"action": "Allow", "source": shop}]
	to := [{"action": "Allow", "destination": shop}]
	made({"same_namespace": both}) == policy({}, both, from, to)
	made({"same_namespace": ["Ingress"], "directions": ["Ingress"]}) == policy({}, ["Ingress"], from, [])
	made({"same_namespace": ["Egress"], "directions": ["Egress"]}) == policy({}, ["Egress"], [], to)
}

# Calico refuses CIDRs of both families in one rule, and ports of a Service.
test_api_server if {
	made({"api_server": [{"cidrs": [], "ports": [443]}]}) == policy({}, both, [], [{
		"action": "Allow",
		"destination": {"services": {"name": "kubernetes", "namespace": "default"}},
	}])
	made({"api_server": [{"cidrs": ["2001:db8::1/128", "192.0.2.1/32", "192.0.2.2/32"], "ports": [443]}]}) == policy({}, both, [], [
		allowed("TCP", {"nets": ["192.0.2.1/32", "192.0.2.2/32"], "ports": [443]}),
		allowed("TCP", {"nets": ["2001:db8::1/128"], "ports": [443]}),
	])
	made({"api_server": [{"cidrs": ["192.0.2.1/32"], "ports": [443]}]}) == policy({}, both, [], [allowed("TCP", {"nets": ["192.0.2.1/32"], "ports": [443]})])
}

test_extra_comes_last if {
	log := {"action": "Log"}
	pass := {"action": "Pass"}
	made({"ingress": [log], "egress": [pass], "same_namespace": both}) == policy(
		{}, both,
		[{"action": "Allow", "source": shop}, log],
		[{"action": "Allow", "destination": shop}, pass],
	)
}
