package sluice.lib.default_deny.networkpolicies_test

import data.sluice.lib.default_deny.networkpolicies

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
	objects := networkpolicies.objects(object.union(nothing, wanted))
	every obj in objects {
		object.remove(obj, ["spec"]) == {
			"apiVersion": "networking.k8s.io/v1",
			"kind": "NetworkPolicy",
			"metadata": {"name": obj.metadata.name, "namespace": "shop"},
		}
	}
}

deny(types) := {"podSelector": {}, "policyTypes": types, "ingress": [], "egress": []}

test_nothing_allowed if {
	every types in [["Ingress"], ["Egress"], ["Ingress", "Egress"]] {
		made({"directions": types}) == {"sluice-default-deny": deny(types)}
	}
}

peer := {"podSelector": {}}

test_one_thing_each if {
	made({
		"dns": [object.union(dns, {"caches": ["fd00::10/128"]})],
		"same_namespace": ["Ingress", "Egress"],
		"api_server": [{"cidrs": ["192.0.2.0/29"], "ports": [6443]}],
		"ingress": [{"ports": [{"port": 8080}]}],
		"egress": [{"ports": [{"port": 25}]}],
	}) == {
		"sluice-default-deny": deny(["Ingress", "Egress"]),
		"sluice-allow-dns": {"podSelector": {}, "policyTypes": ["Egress"], "ingress": [], "egress": [{
			"to": [
				{
					"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
					"podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
				},
				{"ipBlock": {"cidr": "fd00::10/128"}},
			],
			"ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
		}]},
		"sluice-allow-same-namespace": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "ingress": [{"from": [peer]}], "egress": [{"to": [peer]}]},
		"sluice-allow-api-server": {"podSelector": {}, "policyTypes": ["Egress"], "ingress": [], "egress": [{
			"to": [{"ipBlock": {"cidr": "192.0.2.0/29"}}],
			"ports": [{"protocol": "TCP", "port": 6443}],
		}]},
		"sluice-allow-extra": {
			"podSelector": {},
			"policyTypes": ["Ingress", "Egress"],
			"ingress": [{"ports": [{"port": 8080}]}],
			"egress": [{"ports": [{"port": 25}]}],
		},
	}
}

# An object isolates in the directions in which it allows something, and in no other.
test_one_direction if {
	made({"directions": ["Egress"], "same_namespace": ["Egress"], "egress": [{"ports": [{"port": 25}]}]}) == {
		"sluice-default-deny": deny(["Egress"]),
		"sluice-allow-same-namespace": {"podSelector": {}, "policyTypes": ["Egress"], "ingress": [], "egress": [{"to": [peer]}]},
		"sluice-allow-extra": {"podSelector": {}, "policyTypes": ["Egress"], "ingress": [], "egress": [{"ports": [{"port": 25}]}]},
	}
	made({"directions": ["Ingress"], "same_namespace": ["Ingress"], "ingress": [{"ports": [{"port": 80}]}]}) == {
		"sluice-default-deny": deny(["Ingress"]),
		"sluice-allow-same-namespace": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"from": [peer]}], "egress": []},
		"sluice-allow-extra": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"ports": [{"port": 80}]}], "egress": []},
	}
}
