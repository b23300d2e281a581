package sluice.service.nodeport_test

import data.sluice.lib.testing.by
import data.sluice.lib.testing.create
import data.sluice.lib.testing.labelled
import data.sluice.lib.testing.service
import data.sluice.lib.testing.update
import data.sluice.lib.testing.with_parameters
import data.sluice.service.nodeport

deny(obj) := found if found := nodeport.deny with input as create(obj)

open := {{
	"msg": "type NodePort opens a port on every node, past load balancers and Ingress controllers",
	"field": "spec.type",
	"fix": "type: ClusterIP, with an Ingress or a Gateway in front of it",
}}

# METADATA
# title: a NodePort Service
# custom: {example: refused}
test_node_port if deny(service({"type": "NodePort", "ports": [{"port": 80, "targetPort": 8080}]})) == open

# METADATA
# title: a ClusterIP Service whose container has a high port
# custom: {example: admitted}
test_cluster_ip if deny(service({"type": "ClusterIP", "ports": [{"port": 80, "targetPort": 30080}]})) == set()

test_other_types if {
	every spec in [{"type": "LoadBalancer"}, {"type": "ExternalName"}, {"type": "nodeport"}, {"type": null}, {}, null] {
		deny(service(spec)) == set()
	}
}

test_update if {
	web := service({"type": "NodePort"})
	nodeport.deny == open with input as update(web, service({"type": "ClusterIP"}))
	nodeport.deny == set() with input as update(service({"type": "ClusterIP"}), web)
}

cert_manager := "system:serviceaccount:cert-manager:cert-manager"

solver := labelled(
	service({
		"type": "NodePort",
		"selector": {"acme.cert-manager.io/http01-solver": "true"},
		"ports": [{"name": "http", "protocol": "TCP", "port": 8089, "targetPort": 8089}],
	}),
	{"acme.cert-manager.io/http01-solver": "true"},
)

test_solver if nodeport.deny == set() with input as by(create(solver), cert_manager)

test_solver_by_another_user if deny(solver) == open

test_solver_by_a_user_who_is_not_named if {
	nodeport.deny == open with input as with_parameters(by(create(solver), cert_manager), {"acmeSolvers": []})
}

test_another_service_by_cert_manager if {
	nodeport.deny == open with input as by(create(service({"type": "NodePort"})), cert_manager)
}
