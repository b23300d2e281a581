package sluice.networkpolicy.isolate_egress_test

import data.sluice.networkpolicy.isolate_egress

ignored := {"spec": {"policyTypes": ["Ingress"], "egress": [{}]}}

# METADATA
# title: egress rules beside policyTypes without Egress
# custom: {example: patched}
test_egress_is_ignored if {
	isolate_egress.patch == {{
		"op": "replace",
		"path": "/spec/policyTypes",
		"value": ["Ingress", "Egress"],
	}} with input.request.object as ignored
}

test_twice_is_once if {
	ops := isolate_egress.patch with input.request.object as ignored
	isolate_egress.patch == set() with input.request.object as json.patch(ignored, [op | some op in ops])
}

test_ignored_ingress_stays if {
	isolate_egress.patch == set() with input.request.object.spec as {"policyTypes": ["Egress"], "ingress": [{}]}
}

test_egress_is_listed if {
	isolate_egress.patch == set() with input.request.object.spec as {"policyTypes": ["Egress"], "egress": [{}]}
}

test_types_left_to_the_api_server if {
	isolate_egress.patch == set() with input.request.object.spec as {"egress": [{}]}
	isolate_egress.patch == set() with input.request.object.spec as {"policyTypes": null, "egress": [{}]}
}

test_no_egress_rules if {
	isolate_egress.patch == set() with input.request.object.spec as {"policyTypes": ["Ingress"], "egress": []}
}
