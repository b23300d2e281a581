package sluice.service.load_balancer_prefixes_test

import data.sluice.lib.testing.annotated
import data.sluice.lib.testing.create
import data.sluice.lib.testing.namespace
import data.sluice.lib.testing.service
import data.sluice.lib.testing.update
import data.sluice.lib.testing.with_parameters
import data.sluice.service.load_balancer_prefixes

allotments := [
	{"namespaces": ["shop", "store-*"], "prefixes": ["198.51.100.0/28", "2001:db8:7::/64"]},
	{"namespaces": ["crm"], "prefixes": ["0.0.0.0/0"]},
]

told := {"allotments": allotments}

# deny is what the rule finds with parameters, while Namespace shop has no annotation.
deny(review, parameters) := denied(review, parameters, {})

denied(review, parameters, annotations) := found if {
	shop := object.union(namespace("shop", {}), {"metadata": {"annotations": annotations}})
	found := load_balancer_prefixes.deny with input as with_parameters(review, parameters)
		with sluice.state.get as shop
}

in_namespace(review, name) := object.union(review, {"request": {"namespace": name}})

balancer(spec) := service(object.union({"type": "LoadBalancer"}, spec))

asking(address) := create(balancer({"loadBalancerIP": address}))

outside(address, field) := {
	"msg": sprintf("address %s is outside of the prefixes of namespace shop: 198.51.100.0/28, 2001:db8:7::/64", [address]),
	"field": field,
	"fix": "use an address in 198.51.100.0/28, 2001:db8:7::/64",
}

without(address, field) := {
	"msg": sprintf("address %s: namespace shop has no prefixes for load balancers", [address]),
	"field": field,
	"fix": "ask the platform team for a prefix for the namespace",
}

unallotted := {
	"msg": "type LoadBalancer in namespace shop, which has no prefixes for load balancers",
	"field": "spec.type",
	"fix": "ask the platform team for a prefix for the namespace",
}

# METADATA
# title: a load balancer that asks for an address of another namespace
# custom: {example: refused}
test_outside if deny(asking("198.51.100.16"), told) == {outside("198.51.100.16", "spec.loadBalancerIP")}

# METADATA
# title: a load balancer that asks for an address of its own namespace
# custom: {example: admitted}
test_inside if {
	deny(asking("198.51.100.15"), told) == set()
	deny(asking("2001:DB8:7:0::1"), told) == set()
}

test_nothing_told if {
	deny(asking("198.51.100.16"), {}) == set()
	deny(asking("198.51.100.16"), {"requireAddress": true}) == set()
}

test_external_ips if {
	claiming := create(service({"type": "ClusterIP", "externalIPs": ["198.51.100.1", "192.0.2.1"]}))
	deny(claiming, told) == {outside("192.0.2.1", "spec.externalIPs[1]")}
}

annotation := "metallb.io/loadBalancerIPs"

field := sprintf("metadata.annotations[%s]", [annotation])

test_annotation if {
	deny(create(annotated(balancer({}), {annotation: "198.51.100.1, 2001:db8:7::1"})), told) == set()
	deny(create(annotated(balancer({}), {annotation: "198.51.100.1, 2001:db8:8::1"})), told) == {outside("2001:db8:8::1", field)}
}

test_no_address if {
	deny(asking("pool-a"), told) == {{
		"msg": `"pool-a" is no address`,
		"field": "spec.loadBalancerIP",
		"fix": "use an address in 198.51.100.0/28, 2001:db8:7::/64",
	}}
}

test_what_no_load_balancer_reads if {
	deny(create(annotated(service({"type": "ClusterIP"}), {annotation: "192.0.2.1"})), told) == set()
	deny(create(service({"type": "ClusterIP", "loadBalancerIP": "192.0.2.1"})), told) == set()
	every spec in [{}, null, {"type": null, "externalIPs": null}] {
		deny(create(service(spec)), told) == set()
	}
}

test_namespaces if {
	deny(in_namespace(asking("198.51.100.1"), "store-7"), told) == set()
	deny(in_namespace(asking("192.0.2.1"), "crm"), told) == set()
	deny(in_namespace(asking("198.51.100.1"), "store"), told) == {{
		"msg": "address 198.51.100.1: namespace store has no prefixes for load balancers",
		"field": "spec.loadBalancerIP",
		"fix": "ask the platform team for a prefix for the namespace",
	}}
}

test_prefixes_of_several_entries if {
	more := array.concat(allotments, [{"namespaces": ["*"], "prefixes": ["192.0.2.0/30", "192.0.2.64/30"]}])
	deny(asking("192.0.2.1"), {"allotments": more}) == set()
	deny(asking("192.0.2.4"), {"allotments": more}) == {{
		"msg": "address 192.0.2.4 is outside of the prefixes of namespace shop: 198.51.100.0/28, 2001:db8:7::/64, 192.0.2.0/30 and 1 more",
		"field": "spec.loadBalancerIP",
		"fix": "use an address in 198.51.100.0/28, 2001:db8:7::/64, 192.0.2.0/30 and 1 more",
	}}
}

test_from_namespaces if {
	parameters := {"fromNamespaces": true}
	key := "policy.sluice.dev/load-balancer-prefixes"
	denied(asking("192.0.2.1"), parameters, {key: " 192.0.2.0/30, 2001:db8:9::/64 "}) == set()
	denied(asking("192.0.2.1"), parameters, {}) == {without("192.0.2.1", "spec.loadBalancerIP")}
	denied(asking("192.0.2.1"), parameters, {key: " "}) == {without("192.0.2.1", "spec.loadBalancerIP")}
	denied(asking("192.0.2.1"), told, {key: "192.0.2.0/30"}) == {outside("192.0.2.1", "spec.loadBalancerIP")}
	denied(asking("192.0.2.1"), object.union(told, parameters), {key: "192.0.2.0/30"}) == set()
	denied(asking("198.51.100.1"), object.union(told, parameters), {key: "192.0.2.0/30"}) == set()
}

test_no_request if {
	deny(create(balancer({})), told) == set()
	deny(create(balancer({})), {"fromNamespaces": true}) == {unallotted}
	deny(create(balancer({})), {"fromNamespaces": true, "requireAddress": true}) == {unallotted}
	deny(create(balancer({})), object.union(told, {"requireAddress": true})) == {{
		"msg": "type LoadBalancer asks for no address, so that its controller chooses one",
		"field": "spec.type",
		"fix": "the annotation by which the controller is asked, with an address in 198.51.100.0/28, 2001:db8:7::/64",
	}}
	deny(asking("198.51.100.1"), object.union(told, {"requireAddress": true})) == set()
}

test_unallotted_is_allowed if {
	parameters := {"fromNamespaces": true, "allowUnallotted": true}
	deny(create(balancer({})), parameters) == set()
	deny(asking("192.0.2.1"), parameters) == {without("192.0.2.1", "spec.loadBalancerIP")}
	deny(noted(given(balancer({})), balancer({})), parameters) == set()
	deny(noted(given(balancer({})), balancer({})), object.union(told, parameters)) == {outside(
		"192.0.2.1",
		"status.loadBalancer.ingress[0].ip",
	)}
	asked := balancer({"loadBalancerIP": "192.0.2.9"})
	deny(noted(given(asked), asked), parameters) == {without("192.0.2.1", "status.loadBalancer.ingress[0].ip")}
}

given(obj) := object.union(obj, {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}, {"hostname": "lb.example.com"}]}}})

noted(obj, old) := object.union(update(obj, old), {"request": {"subResource": "status"}})

test_status if {
	web := balancer({})
	expected := {outside("192.0.2.1", "status.loadBalancer.ingress[0].ip")}
	deny(noted(given(web), web), told) == expected
	deny(create(given(web)), told) == expected # as the audit sees it
	deny(update(given(web), given(web)), told) == set()
	deny(create(given(service({"type": "ClusterIP"}))), told) == expected
	inside := object.union(web, {"status": {"loadBalancer": {"ingress": [{"ip": "198.51.100.2"}]}}})
	deny(noted(inside, web), told) == set()
}

# A controller that notes a status does not answer for the rest, but for annotations that it changes on the way.
test_status_beside_the_rest if {
	asked := balancer({"loadBalancerIP": "192.0.2.9", "externalIPs": ["192.0.2.8"]})
	deny(noted(asked, asked), told) == set()
	deny(noted(balancer({}), balancer({})), {"fromNamespaces": true}) == set()
	deny(noted(balancer({}), balancer({})), object.union(told, {"requireAddress": true})) == set()
	old := annotated(balancer({}), {annotation: "192.0.2.1"})
	deny(noted(old, old), told) == set()
	deny(noted(old, balancer({})), told) == {outside("192.0.2.1", field)}
	deny(noted(balancer({}), old), told) == set()
}
