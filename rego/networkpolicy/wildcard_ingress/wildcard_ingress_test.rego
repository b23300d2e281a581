package sluice.networkpolicy.wildcard_ingress_test

import data.sluice.lib.testing.create
import data.sluice.lib.testing.networkpolicy
import data.sluice.networkpolicy.wildcard_ingress

deny(ingress) := found if {
	obj := networkpolicy({"podSelector": {}, "policyTypes": ["Ingress"], "ingress": ingress})
	found := wildcard_ingress.deny with input as create(obj)
}

https := [{"protocol": "TCP", "port": 443}]

every_port := [{"protocol": protocol} | some protocol in ["TCP", "UDP", "SCTP"]]

block(cidr) := {"ipBlock": {"cidr": cidr}}

everyone := {
	"msg": "the ingress rule lets in everyone on every port: neither from nor ports limit it",
	"field": "spec.ingress[0]",
	"fix": "add from with the clients, or ports with what this service serves",
}

every_address := {
	"msg": "the ingress rule lets in every address on every port",
	"field": "spec.ingress[0].from",
	"fix": "cidr: only the networks of the clients, or add ports with what this service serves",
}

every_pod(msg, field) := {
	"msg": msg,
	"field": field,
	"fix": "ports of this service, or namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: NAMESPACE}}",
}

# METADATA
# title: a rule that limits nothing
# custom: {example: refused}
test_neither_from_nor_ports if {
	deny([{}]) == {everyone}
	deny([{"from": null, "ports": []}]) == {everyone}
	deny([{"ports": every_port}]) == {everyone}
	deny([{"from": [{"podSelector": {}}]}, {}]) == {object.union(everyone, {"field": "spec.ingress[1]"})}
}

# METADATA
# title: everyone on one port
# custom: {example: admitted}
test_ports_limit if {
	deny([{"ports": https}]) == set()
	deny([{"from": [block("0.0.0.0/0"), block("::/0")], "ports": https}]) == set()
	deny([{"from": [{"namespaceSelector": {}}], "ports": https}]) == set()
	deny([{"ports": [{"protocol": "TCP"}]}]) == set()
}

test_every_address if {
	deny([{"from": [block("0.0.0.0/0")]}]) == {every_address}
	deny([{"from": [block("0.0.0.0/1"), {"podSelector": {}}, block("128.0.0.0/1")]}]) == {every_address}
	deny([{"from": [block("::/0")]}]) == {every_address}
}

test_all_but_some_addresses if {
	deny([{"from": [block("0.0.0.0/1")]}]) == set()
	deny([{"from": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["198.51.100.0/24"]}}]}]) == set()
}

test_every_pod if {
	deny([{"from": [{"podSelector": {"matchLabels": {"app": "web"}}}, {"namespaceSelector": {}}]}]) == {every_pod(
		"the ingress peer lets in every pod of every namespace on every port",
		"spec.ingress[0].from[1]",
	)}
	deny([{"from": [{"namespaceSelector": {}}], "ports": every_port}]) == {every_pod(
		"the ingress peer lets in every pod of every namespace on every port",
		"spec.ingress[0].from[0]",
	)}
}

env(operator) := {"namespaceSelector": {"matchExpressions": [{"key": "env", "operator": operator, "values": ["live"]}]}}

test_every_pod_by_two_peers if {
	deny([{"from": [env("In"), env("NotIn")]}]) == {every_pod(
		"the ingress peers together let in every pod of every namespace on every port",
		"spec.ingress[0].from",
	)}
	deny([{"from": [env("In")]}, {"from": [env("In")]}]) == set()
}

test_every_pod_perhaps if {
	found := deny([{"from": [env("In")]}]) with sluice.networkpolicy.every_pod as [{
		"direction": "Ingress",
		"field": "spec.ingress[0].from",
		"hasPorts": false,
		"uncertain": true,
	}]
	found == {every_pod(
		"the ingress peers may together let in every pod of every namespace: too complicated to tell",
		"spec.ingress[0].from",
	)}
}

ports_of(protocols) := [{"protocol": protocol} | some protocol in protocols]

rules_together(msg) := {
	"msg": msg,
	"field": "spec.ingress",
	"fix": "limit each rule to the clients, or to the ports that this service serves",
}

test_every_address_by_two_rules if {
	all_but_one := {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["203.0.113.7/32"]}}
	every ingress in [
		[{"from": [block("0.0.0.0/1")]}, {"from": [block("128.0.0.0/1")]}],
		[{"from": [block("::/1")]}, {"from": [block("8000::/1")], "ports": every_port}],
		[{"from": [all_but_one]}, {"from": [block("203.0.113.0/24")]}],
		[{"ports": ports_of(["TCP", "UDP"])}, {"from": [block("0.0.0.0/0")], "ports": ports_of(["SCTP"])}],
	] {
		deny(ingress) == {rules_together("the ingress rules together let in every address on every port")}
	}
}

test_not_every_address_by_two_rules if {
	all_but_one := {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["203.0.113.7/32"]}}
	every ingress in [
		[{"from": [block("0.0.0.0/1")]}, {"from": [block("128.0.0.0/1")], "ports": https}],
		[{"from": [block("0.0.0.0/1")]}, {"from": [block("8000::/1")]}],
		[{"from": [all_but_one]}, {"from": [block("203.0.113.0/29")], "ports": https}],
		[{"from": [all_but_one]}, {"from": [block("203.0.113.8/29")]}],
		[{"ports": ports_of(["TCP"])}, {"from": [block("0.0.0.0/0")], "ports": ports_of(["UDP"])}],
	] {
		deny(ingress) == set()
	}
}

test_every_address_perhaps if {
	found := deny([{"from": [block("0.0.0.0/1")]}]) with sluice.networkpolicy.open_ingress as [{
		"field": "spec.ingress",
		"uncertain": true,
	}]
	found == {rules_together("the ingress rules may together let in every address on every port: too complicated to tell")}
}

test_every_pod_by_two_rules if {
	every ingress in [
		[{"from": [env("In")]}, {"from": [env("NotIn")]}],
		[{"from": [env("In")], "ports": every_port}, {"from": [env("NotIn")]}],
		[{"from": [{"namespaceSelector": {}}], "ports": ports_of(["TCP"])}, {"ports": ports_of(["UDP", "SCTP"])}],
	] {
		deny(ingress) == {every_pod(
			"the ingress rules together let in every pod of every namespace on every port",
			"spec.ingress",
		)}
	}
}

test_not_every_pod_by_two_rules if {
	every ingress in [
		[{"from": [env("In")]}, {"from": [env("NotIn")], "ports": https}],
		[{"from": [env("In")]}, {"from": [object.union(env("NotIn"), {"podSelector": {"matchLabels": {"app": "web"}}})]}],
		[{"from": [{"namespaceSelector": {}}], "ports": ports_of(["TCP"])}, {"from": [env("In")]}],
	] {
		deny(ingress) == set()
	}
}

test_every_pod_by_rules_perhaps if {
	found := deny([{"from": [env("In")]}]) with sluice.networkpolicy.every_pod as [{
		"direction": "Ingress",
		"field": "spec.ingress",
		"hasPorts": false,
		"uncertain": true,
	}]
	found == {every_pod(
		"the ingress rules may together let in every pod of every namespace: too complicated to tell",
		"spec.ingress",
	)}
}

test_some_pods if {
	deny([{"from": [{"podSelector": {}}]}]) == set()
	deny([{"from": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "web"}}}]}]) == set()
}

test_egress_is_no_ingress if {
	obj := networkpolicy({
		"podSelector": {}, "policyTypes": ["Ingress", "Egress"],
		"ingress": [{"ports": https}], "egress": [{"to": [{"namespaceSelector": {}}]}, {}],
	})
	wildcard_ingress.deny == set() with input as create(obj)
}

test_switched_off if {
	obj := networkpolicy({"podSelector": {}, "policyTypes": ["Egress"], "ingress": [{}]})
	wildcard_ingress.deny == set() with input as create(obj)
}

# Without ingress rules nothing is asked.
test_no_ingress_rules if {
	every ingress in [null, []] {
		found := deny(ingress) with sluice.networkpolicy.open_ingress as [{"field": "spec.ingress[0]"}]
		found == set()
	}
}

default_deny := {
	"metadata": {"name": "sluice-default-deny", "namespace": "shop"},
	"spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "ingress": [], "egress": []},
}

policies_of("networking.k8s.io/NetworkPolicy", "shop") := [default_deny]

policies_of("networking.k8s.io/NetworkPolicy", "blog") := []

beside(metadata, ingress) := found if {
	spec := {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": ingress}
	found := wildcard_ingress.deny with input.request.object as {"metadata": metadata, "spec": spec}
		with input.request.namespace as metadata.namespace
		with sluice.state.list as policies_of
}

undoing(finding) := object.union(finding, {"msg": concat("", [
	finding.msg,
	", which undoes NetworkPolicy sluice-default-deny for its pods",
])})

# METADATA
# title: a rule that undoes the default deny
# custom: {example: refused}
test_undone_default_deny if {
	beside({"name": "web", "namespace": "shop"}, [{}]) == {undoing(everyone)}
	beside({"namespace": "shop"}, [{}]) == {undoing(everyone)}
	beside({"name": "web", "namespace": "shop"}, [{"from": [{"namespaceSelector": {}}]}]) == {undoing(every_pod(
		"the ingress peer lets in every pod of every namespace on every port",
		"spec.ingress[0].from[0]",
	))}
	beside({"name": "web", "namespace": "blog"}, [{}]) == {everyone}
	beside({"name": "sluice-default-deny", "namespace": "shop"}, [{}]) == {everyone}
	beside({"name": "web", "namespace": "shop"}, [{"ports": https}]) == set()
}

# Nothing is said to be undone where that is too complicated to tell.
test_perhaps_undone if {
	perhaps := [{"field": "spec.ingress", "uncertain": true}]
	found := beside({"name": "web", "namespace": "shop"}, [{}]) with sluice.networkpolicy.open_ingress as perhaps
	{finding.msg | some finding in found} == {"the ingress rules may together let in every address on every port: too complicated to tell"}
}
