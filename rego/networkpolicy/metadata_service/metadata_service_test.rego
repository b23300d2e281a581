package sluice.networkpolicy.metadata_service_test

import data.sluice.lib.testing.create
import data.sluice.lib.testing.networkpolicy
import data.sluice.lib.testing.with_parameters
import data.sluice.networkpolicy.metadata_service

deny(egress) := told(egress, {"addresses": ["169.254.169.254", "fd00:ec2::254"], "ports": [80]})

told(egress, parameters) := found if {
	obj := networkpolicy({"podSelector": {}, "policyTypes": ["Egress"], "egress": egress})
	found := metadata_service.deny with input as with_parameters(create(obj), parameters)
}

test_defaults if told([{"to": [block("169.254.0.0/16"), block("fd00::/8")]}], {}) == {link_local, object.union(
	reaches("fd00::/8", "fd00:ec2::254", "fd00:ec2::254/128"),
	{"field": "spec.egress[0].to[1].ipBlock.cidr"},
)}

port(number) := [{"protocol": "TCP", "port": number}]

block(cidr) := {"ipBlock": {"cidr": cidr}}

reaches(cidr, address, except) := {
	"msg": sprintf("egress to %s reaches the metadata service at %s on TCP 80", [cidr, address]),
	"field": "spec.egress[0].to[0].ipBlock.cidr",
	"fix": sprintf("except: [%s]", [except]),
}

link_local := reaches("169.254.0.0/16", "169.254.169.254", "169.254.169.254/32")

# METADATA
# title: the link-local range
# custom: {example: refused}
test_link_local if {
	deny([{"to": [block("169.254.0.0/16")]}]) == {link_local}
	deny([{"to": [block("169.254.0.0/16")], "ports": port(80)}]) == {link_local}
	deny([{"to": [block("169.254.0.0/16")], "ports": port("http")}]) == {link_local}
}

# METADATA
# title: the link-local range without the metadata service
# custom: {example: admitted}
test_excepted if {
	careful := {"ipBlock": {"cidr": "169.254.0.0/16", "except": ["169.254.169.254/32"]}}
	deny([{"to": [careful], "ports": port(80)}]) == set()
	deny([{"to": [careful, block("169.254.169.0/24")], "ports": port(80)}]) == {object.union(
		reaches("169.254.169.0/24", "169.254.169.254", "169.254.169.254/32"),
		{"field": "spec.egress[0].to[1].ipBlock.cidr"},
	)}
}

test_beside_other_excepts if {
	careless := {"ipBlock": {"cidr": "169.254.0.0/16", "except": ["169.254.170.0/24"]}}
	deny([{"to": [careless]}]) == {object.union(link_local, {"fix": "add 169.254.169.254/32 to except"})}
}

test_the_address_itself if {
	itself := reaches("169.254.169.254/32", "169.254.169.254", "")
	deny([{"to": [block("169.254.169.254/32"), {"podSelector": {}}], "ports": port(80)}]) == {object.union(
		itself,
		{"fix": "remove this peer: the block has no other address"},
	)}

	# A rule without peers has all there are.
	deny([{"to": [block("169.254.169.254/32")], "ports": port(80)}]) == {object.union(
		itself,
		{"fix": "remove this rule: its peers have no other address, and without peers it would reach everything"},
	)}
}

test_ipv6 if {
	deny([{"to": [block("fd00::/8")]}]) == {reaches("fd00::/8", "fd00:ec2::254", "fd00:ec2::254/128")}
	deny([{"to": [block("fd01::/16")]}]) == set()
}

test_ipv4_mapped if {
	deny([{"to": [block("::ffff:169.254.0.0/112")]}]) == {reaches("::ffff:169.254.0.0/112", "169.254.169.254", "169.254.169.254/32")}
}

test_other_ports if {
	deny([{"to": [block("169.254.0.0/16")], "ports": port(443)}]) == set()
	deny([{"to": [block("169.254.0.0/16")], "ports": [{"protocol": "UDP", "port": 80}]}]) == set()
}

test_other_addresses if deny([{"to": [block("169.254.20.10/32"), {"podSelector": {}}], "ports": port(80)}]) == set()

# That is what networkpolicy-wildcard-egress refuses.
test_no_destination if deny([{"ports": port(80)}, {"to": null}, {"to": []}]) == set()

test_parameters if {
	alibaba := [{"to": [block("100.64.0.0/10")], "ports": port(80)}]
	deny(alibaba) == set()
	told(alibaba, {"addresses": ["100.100.100.200"]}) == {reaches("100.64.0.0/10", "100.100.100.200", "100.100.100.200/32")}
	told([{"to": [block("168.63.129.16/31")], "ports": port(32526)}], {"addresses": ["168.63.129.16"], "ports": [80, 32526]}) == {{
		"msg": "egress to 168.63.129.16/31 reaches the metadata service at 168.63.129.16 on TCP 32526",
		"field": "spec.egress[0].to[0].ipBlock.cidr",
		"fix": "except: [168.63.129.16/32]",
	}}
}

# Without egress rules nothing is asked.
test_no_egress_rules if {
	every egress in [null, []] {
		found := deny(egress) with sluice.networkpolicy.egress_blocks as [{"field": "", "cidr": "", "address": "", "port": 80, "host": "", "single": false}]
		found == set()
	}
}
