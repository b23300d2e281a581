package sluice.workload.host_network_test

import data.sluice.lib.testing.create
import data.sluice.lib.testing.object_of
import data.sluice.lib.testing.with_parameters
import data.sluice.workload.host_network

deny(obj) := found if found := host_network.deny with input as create(obj)

pod(spec) := object_of("v1", "Pod", spec)

deployment(spec) := object_of("apps/v1", "Deployment", {"replicas": 2, "template": {"spec": spec}})

cronjob(spec) := object_of("batch/v1", "CronJob", {"jobTemplate": {"spec": {"template": {"spec": spec}}}})

# opening is the spec of a pod whose container has one port.
opening(port) := {"containers": [{"name": "web", "ports": [port]}]}

network(path) := {
	"msg": "hostNetwork: true puts pods on the network of their node, where no NetworkPolicy is sure to apply",
	"field": concat(".", [path, "hostNetwork"]),
	"fix": "remove hostNetwork; a Service makes the ports of pods reachable",
}

opened(field, host_port, container_port) := {
	"msg": sprintf("hostPort %d opens a port of the node, where no NetworkPolicy is sure to apply", [host_port]),
	"field": field,
	"fix": sprintf("remove hostPort; a Service makes port %d of pods reachable", [container_port]),
}

# METADATA
# title: the pods of a Deployment on the network of their node
# custom: {example: refused}
test_host_network if {
	deny(deployment({"hostNetwork": true, "containers": [{"name": "web"}]})) == {network("spec.template.spec")}
}

test_host_network_of_every_kind if {
	on_host := {"hostNetwork": true, "containers": [{"name": "web"}]}
	deny(pod(on_host)) == {network("spec")}
	deny(cronjob(on_host)) == {network("spec.jobTemplate.spec.template.spec")}
	every group, kinds in {
		"v1": ["ReplicationController"],
		"apps/v1": ["DaemonSet", "ReplicaSet", "StatefulSet"],
		"batch/v1": ["Job"],
	} {
		every kind in kinds {
			deny(object_of(group, kind, {"template": {"spec": on_host}})) == {network("spec.template.spec")}
		}
	}
}

# METADATA
# title: a port of the node
# custom: {example: refused}
test_host_port if {
	deny(pod(opening({"containerPort": 80, "hostPort": 8080}))) == {opened("spec.containers[0].ports[0].hostPort", 8080, 80)}
}

test_host_ports_of_all_containers if {
	deny(cronjob({
		"initContainers": [{"name": "proxy", "ports": [{"containerPort": 53, "hostPort": 53, "protocol": "UDP"}]}],
		"containers": [
			{"name": "quiet"},
			{"name": "web", "ports": [{"containerPort": 80}, {"containerPort": 443, "hostPort": 8443, "hostIP": "127.0.0.1"}]},
		],
	})) == {
		opened("spec.jobTemplate.spec.template.spec.initContainers[0].ports[0].hostPort", 53, 53),
		opened("spec.jobTemplate.spec.template.spec.containers[1].ports[1].hostPort", 8443, 443),
	}
}

# METADATA
# title: ports of a container alone
# custom: {example: admitted}
test_container_ports if deny(deployment(opening({"containerPort": 8080}))) == set()

test_neither if {
	deny(deployment({"hostNetwork": false, "containers": [{"name": "web", "ports": [{"containerPort": 80, "hostPort": 0}]}]})) == set()
	deny(pod({"hostNetwork": null, "containers": [{"name": "web", "ports": [{"containerPort": 80, "hostPort": null}]}]})) == set()
	deny(pod({"containers": [{"name": "web", "ports": null}], "initContainers": null})) == set()
	deny(pod({"hostPID": true, "hostIPC": true, "containers": [{"name": "hostNetwork"}]})) == set()
}

test_port_that_follows_from_the_host_network if {
	deny(pod(object.union({"hostNetwork": true}, opening({"containerPort": 80, "hostPort": 80})))) == {network("spec")}
}

test_what_nobody_can_read_is_not_allowed if {
	deny(pod({"hostNetwork": "false"})) == {network("spec")}
	allowing := {"allowedHostPorts": [{"from": 80, "to": 80}]}
	{f.field | some f in host_network.deny} == {"spec.containers[0].ports[0].hostPort"} with input as with_parameters(
		create(pod(opening({"containerPort": 80, "hostPort": "80"}))),
		allowing,
	)
}

allowing_web(spec) := found if {
	found := host_network.deny with input as with_parameters(
		create(pod(spec)),
		{"allowedHostPorts": [{"from": 80, "to": 80}, {"from": 8000, "to": 8999}]},
	)
}

test_allowed_ports if {
	every port in [80, 8000, 8080, 8999] {
		allowing_web(opening({"containerPort": 1, "hostPort": port})) == set()
	}
	every port in [79, 81, 7999, 9000] {
		allowing_web(opening({"containerPort": 1, "hostPort": port})) == {opened("spec.containers[0].ports[0].hostPort", port, 1)}
	}
}

test_allowed_ports_do_not_allow_the_host_network if {
	allowing_web(object.union({"hostNetwork": true}, opening({"containerPort": 80, "hostPort": 80}))) == {network("spec")}
}

made_by(obj, owners) := object.union(obj, {"metadata": {"ownerReferences": owners}})

test_fix_names_what_makes_the_pod if {
	agent := made_by(pod({"hostNetwork": true}), [
		{"kind": "Node", "name": "node-1"},
		{"kind": "DaemonSet", "name": "agent", "controller": true},
	])
	deny(agent) == {object.union(
		network("spec"),
		{"fix": `remove hostNetwork from DaemonSet "agent", which makes this`},
	)}
	web := made_by(pod(opening({"containerPort": 80, "hostPort": 80})), [{"kind": "ReplicaSet", "name": "web-1", "controller": true}])
	deny(web) == {object.union(
		opened("spec.containers[0].ports[0].hostPort", 80, 80),
		{"fix": `remove hostPort from ReplicaSet "web-1", which makes this`},
	)}
	deny(made_by(pod({"hostNetwork": true}), [{"kind": "Node", "name": "node-1", "controller": false}])) == {network("spec")}
}
