package sluice.networkpolicy.cidr_canonical_test

import data.sluice.networkpolicy.cidr_canonical

egress(cidrs) := {"spec": {"egress": [{"to": [{"ipBlock": {"cidr": cidr}} | some cidr in cidrs]}]}}

first(msg, fix) := {"msg": msg, "field": "spec.egress[0].to[0].ipBlock.cidr", "fix": fix}

test_problems if {
	every cidr, found in {
		"10.20.30.40/16": first(
			`"10.20.30.40/16" is ambiguous (bits set beyond the prefix length): other software may see another network`,
			"cidr: 10.20.0.0/16",
		),
		"010.040.0.0/16": first(
			`"010.040.0.0/16" is ambiguous (leading zeros in an octet): other software may see another network`,
			"cidr: 10.40.0.0/16",
		),
		"10.0.0.0/08": first(
			`"10.0.0.0/08" is ambiguous (leading zeros in the prefix length): other software may see another network`,
			"cidr: 10.0.0.0/8",
		),
		"fd00:00001::/64": first(
			`"fd00:00001::/64" is ambiguous (more than four digits in an IPv6 group): other software may see another network`,
			"cidr: fd00:1::/64",
		),
		"::ffff:10.0.0.0/104": first(
			`"::ffff:10.0.0.0/104" is ambiguous (an IPv4-mapped IPv6 address): other software may see another network`,
			"cidr: 10.0.0.0/8",
		),
		"::ffff:010.0.0.0/104": first(
			`"::ffff:010.0.0.0/104" is ambiguous (leading zeros in an octet): other software may see another network`,
			"cidr: 10.0.0.0/8",
		),
	} {
		cidr_canonical.deny == {found} with input.request.object as egress([cidr])
		cidr_canonical.warn == set() with input.request.object as egress([cidr])
	}
}

test_unreadable if {
	every cidr in ["", "10.0.0.0", "10.0.0.0/33", "10.0.0/8", "example.com", "fd00::1%eth0/64", "10.0.0.256/32"] {
		cidr_canonical.deny == {first(
			sprintf("%q is no CIDR: no dataplane can apply it", [cidr]),
			"cidr: 10.0.0.0/8 or another CIDR",
		)} with input.request.object as egress([cidr])
	}
}

# METADATA
# title: a network that everybody reads alike
# custom: {example: admitted}
test_unambiguous if {
	every cidr in [
		"10.0.0.0/8", "0.0.0.0/0", "192.0.2.1/32", "::/0", "2001:db8::/32", "FD12:3456:789A:0000:0000:0000:0000:0000/48",
		"FD12:3456:789A:00FF::/64", "::10.0.0.0/104",
	] {
		cidr_canonical.deny == set() with input.request.object as egress([cidr])
		cidr_canonical.warn == set() with input.request.object as egress([cidr])
	}
}

test_ingress_and_excepts if {
	cidr_canonical.deny == {
		{
			"msg": `"10.1.0.0/8" is ambiguous (bits set beyond the prefix length): other software may see another network`,
			"field": "spec.ingress[1].from[1].ipBlock.cidr",
			"fix": "cidr: 10.0.0.0/8",
		},
		{
			"msg": `"10.2.3.0/16" is ambiguous (bits set beyond the prefix length): other software may see another network`,
			"field": "spec.ingress[1].from[1].ipBlock.except[1]",
			"fix": "- 10.2.0.0/16",
		},
	} with input.request.object as {"spec": {
		"ingress": [{"from": null}, {"from": [
			{"podSelector": {}},
			{"ipBlock": {"cidr": "10.1.0.0/8", "except": ["10.3.0.0/16", "10.2.3.0/16"]}},
		]}],
		"egress": null,
	}}
}

test_stood_in_the_old_object if {
	request := {"oldObject": egress(["10.1.0.0/8", "10.0.0.0/8"]), "object": egress(["10.1.0.0/8", "10.2.0.0/8"])}
	cidr_canonical.deny == {{
		"msg": `"10.2.0.0/8" is ambiguous (bits set beyond the prefix length): other software may see another network`,
		"field": "spec.egress[0].to[1].ipBlock.cidr",
		"fix": "cidr: 10.0.0.0/8",
	}} with input.request as request
	cidr_canonical.warn == {first(
		`"10.1.0.0/8" is ambiguous (bits set beyond the prefix length): other software may see another network`,
		"cidr: 10.0.0.0/8",
	)} with input.request as request
}

test_except_stood_in_the_old_object if {
	object := {"spec": {"ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.2.3.0/16"]}}]}]}}
	request := {"oldObject": object, "object": object}
	cidr_canonical.deny == set() with input.request as request
	cidr_canonical.warn == {{
		"msg": `"10.2.3.0/16" is ambiguous (bits set beyond the prefix length): other software may see another network`,
		"field": "spec.ingress[0].from[0].ipBlock.except[0]",
		"fix": "except: [10.2.0.0/16]",
	}} with input.request as request
}

# METADATA
# title: bits beyond the prefix length
# custom: {example: refused}
test_no_old_object if {
	request := {"oldObject": null, "object": egress(["10.1.0.0/8"])}
	cidr_canonical.deny == {first(
		`"10.1.0.0/8" is ambiguous (bits set beyond the prefix length): other software may see another network`,
		"cidr: 10.0.0.0/8",
	)} with input.request as request
	cidr_canonical.warn == set() with input.request as request
}

test_no_blocks if {
	every object in [{}, {"spec": {}}, {"spec": {"egress": [{"to": [{"podSelector": {}, "ipBlock": null}]}, {}]}}] {
		cidr_canonical.deny == set() with input.request.object as object
		cidr_canonical.warn == set() with input.request.object as object
	}
}
