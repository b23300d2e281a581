package sluice.service.external_ips_test

import data.sluice.lib.testing.create
import data.sluice.lib.testing.service
import data.sluice.lib.testing.update
import data.sluice.service.external_ips

deny(obj) := found if found := external_ips.deny with input as create(obj)

claims(ip, field) := {
	"msg": sprintf("external IP %s takes traffic for that address on every node, whoever owns it", [ip]),
	"field": field,
	"fix": "remove spec.externalIPs; type: LoadBalancer gives an address of its own",
}

# METADATA
# title: two addresses claimed
# custom: {example: refused}
test_external_ips if {
	deny(service({"type": "ClusterIP", "externalIPs": ["192.0.2.53", "2001:db8::53"]})) == {
		claims("192.0.2.53", "spec.externalIPs[0]"),
		claims("2001:db8::53", "spec.externalIPs[1]"),
	}
}

test_none if {
	deny(service({"externalIPs": []})) == set()
	deny(service({"externalIPs": null})) == set()
	deny(service({"type": "ClusterIP", "clusterIP": "10.96.0.1"})) == set()
}

# METADATA
# title: an address that the load balancer has given
# custom: {example: admitted}
test_load_balancer if {
	web := object.union(service({"type": "LoadBalancer"}), {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.53"}]}}})
	deny(web) == set()
}

test_given_back if {
	external_ips.deny == set() with input as update(service({}), service({"externalIPs": ["192.0.2.53"]}))
}
