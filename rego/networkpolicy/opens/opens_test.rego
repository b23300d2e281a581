package sluice.networkpolicy.opens_test

import data.sluice.lib.testing.create
import data.sluice.lib.testing.networkpolicy
import data.sluice.lib.testing.remove
import data.sluice.lib.testing.update
import data.sluice.lib.testing.with_parameters
import data.sluice.networkpolicy.opens

# default_deny isolates every pod of the namespace.
default_deny := object.union(
	networkpolicy({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}),
	{"metadata": {"name": "default-deny"}},
)

web(egress) := networkpolicy({
	"podSelector": {"matchLabels": {"app": "web"}},
	"policyTypes": ["Egress"],
	"egress": egress,
})

block(cidr) := {"ipBlock": {"cidr": cidr}}

tcp(port) := {"protocol": "TCP", "port": port}

found(review, others) := said if {
	said := opens.deny with input as review with sluice.state.list as others with sluice.state.get as {}
}

unlimited(review) := with_parameters(review, {"allowed": []})

internet := {
	"msg": "pods app=web in shop may now reach 8.8.8.8:443 (0.0.0.0/0 on TCP 443)",
	"field": "spec.egress[0].to[0]",
	"fix": `leave it out, or have the platform team allow {direction: Egress, peers: {cidrs: ["0.0.0.0/0"]}, ports: [TCP/443]}`,
}

to_internet := web([{"to": [block("0.0.0.0/0")], "ports": [tcp(443)]}])

# METADATA
# title: a way to the internet for pods that were isolated
# custom: {example: refused}
test_created if found(unlimited(create(to_internet)), [default_deny]) == {internet}

# METADATA
# title: the first policy for pods, which had everything
# custom: {example: admitted}
test_first_policy if found(unlimited(create(to_internet)), []) == set()

test_ingress if {
	object := networkpolicy({
		"podSelector": {"matchLabels": {"app": "web"}},
		"policyTypes": ["Ingress"],
		"ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "proxy"}}}], "ports": [tcp(8080)]}],
	})
	found(create(object), []) == set()
	found(create(object), [default_deny]) == {{
		"msg": "pods app=web in shop may now be reached from pods app=proxy in namespace shop on TCP 8080",
		"field": "spec.ingress[0].from[0]",
		"fix": "leave it out, or have the platform team allow {direction: Ingress, peers: {ownNamespace: true}, ports: [TCP/8080]}",
	}}
}

test_updated if {
	old := web([{"to": [block("0.0.0.0/0")], "ports": [tcp(443)]}])
	new := web([{"to": [block("0.0.0.0/0")], "ports": [object.union(tcp(443), {"endPort": 444})]}])
	found(update(new, old), [old]) == {{
		"msg": "pods app=web in shop may now reach 8.8.8.8:444 (0.0.0.0/0 on TCP 444)",
		"field": "spec.egress[0].to[0]",
		"fix": `leave it out, or have the platform team allow {direction: Egress, peers: {cidrs: ["0.0.0.0/0"]}, ports: [TCP/444]}`,
	}}
	found(update(old, new), [new]) == set()
	found(update(old, old), [default_deny, old]) == set()
}

test_deleted if {
	found(remove(default_deny), [default_deny, to_internet]) == {
		{
			"msg": "every pod in shop may now be reached from 8.8.8.8 on TCP 443 (no policy isolates them for ingress any more)",
			"field": "metadata.name",
			"fix": "keep a policy that selects these pods and has policyTypes: [Ingress]",
		},
		{
			"msg": "pods without labels in shop may now reach 8.8.8.8:443 (no policy isolates them for egress any more)",
			"field": "metadata.name",
			"fix": "keep a policy that selects these pods and has policyTypes: [Egress]",
		},
	}
	found(remove(to_internet), [default_deny, to_internet]) == set()
}

test_deleted_with_its_namespace if {
	going := {"metadata": {"name": "shop", "deletionTimestamp": "2026-01-01T00:00:00Z"}}
	opens.deny == set() with input as remove(default_deny)
		with sluice.state.list as [default_deny]
		with sluice.state.get as going
	ingress_only := object.union(default_deny, {"spec": {"policyTypes": ["Ingress"]}})
	{finding.field | some finding in opens.deny} == {"spec.policyTypes"} with input as update(ingress_only, default_deny)
		with sluice.state.list as [default_deny]
		with sluice.state.get as going
}

test_allowed if {
	every entry in [
		{"direction": "Egress"},
		{"namespaces": ["sh*"]},
		{"peers": {"cidrs": ["0.0.0.0/1", "128.0.0.0/1"]}, "ports": ["400-500"]},
	] {
		found(with_parameters(create(to_internet), {"allowed": [entry]}), [default_deny]) == set()
	}
}

test_not_allowed if {
	every entry in [
		{"direction": "Ingress"},
		{"namespaces": ["lab"]},
		{"peers": {"namespaces": ["*"]}},
		{"ports": ["UDP/443", "80"]},
	] {
		found(with_parameters(create(to_internet), {"allowed": [entry]}), [default_deny]) == {internet}
	}
}

test_allowed_in_part if {
	review := with_parameters(create(to_internet), {"allowed": [{"peers": {"cidrs": ["0.0.0.0/1"]}}]})
	found(review, [default_deny]) == {{
		"msg": "pods app=web in shop may now reach 169.254.169.254:443 (0.0.0.0/0 on TCP 443)",
		"field": internet.field,
		"fix": internet.fix,
	}}
}

# Without rules, or without a change of the spec, nothing is asked.
test_nothing_to_ask if {
	every review in [
		create(web([])),
		create(web(null)),
		update(to_internet, object.union(to_internet, {"metadata": {"labels": {"a": "b"}}})),
	] {
		opens.deny == set() with input as review
			with sluice.networkpolicy.opens as {"list": [{}], "more": true}
	}
}

test_many if {
	peers := [block(sprintf("10.0.%d.0/24", [i])) | some i in numbers.range(1, 30)]
	many := found(create(web([{"to": peers, "ports": [tcp(443)]}])), [default_deny])
	count(many) == 21
	some finding in many
	finding == {"msg": "more may be opened than is listed here", "field": "spec", "fix": "make the change in smaller steps"}
}

test_many_ports if {
	ports := [tcp(port) | some port in numbers.range_step(1000, 1020, 2)]
	some finding in found(create(web([{"to": [block("0.0.0.0/0")], "ports": ports}])), [default_deny])
	finding == {
		"msg": "pods app=web in shop may now reach 8.8.8.8:1000 (0.0.0.0/0 on TCP 1000, 1002, 1004, 1006, 1008 and 6 more)",
		"field": "spec.egress[0].to[0]",
		"fix": "narrow the peer or its ports to what is allowed",
	}
}
