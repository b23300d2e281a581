package sluice.service.external_ips_test

import data.sluice.service.external_ips

# METADATA
# title: two addresses claimed
# custom: {example: refused}
test_external_ips if {
	external_ips.deny == {
		{
			"msg": "external IP 192.0.2.53 takes traffic for that address on every node, whoever owns it",
			"field": "spec.externalIPs[0]",
			"fix": "remove spec.externalIPs; type: LoadBalancer gives an address of its own",
		},
		{
			"msg": "external IP 2001:db8::53 takes traffic for that address on every node, whoever owns it",
			"field": "spec.externalIPs[1]",
			"fix": "remove spec.externalIPs; type: LoadBalancer gives an address of its own",
		},
	} with input.request.object.spec as {"type": "ClusterIP", "externalIPs": ["192.0.2.53", "2001:db8::53"]}
}

test_none if {
	external_ips.deny == set() with input.request.object.spec as {"externalIPs": []}
	external_ips.deny == set() with input.request.object.spec as {"externalIPs": null}
	external_ips.deny == set() with input.request.object.spec as {"type": "ClusterIP", "clusterIP": "10.96.0.1"}
}

# METADATA
# title: an address that the load balancer has given
# custom: {example: admitted}
test_load_balancer if {
	external_ips.deny == set() with input.request.object as {
		"spec": {"type": "LoadBalancer"},
		"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.53"}]}},
	}
}

test_given_back if {
	external_ips.deny == set() with input.request as {
		"oldObject": {"spec": {"externalIPs": ["192.0.2.53"]}},
		"object": {"spec": {}},
	}
}
