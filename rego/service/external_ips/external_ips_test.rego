package sluice.service.external_ips_test

import data.sluice.lib.testing.by
import data.sluice.lib.testing.create
import data.sluice.lib.testing.service
import data.sluice.lib.testing.update
import data.sluice.lib.testing.with_parameters
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

balancer(ingress) := object.union(service({"type": "LoadBalancer"}), {"status": {"loadBalancer": {"ingress": ingress}}})

given := balancer([{"ip": "192.0.2.53", "ipMode": "VIP"}])

# noted is an update of the status by ann.
noted(obj, old) := object.union(update(obj, old), {"request": {"subResource": "status"}})

found(review) := findings if findings := external_ips.deny with input as review

hijack(address, user, field) := {
	"msg": sprintf(
		"load balancer address %s comes from %s, who is not known to run load balancers: nodes would take its traffic",
		[address, user],
	),
	"field": field,
	"fix": "leave status.loadBalancer to its controller, or name the user in statusWriters of the policy",
}

# METADATA
# title: somebody writes an address into the status of a load balancer
# custom: {example: refused}
test_status if {
	review := with_parameters(noted(given, balancer([])), {"statusWriters": {"users": [], "groups": []}})
	found(review) == {hijack("192.0.2.53", "ann", "status.loadBalancer.ingress[0].ip")}
}

test_status_beside_another if {
	both := balancer([{"ip": "192.0.2.53"}, {"ip": "192.0.2.54"}, {"hostname": "lb.example.com"}])
	found(noted(both, given)) == {
		hijack("192.0.2.54", "ann", "status.loadBalancer.ingress[1].ip"),
		hijack("lb.example.com", "ann", "status.loadBalancer.ingress[2].hostname"),
	}
}

# METADATA
# title: the controller of the load balancer writes an address into the status
# custom: {example: admitted}
test_controller if {
	controller := by(noted(given, balancer([])), "system:serviceaccount:metallb-system:controller")
	writers := {"users": ["system:serviceaccount:metallb-system:controller"], "groups": []}
	found(with_parameters(controller, {"statusWriters": writers})) == set()
}

test_default_users if {
	every user in ["system:cloud-controller-manager", "eks:cloud-controller-manager", "system:kube-controller-manager"] {
		found(by(noted(given, balancer([])), user)) == set()
	}
}

in_groups(review, groups) := object.union(review, {"request": {"userInfo": {"groups": groups}}})

test_controller_by_group if {
	review := noted(given, balancer([]))
	every namespace in ["kube-system", "metallb-system", "calico-system"] {
		found(in_groups(review, ["system:authenticated", sprintf("system:serviceaccounts:%s", [namespace])])) == set()
	}
	every group in ["system:serviceaccounts", "system:serviceaccounts:shop", "system:serviceaccounts:kube-system-2"] {
		found(in_groups(review, [group])) == {hijack("192.0.2.53", "ann", "status.loadBalancer.ingress[0].ip")}
	}
}

test_parameters if {
	review := noted(given, balancer([]))
	found(with_parameters(review, {"statusWriters": {"users": ["ann"]}})) == set()
	found(with_parameters(review, {"statusWriters": {"groups": ["system:authenticated"]}})) == set()
	found(with_parameters(by(review, "system:cloud-controller-manager"), {"statusWriters": {"users": ["ann"]}})) == {hijack(
		"192.0.2.53", "system:cloud-controller-manager",
		"status.loadBalancer.ingress[0].ip",
	)}
}

test_nobody if {
	review := noted(given, balancer([]))
	found(object.union(object.remove(review, ["request"]), {"request": object.remove(review.request, ["userInfo"])})) == {hijack(
		"192.0.2.53",
		"nobody", "status.loadBalancer.ingress[0].ip",
	)}
}

test_status_that_adds_nothing if {
	every ingress in [[], null, [{"ip": "192.0.2.53", "ipMode": "Proxy"}], [{"ip": "192.0.2.53", "ports": []}]] {
		found(noted(balancer(ingress), given)) == set()
	}
	found(noted(service({"type": "LoadBalancer"}), given)) == set()
}

# An address may stand in another place than before, but not as another kind.
test_status_in_other_order if {
	both := balancer([{"ip": "192.0.2.53"}, {"ip": "192.0.2.54"}])
	found(noted(balancer([{"ip": "192.0.2.54"}, {"ip": "192.0.2.53"}]), both)) == set()
	found(noted(balancer([{"hostname": "lb.example.com"}]), balancer([{"ip": "lb.example.com"}]))) == {hijack(
		"lb.example.com", "ann",
		"status.loadBalancer.ingress[0].hostname",
	)}
}

# What the API server keeps of the spec in such an update was judged before.
test_status_beside_external_ips if {
	old := service({"type": "LoadBalancer", "externalIPs": ["192.0.2.80"]})
	new := object.union(old, {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.53"}]}}})
	found(by(noted(new, old), "system:cloud-controller-manager")) == set()
}

test_status_in_another_request if {
	found(create(given)) == set()
	found(update(given, balancer([]))) == set()
}

misplaced(type) := {
	"msg": sprintf("load balancer address 192.0.2.53 is given to a Service of type %s: nodes would take its traffic", [type]),
	"field": "status.loadBalancer.ingress[0].ip",
	"fix": "remove status.loadBalancer.ingress",
}

test_status_of_another_type if {
	status := {"status": given.status}
	every type in ["ClusterIP", "NodePort", "ExternalName"] {
		new := object.union(service({"type": type}), status)
		found(by(noted(new, service({"type": type})), "system:cloud-controller-manager")) == {misplaced(type)}
	}
	found(noted(object.union(service({}), status), service({}))) == {misplaced("ClusterIP")}
	found(noted(object.union(service(null), status), service(null))) == {misplaced("ClusterIP")}
}
