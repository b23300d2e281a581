package sluice.networkpolicy.policy_types_test

import data.sluice.lib.testing.create
import data.sluice.lib.testing.networkpolicy
import data.sluice.networkpolicy.policy_types

deny(obj) := found if found := policy_types.deny with input as create(obj)

# METADATA
# title: egress rules beside policyTypes without Egress
# custom: {example: refused}
test_ignored_egress if {
	deny(networkpolicy({"policyTypes": ["Ingress"], "ingress": [{}], "egress": [{}, {}]})) == {{
		"msg": "egress rules have no effect, because policyTypes is [Ingress]: egress stays as open as before",
		"field": "spec.egress",
		"fix": "policyTypes: [Ingress, Egress], or remove spec.egress",
	}}
}

test_ignored_ingress if {
	deny(networkpolicy({"policyTypes": ["Egress"], "ingress": [{}]})) == {{
		"msg": "ingress rules have no effect, because policyTypes is [Egress]: ingress stays as open as before",
		"field": "spec.ingress",
		"fix": "policyTypes: [Ingress, Egress], or remove spec.ingress",
	}}
}

# METADATA
# title: each direction that has rules is listed
# custom: {example: admitted}
test_both_listed if {
	deny(networkpolicy({
		"policyTypes": ["Egress", "Ingress"],
		"ingress": [{}], "egress": [{}],
	})) == set()
}

test_types_left_to_the_api_server if {
	deny(networkpolicy({"ingress": [{}], "egress": [{}]})) == set()
	deny(networkpolicy({"policyTypes": null, "egress": [{}]})) == set()
	deny(networkpolicy({"policyTypes": [], "egress": [{}]})) == set()
}

test_nothing_to_ignore if {
	deny(networkpolicy({"policyTypes": ["Ingress"], "egress": []})) == set()
	deny(networkpolicy({"policyTypes": ["Ingress"], "egress": null})) == set()
	deny(networkpolicy({"policyTypes": ["Egress"]})) == set()
}

test_no_spec if policy_types.deny == set() with input.request.object as {}
