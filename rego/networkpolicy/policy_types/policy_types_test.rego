package sluice.networkpolicy.policy_types_test

import data.sluice.networkpolicy.policy_types

# METADATA
# title: egress rules beside policyTypes without Egress
# custom: {example: refused}
test_ignored_egress if {
	policy_types.deny == {{
		"msg": "egress rules have no effect, because policyTypes is [Ingress]: egress stays as open as before",
		"field": "spec.egress",
		"fix": "policyTypes: [Ingress, Egress], or remove spec.egress",
	}} with input.request.object.spec as {"policyTypes": ["Ingress"], "ingress": [{}], "egress": [{}, {}]}
}

test_ignored_ingress if {
	policy_types.deny == {{
		"msg": "ingress rules have no effect, because policyTypes is [Egress]: ingress stays as open as before",
		"field": "spec.ingress",
		"fix": "policyTypes: [Ingress, Egress], or remove spec.ingress",
	}} with input.request.object.spec as {"policyTypes": ["Egress"], "ingress": [{}]}
}

# METADATA
# title: each direction that has rules is listed
# custom: {example: admitted}
test_both_listed if {
	policy_types.deny == set() with input.request.object.spec as {
		"policyTypes": ["Egress", "Ingress"],
		"ingress": [{}], "egress": [{}],
	}
}

test_types_left_to_the_api_server if {
	policy_types.deny == set() with input.request.object.spec as {"ingress": [{}], "egress": [{}]}
	policy_types.deny == set() with input.request.object.spec as {"policyTypes": null, "egress": [{}]}
	policy_types.deny == set() with input.request.object.spec as {"policyTypes": [], "egress": [{}]}
}

test_nothing_to_ignore if {
	policy_types.deny == set() with input.request.object.spec as {"policyTypes": ["Ingress"], "egress": []}
	policy_types.deny == set() with input.request.object.spec as {"policyTypes": ["Ingress"], "egress": null}
	policy_types.deny == set() with input.request.object.spec as {"policyTypes": ["Egress"]}
}

test_no_spec if policy_types.deny == set() with input.request.object as {}
