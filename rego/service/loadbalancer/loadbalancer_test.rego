package sluice.service.loadbalancer_test

import data.sluice.lib.testing.annotated
import data.sluice.lib.testing.create
import data.sluice.lib.testing.service
import data.sluice.lib.testing.update
import data.sluice.lib.testing.with_parameters
import data.sluice.service.loadbalancer

# judged is what the rule says of a request.
judged(review) := {"deny": denied, "warn": warned} if {
	denied := loadbalancer.deny with input as review
	warned := loadbalancer.warn with input as review
}

limits := {"ipv4Prefix": 8, "ipv6Prefix": 32}

legacy := "service.beta.kubernetes.io/load-balancer-source-ranges"

balancer(spec) := service(object.union({"type": "LoadBalancer", "allocateLoadBalancerNodePorts": false}, spec))

ranged(ranges) := balancer({"loadBalancerSourceRanges": ranges})

nothing := {"deny": set(), "warn": set()}

remedy := "loadBalancerSourceRanges: the networks of the clients, such as [203.0.113.0/24]"

everyone := {
	"deny": {{
		"msg": "type LoadBalancer without loadBalancerSourceRanges lets clients in from everywhere",
		"field": "spec.type",
		"fix": remedy,
	}},
	"warn": set(),
}

wide(msg, field) := {"deny": {{"msg": msg, "field": field, "fix": remedy}}, "warn": set()}

warned(msg, field, fix) := {"deny": set(), "warn": {{"msg": msg, "field": field, "fix": fix}}}

# METADATA
# title: a load balancer without source ranges
# custom: {example: refused}
test_open if judged(with_parameters(create(balancer({})), limits)) == everyone

test_open_in_other_words if {
	judged(create(ranged([]))) == everyone
	judged(create(ranged(null))) == everyone
	judged(create(annotated(balancer({}), {legacy: " "}))) == everyone
	judged(create(balancer({"loadBalancerClass": "example.com/internal"}))) == everyone
}

# METADATA
# title: source ranges of two offices
# custom: {example: admitted}
test_narrow if {
	judged(with_parameters(create(ranged(["62.140.24.0/22", "2a02:a445:6d36::/48"])), limits)) == nothing
}

test_halves if {
	judged(create(ranged(["10.0.0.0/8", "0.0.0.0/1", "128.0.0.0/1"]))) == wide(
		"source ranges let in the whole IPv4 internet, more than a /8 of public addresses",
		"spec.loadBalancerSourceRanges[1]",
	)
}

test_limit if {
	judged(create(ranged([" 17.0.0.0/8", "10.0.0.0/8"]))) == nothing
	judged(create(ranged([" 17.0.0.0/8", "18.0.0.0/32"]))) == wide(
		"source ranges let in 16,777,217 public addresses, more than a /8 of public addresses",
		"spec.loadBalancerSourceRanges[0]",
	)
}

test_ipv6 if {
	judged(create(ranged(["10.0.0.0/8", "2600::/31"]))) == wide(
		"source ranges let in 2^97 public addresses, more than a /32 of public addresses",
		"spec.loadBalancerSourceRanges[1]",
	)
}

test_both_families if {
	judged(create(ranged(["0.0.0.0/0", "::/0"]))) == {
		"deny": {
			{
				"msg": "source ranges let in the whole IPv4 internet, more than a /8 of public addresses",
				"field": "spec.loadBalancerSourceRanges[0]",
				"fix": remedy,
			},
			{
				"msg": "source ranges let in the whole IPv6 internet, more than a /32 of public addresses",
				"field": "spec.loadBalancerSourceRanges[1]",
				"fix": remedy,
			},
		},
		"warn": set(),
	}
}

test_parameters if {
	review := create(ranged(["17.1.0.0/16", "2600::/48"]))
	judged(with_parameters(review, {"ipv4Prefix": 16, "ipv6Prefix": 48})) == nothing
	judged(with_parameters(review, {"ipv4Prefix": 17})) == wide(
		"source ranges let in 65,536 public addresses, more than a /17 of public addresses",
		"spec.loadBalancerSourceRanges[0]",
	)
	judged(with_parameters(review, {"ipv6Prefix": 49})) == wide(
		"source ranges let in 2^80 public addresses, more than a /49 of public addresses",
		"spec.loadBalancerSourceRanges[1]",
	)
}

test_annotation if {
	judged(create(annotated(balancer({}), {legacy: "62.140.24.0/22, 10.0.0.0/8"}))) == nothing
	judged(create(annotated(balancer({}), {legacy: "62.140.24.0/22,0.0.0.0/0"}))) == wide(
		"source ranges let in the whole IPv4 internet, more than a /8 of public addresses",
		sprintf("metadata.annotations[%s]", [legacy]),
	)
}

test_field_before_annotation if {
	judged(create(annotated(ranged(["62.140.24.0/22"]), {legacy: "0.0.0.0/0"}))) == nothing
	judged(create(annotated(ranged(["0.0.0.0/0"]), {legacy: "62.140.24.0/22"}))) == wide(
		"source ranges let in the whole IPv4 internet, more than a /8 of public addresses",
		"spec.loadBalancerSourceRanges[0]",
	)
}

no_ipv6 := warned(
	"no source range is IPv6: kube-proxy lets every IPv6 client in",
	"spec.loadBalancerSourceRanges",
	"add the IPv6 ranges of the clients, or ipFamilyPolicy: SingleStack",
)

test_family_without_range if {
	every families in [
		{"ipFamilies": ["IPv4", "IPv6"]}, {"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv4"]},
		{"ipFamilyPolicy": "PreferDualStack"}, {"ipFamilies": ["IPv6"], "ipFamilyPolicy": "SingleStack"},
	] {
		judged(create(balancer(object.union(families, {"loadBalancerSourceRanges": ["10.0.0.0/8"]})))) == no_ipv6
	}
}

test_families_with_ranges if {
	every families in [
		{"ipFamilies": ["IPv4"]}, {"ipFamilies": ["IPv4"], "ipFamilyPolicy": "PreferDualStack"},
		{"ipFamilyPolicy": "SingleStack"}, {"ipFamilies": null}, {},
	] {
		judged(create(balancer(object.union(families, {"loadBalancerSourceRanges": ["10.0.0.0/8"]})))) == nothing
	}
	judged(create(balancer({
		"ipFamilies": ["IPv4", "IPv6"],
		"loadBalancerSourceRanges": ["10.0.0.0/8", "fd00::/8"],
	}))) == nothing
}

node_ports := warned(
	"every node opens a port for the Service too, past the load balancer and its source ranges",
	"spec.allocateLoadBalancerNodePorts",
	"allocateLoadBalancerNodePorts: false",
)

test_node_ports if {
	every allocate in [true, null] {
		judged(create(object.union(
			ranged(["10.0.0.0/8"]),
			{"spec": {"allocateLoadBalancerNodePorts": allocate}},
		))) == node_ports
	}
	judged(create(service({"type": "LoadBalancer", "loadBalancerSourceRanges": ["10.0.0.0/8"]}))) == node_ports
}

test_node_ports_there_already if {
	every port, fix in {
		31443: "allocateLoadBalancerNodePorts: false, and remove nodePort from ports",
		0: "allocateLoadBalancerNodePorts: false",
	} {
		judged(create(service({
			"type": "LoadBalancer",
			"loadBalancerSourceRanges": ["10.0.0.0/8"],
			"ports": [{"port": 443, "nodePort": port}],
		}))) == warned(
			"every node opens a port for the Service too, past the load balancer and its source ranges",
			"spec.allocateLoadBalancerNodePorts",
			fix,
		)
	}
}

test_node_port_by_hand if {
	ported := balancer({
		"loadBalancerSourceRanges": ["10.0.0.0/8"],
		"ports": [{"port": 80, "nodePort": 0}, {"port": 443, "nodePort": 31443}, {"port": 444}],
	})
	judged(create(ported)) == warned(
		"node port 31443 is open on every node, although allocateLoadBalancerNodePorts is false",
		"spec.ports[1].nodePort",
		"remove nodePort",
	)
}

test_other_types if {
	every type in ["ClusterIP", "NodePort", "ExternalName", null] {
		judged(create(service({"type": type}))) == nothing
	}
	judged(create(service({}))) == nothing
	judged(create(service(null))) == nothing
}

noted(obj, old) := object.union(update(obj, old), {"request": {"subResource": "status"}})

test_status if {
	judged(noted(balancer({}), balancer({}))) == nothing
	judged(noted(service({"type": "LoadBalancer"}), service({"type": "LoadBalancer"}))) == nothing
}

# An update of the status can change annotations.
test_status_with_ranges if {
	narrow := annotated(balancer({}), {legacy: "10.0.0.0/8"})
	judged(noted(balancer({}), narrow)) == everyone
	judged(noted(narrow, balancer({}))) == nothing
	judged(noted(annotated(narrow, {"example.com/seen": "yes"}), narrow)) == nothing
}
