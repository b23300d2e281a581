package sluice.lib.default_deny.cilium_test

import data.sluice.lib.default_deny.cilium

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

# made are the specs by name, and what is around them is as it has to be.
made(wanted) := {obj.metadata.name: obj.spec | some obj in objects} if {
	objects := cilium.objects(object.union(nothing, wanted))
	every obj in objects {
		object.remove(obj, ["spec"]) == {
			"apiVersion": "cilium.io/v2",
			"kind": "CiliumNetworkPolicy",
			"metadata": {"name": obj.metadata.name, "namespace": "shop"},
		}
	}
}

spec(ingress, egress) := {
	"endpointSelector": {},
	"enableDefaultDeny": {"ingress": ingress != [], "egress": egress != []},
	"ingress": ingress,
	"egress": egress,
}

# An empty list would say nothing of a direction.
test_nothing_allowed if {
	made({}) == {"sluice-default-deny": spec([{}], [{}])}
	made({"directions": ["Ingress"]}) == {"sluice-default-deny": spec([{}], [])}
	made({"directions": ["Egress"]}) == {"sluice-default-deny": spec([], [{}])}
}

ports(list) := [{"ports": list}]

dns_ports := ports([{"port": "53", "protocol": "UDP"}, {"port": "53", "protocol": "TCP"}])

kube_dns := {"toEndpoints": [{"matchLabels": {"k8s:io.kubernetes.pod.namespace": "kube-system", "k8s:k8s-app": "kube-dns"}}], "toPorts": dns_ports}

test_dns if {
	made({"dns": [dns]}) == {"sluice-default-deny": spec([{}], [{}]), "sluice-allow-dns": spec([], [kube_dns])}
	made({"dns": [object.union(dns, {"caches": ["169.254.20.10/32"]})]}) == {
		"sluice-default-deny": spec([{}], [{}]),
		"sluice-allow-dns": spec([], [
			kube_dns,
			{"toEntities": ["host"], "toPorts": dns_ports},
			{"toCIDR": ["169.254.20.10/32"], "toPorts": dns_ports},
		]),
	}
}

test_same_namespace if {
	made({"same_namespace": ["Ingress", "Egress"]}) == {
		"sluice-default-deny": spec([{}], [{}]),
		"sluice-allow-same-namespace": spec([{"fromEndpoints": [{}]}], [{"toEndpoints": [{}]}]),
	}
	made({"same_namespace": ["Ingress"], "directions": ["Ingress"]}) == {
		"sluice-default-deny": spec([{}], []),
		"sluice-allow-same-namespace": spec([{"fromEndpoints": [{}]}], []),
	}
	made({"same_namespace": ["Egress"], "directions": ["Egress"]}) == {
		"sluice-default-deny": spec([], [{}]),
		"sluice-allow-same-namespace": spec([], [{"toEndpoints": [{}]}]),
	}
}

server_ports := ports([{"port": "443", "protocol": "TCP"}, {"port": "6443", "protocol": "TCP"}])

test_api_server if {
	made({"api_server": [{"cidrs": [], "ports": [443, 6443]}]}) == {
		"sluice-default-deny": spec([{}], [{}]),
		"sluice-allow-api-server": spec([], [{"toEntities": ["kube-apiserver"], "toPorts": server_ports}]),
	}
	made({"api_server": [{"cidrs": ["192.0.2.1/32", "2001:db8::1/128"], "ports": [443, 6443]}]}) == {
		"sluice-default-deny": spec([{}], [{}]),
		"sluice-allow-api-server": spec([], [
			{"toEntities": ["kube-apiserver"], "toPorts": server_ports},
			{"toCIDR": ["192.0.2.1/32", "2001:db8::1/128"], "toPorts": server_ports},
		]),
	}
}

test_extra if {
	scrape := {"fromEntities": ["cluster"]}
	names := {"toFQDNs": [{"matchName": "example.com"}]}
	made({"ingress": [scrape], "egress": [names]}) == {
		"sluice-default-deny": spec([{}], [{}]),
		"sluice-allow-extra": spec([scrape], [names]),
	}
	made({"egress": [names]}) == {"sluice-default-deny": spec([{}], [{}]), "sluice-allow-extra": spec([], [names])}
}
