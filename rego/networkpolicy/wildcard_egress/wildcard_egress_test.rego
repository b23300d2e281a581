package sluice.networkpolicy.wildcard_egress_test

import data.sluice.networkpolicy.wildcard_egress

parameters := {"ipv4Prefix": 8, "ipv6Prefix": 32}

policy(name, pods, egress) := {
	"metadata": {"name": name, "namespace": "crm"},
	"spec": {"podSelector": pods, "policyTypes": ["Egress"], "egress": egress},
}

app(name) := {"matchLabels": {"app": name}}

block(cidr) := {"ipBlock": {"cidr": cidr}}

port(protocol, number) := {"protocol": protocol, "port": number}

tcp := [port("TCP", 443)]

api(egress) := policy("api", app("api"), egress)

# judged is what the rule says of a policy beside others.
judged(object, others) := {"deny": denied, "warn": warned} if {
	denied := wildcard_egress.deny with input.request as {"namespace": "crm", "object": object}
		with input.parameters as parameters
		with sluice.state.list as others
	warned := wildcard_egress.warn with input.request as {"namespace": "crm", "object": object}
		with input.parameters as parameters
		with sluice.state.list as others
}

nothing := {"deny": set(), "warn": set()}

refused(msg, field, fix) := {"deny": {{"msg": msg, "field": field, "fix": fix}}, "warn": set()}

narrow := "cidr: the networks that these pods need, such as 203.0.113.0/24"

# METADATA
# title: two blocks that together are everything
# custom: {example: refused}
test_two_blocks if {
	judged(api([{"to": [block("0.0.0.0/1"), block("128.0.0.0/1")], "ports": tcp}]), []) == refused(
		"egress reaches the whole IPv4 internet on TCP 443, more than a /8 of public addresses",
		"spec.egress[0].to[0].ipBlock.cidr",
		narrow,
	)
}

# METADATA
# title: as much as the limits allow
# custom: {example: admitted}
test_at_the_limit if {
	judged(api([{"to": [block("20.0.0.0/8"), block("2001:db8::/32")], "ports": tcp}]), []) == nothing
}

test_one_bit_more if {
	judged(api([{"to": [block("20.0.0.0/7")], "ports": tcp}]), []) == refused(
		"egress reaches 33,554,432 public addresses on TCP 443, more than a /8 of public addresses",
		"spec.egress[0].to[0].ipBlock.cidr",
		narrow,
	)
}

test_beside_excepts if {
	half := {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["128.0.0.0/1"]}}
	judged(api([{"to": [block("10.0.0.0/8"), half], "ports": tcp}]), []).deny == {{
		"msg": "egress reaches 2,092,957,696 public addresses on TCP 443, more than a /8 of public addresses",
		"field": "spec.egress[0].to[1].ipBlock.cidr",
		"fix": "ipBlock: {cidr: 203.0.113.0/24} with the networks that these pods need",
	}}
}

test_ipv6 if {
	judged(api([{"to": [block("2a05::/16")], "ports": tcp}]), []).deny == {{
		"msg": "egress reaches 2^112 public addresses on TCP 443, more than a /32 of public addresses",
		"field": "spec.egress[0].to[0].ipBlock.cidr",
		"fix": narrow,
	}}
}

test_limits_are_parameters if {
	object := api([{"to": [block("20.0.0.0/8"), block("2a05:d018::/32")], "ports": tcp}])
	wildcard_egress.deny == {
		{
			"msg": "egress reaches 16,777,216 public addresses on TCP 443, more than a /16 of public addresses",
			"field": "spec.egress[0].to[0].ipBlock.cidr",
			"fix": narrow,
		},
		{
			"msg": "egress reaches 2^96 public addresses on TCP 443, more than a /48 of public addresses",
			"field": "spec.egress[0].to[1].ipBlock.cidr",
			"fix": narrow,
		},
	} with input.request as {"namespace": "crm", "object": object}
		with input.parameters as {"ipv4Prefix": 16, "ipv6Prefix": 48}
		with sluice.state.list as []
}

everywhere(msg4, msg6) := {
	"deny": {
		{
			"msg": msg4, "field": "spec.egress[0]",
			"fix": "to: [{ipBlock: {cidr: 203.0.113.0/24}}] with the networks that these pods need",
		},
		{
			"msg": msg6, "field": "spec.egress[0]",
			"fix": "to: [{ipBlock: {cidr: 203.0.113.0/24}}] with the networks that these pods need",
		},
	},
	"warn": set(),
}

test_no_destination if {
	every rule, text in {
		{}: "on all ports",
		{"to": null}: "on all ports",
		{"to": [], "ports": [{"protocol": "TCP"}]}: "on all TCP ports",
		{"ports": [port("TCP", 53), port("UDP", 53)]}: "on TCP, UDP 53",
		{"ports": [port("TCP", 53), port("UDP", 53), port("SCTP", 53)]}: "on port 53 of any protocol",
	} {
		judged(api([rule]), []) == everywhere(
			sprintf("egress reaches the whole IPv4 internet %s, more than a /8 of public addresses", [text]),
			sprintf("egress reaches the whole IPv6 internet %s, more than a /32 of public addresses", [text]),
		)
	}
}

test_together_with_a_policy_for_all_pods if {
	judged(
		api([{"to": [block("20.0.0.0/8")], "ports": tcp}]),
		[policy("everyone", {}, [{"to": [block("52.0.0.0/8")], "ports": tcp}])],
	) == refused(
		"egress reaches 33,554,432 public addresses on TCP 443 together with NetworkPolicy everyone, more than a /8 of public addresses",
		"spec.egress[0].to[0].ipBlock.cidr",
		narrow,
	)
}

test_together_for_a_witness if {
	judged(
		api([{"to": [block("20.0.0.0/8")], "ports": tcp}]),
		[policy("tier", {"matchLabels": {"tier": "web"}}, [{"to": [block("52.0.0.0/8")], "ports": tcp}])],
	) == refused(
		concat("", [
			"egress reaches 33,554,432 public addresses on TCP 443 together with NetworkPolicy tier ",
			"for pods labelled app=api, tier=web, more than a /8 of public addresses",
		]),
		"spec.egress[0].to[0].ipBlock.cidr",
		narrow,
	)
}

test_together_with_many if {
	others := [policy(sprintf("part-%d", [i]), {}, [{"to": [block(sprintf("52.%d.0.0/10", [i * 64]))], "ports": tcp}]) |
		some i in numbers.range(0, 3)
	]
	judged(api([{"to": [block("20.0.0.0/9")], "ports": tcp}]), others) == refused(
		concat("", [
			"egress reaches 25,165,824 public addresses on TCP 443 together with NetworkPolicy ",
			"part-0, part-1, part-2 and 1 more, more than a /8 of public addresses",
		]),
		"spec.egress[0].to[0].ipBlock.cidr",
		narrow,
	)
}

test_other_pods if {
	judged(
		api([{"to": [block("20.0.0.0/8")], "ports": tcp}]),
		[policy("web", app("web"), [{"to": [block("52.0.0.0/8")], "ports": tcp}])],
	) == nothing
}

test_its_own_stored_copy if {
	judged(
		api([{"to": [block("20.0.0.0/8")], "ports": tcp}]),
		[api([{"to": [block("52.0.0.0/8")], "ports": tcp}])],
	) == nothing
}

test_asks_for_policies_of_the_namespace if {
	object := api([{"to": [block("20.0.0.0/8")], "ports": tcp}])
	wildcard_egress.deny != set() with input.request as {"namespace": "crm", "object": object}
		with input.parameters as parameters
		with sluice.state.list as policies_of
	wildcard_egress.deny == set() with input.request as {"namespace": "lab", "object": object}
		with input.parameters as parameters
		with sluice.state.list as policies_of
}

policies_of("networking.k8s.io/NetworkPolicy", namespace) := [other |
	namespace == "crm"
	other := policy("everyone", {}, [{"to": [block("52.0.0.0/8")], "ports": tcp}])
]

test_search_given_up if {
	excess := {
		"field": "spec.egress[0].to[0].ipBlock.cidr", "protocol": "TCP", "ports": "443", "family": "IPv4",
		"reach": "33,554,432 public addresses", "with": ["tier"], "overlap": true, "witness": {}, "uncertain": true,
	}
	object := api([{"to": [block("20.0.0.0/8")]}])
	wildcard_egress.warn == {{
		"msg": concat("", [
			"egress may reach 33,554,432 public addresses on TCP 443 together with NetworkPolicy tier ",
			"if one pod is in all of them, more than a /8 of public addresses",
		]),
		"field": "spec.egress[0].to[0].ipBlock.cidr",
		"fix": narrow,
	}} with input.request as {"namespace": "crm", "object": object}
		with input.parameters as parameters
		with sluice.state.list as []
		with sluice.networkpolicy.wide_egress as [excess]
	wildcard_egress.deny == set() with input.request as {"namespace": "crm", "object": object}
		with input.parameters as parameters
		with sluice.state.list as []
		with sluice.networkpolicy.wide_egress as [excess]
}

by_name := "namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: NAMESPACE}}"

test_every_pod if {
	every ports in [[], [port("TCP", 8080)]] {
		judged(api([{"to": [{"podSelector": {}}, {"namespaceSelector": {}}], "ports": ports}]), []) == refused(
			"the egress peer selects every pod of every namespace",
			"spec.egress[0].to[1]",
			by_name,
		)
	}
}

test_every_pod_by_two_peers if {
	judged(
		api([{"to": [
			{"namespaceSelector": {"matchExpressions": [{"key": "env", "operator": "In", "values": ["x"]}]}},
			{"namespaceSelector": {"matchExpressions": [{"key": "env", "operator": "NotIn", "values": ["x"]}]}},
		]}]),
		[],
	) == refused(
		"the egress peers together select every pod of every namespace",
		"spec.egress[0].to",
		by_name,
	)
}

env(operator) := {"namespaceSelector": {"matchExpressions": [{"key": "env", "operator": operator, "values": ["x"]}]}}

test_every_pod_by_two_rules if {
	every ports in [[], [port("TCP", 443), port("UDP", 443)], [port("TCP", "https")]] {
		judged(api([{"to": [env("In")], "ports": ports}, {"to": [env("NotIn")], "ports": tcp}]), []) == refused(
			"the egress rules together select every pod of every namespace for the same port",
			"spec.egress",
			by_name,
		)
	}
}

test_not_every_pod_by_two_rules if {
	every rule in [
		{"to": [env("NotIn")], "ports": [port("TCP", 8443), port("UDP", 443)]},
		{"to": [object.union(env("NotIn"), {"podSelector": app("db")})]},
	] {
		judged(api([{"to": [env("In")], "ports": tcp}, rule]), []) == nothing
	}
}

test_every_pod_by_rules_perhaps if {
	found := wildcard_egress.deny with input.request as {"namespace": "crm", "object": api([{"to": [{"podSelector": {}}]}])}
		with input.parameters as parameters
		with sluice.state.list as []
		with sluice.networkpolicy.every_pod as [{
			"direction": "Egress",
			"field": "spec.egress",
			"hasPorts": true,
			"uncertain": true,
		}]
	found == {{
		"msg": "the egress rules may together select every pod of every namespace: too complicated to tell",
		"field": "spec.egress",
		"fix": by_name,
	}}
}

test_every_pod_perhaps if {
	wildcard_egress.deny == {{
		"msg": "the egress peers may together select every pod of every namespace: too complicated to tell",
		"field": "spec.egress[0].to",
		"fix": by_name,
	}} with input.request as {"namespace": "crm", "object": api([{"to": [{"podSelector": {}}]}])}
		with input.parameters as parameters
		with sluice.state.list as []
		with sluice.networkpolicy.every_pod as [{
			"direction": "Egress",
			"field": "spec.egress[0].to",
			"hasPorts": false,
			"uncertain": true,
		}]
}

test_not_every_pod if {
	every peer in [{"podSelector": {}}, {"namespaceSelector": {}, "podSelector": app("db")}, {"namespaceSelector": app("db")}] {
		judged(api([{"to": [peer]}]), []) == nothing
	}
}

test_every_pod_may_come_in if {
	judged(
		{
			"metadata": {"name": "api", "namespace": "crm"},
			"spec": {
				"podSelector": {},
				"policyTypes": ["Ingress", "Egress"],
				"ingress": [{"from": [{"namespaceSelector": {}}]}],
				"egress": [{"to": [{"podSelector": {}}]}],
			},
		},
		[],
	) == nothing
}

test_egress_switched_off if {
	judged(
		{"metadata": {"name": "api", "namespace": "crm"}, "spec": {"policyTypes": ["Ingress"], "egress": [{}]}},
		[],
	) == nothing
}

# Without egress rules nothing is asked.
test_no_egress_rules if {
	every egress in [[], null] {
		wildcard_egress.deny == set() with input.request as {"namespace": "crm", "object": api(egress)}
			with input.parameters as parameters
			with sluice.networkpolicy.every_pod as [{"direction": "Egress", "field": "x]"}]
	}
}

default_deny := {
	"metadata": {"name": "sluice-default-deny", "namespace": "crm"},
	"spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "ingress": [], "egress": []},
}

undoing := ", which undoes NetworkPolicy sluice-default-deny for its pods"

messages(object) := {finding.msg | some finding in judged(object, [default_deny]).deny}

test_undone_default_deny if {
	messages(api([{"to": [block("0.0.0.0/0")]}])) == {concat("", [
		"egress reaches the whole IPv4 internet on all ports, more than a /8 of public addresses",
		undoing,
	])}
	messages(api([{"to": [{"namespaceSelector": {}}]}])) == {concat("", ["the egress peer selects every pod of every namespace", undoing])}
}

# Part of what it denies is opened, and it still denies the rest.
test_default_deny_not_undone if {
	every egress, msg in {
		[{"to": [block("0.0.0.0/0")], "ports": tcp}]: "egress reaches the whole IPv4 internet on TCP 443, more than a /8 of public addresses",
		[{"to": [block("0.0.0.0/0")], "ports": [{"protocol": "TCP"}]}]: "egress reaches the whole IPv4 internet on all TCP ports, more than a /8 of public addresses",
		[{"to": [block("20.0.0.0/7")]}]: "egress reaches 33,554,432 public addresses on all ports, more than a /8 of public addresses",
		[{"to": [{"namespaceSelector": {}}], "ports": tcp}]: "the egress peer selects every pod of every namespace",
	} {
		messages(api(egress)) == {msg}
	}
}
