package sluice.lib.testing_test

import data.sluice.lib.testing

shop := {
	"apiVersion": "v1",
	"kind": "Namespace",
	"metadata": {"name": "shop", "labels": {"kubernetes.io/metadata.name": "shop"}},
}

test_objects if {
	testing.service({"ports": []}) == {
		"apiVersion": "v1",
		"kind": "Service",
		"metadata": {"name": "web", "namespace": "shop"},
		"spec": {"ports": []},
	}
	every obj, kind in {
		testing.ingress({}): "networking.k8s.io/v1 Ingress",
		testing.networkpolicy({}): "networking.k8s.io/v1 NetworkPolicy",
		testing.gateway({}): "gateway.networking.k8s.io/v1 Gateway",
	} {
		sprintf("%s %s", [obj.apiVersion, obj.kind]) == kind
	}
}

test_namespace if {
	testing.namespace("shop", {}) == shop
	testing.namespace("shop", {"team": "a"}).metadata.labels == {"kubernetes.io/metadata.name": "shop", "team": "a"}
}

test_metadata if {
	testing.labelled(testing.service({}), {"a": "b"}).metadata == {"name": "web", "namespace": "shop", "labels": {"a": "b"}}
	testing.annotated(testing.service({}), {"a": "b"}).metadata == {"name": "web", "namespace": "shop", "annotations": {"a": "b"}}
}

test_create if {
	testing.create(testing.ingress({})) == {
		"request": {
			"operation": "CREATE",
			"kind": {"group": "networking.k8s.io", "version": "v1", "kind": "Ingress"},
			"name": "web",
			"namespace": "shop",
			"userInfo": {"username": "ann", "groups": ["system:authenticated"]},
			"object": testing.ingress({}),
			"oldObject": null,
			"dryRun": false,
		},
		"namespace": shop,
	}
}

test_cluster_scoped if {
	review := testing.create(shop)
	review.request.kind == {"group": "", "version": "v1", "kind": "Namespace"}
	review.request.namespace == ""
	review.namespace == null
}

test_update if {
	request := testing.update(testing.service({"a": 1}), testing.service({"a": 2})).request
	[request.operation, request.object.spec.a, request.oldObject.spec.a] == ["UPDATE", 1, 2]
}

test_remove if {
	request := testing.remove(testing.service({"a": 2})).request
	[request.operation, request.name, request.object, request.oldObject.spec.a] == ["DELETE", "web", null, 2]
}

test_by if {
	user := testing.by(testing.create(shop), "bob").request.userInfo
	user == {"username": "bob", "groups": ["system:authenticated"]}
}

test_within if {
	review := testing.within(testing.create(testing.service({})), testing.namespace("store", {"team": "a"}))
	review.request.namespace == "store"
	review.namespace.metadata == {"name": "store", "labels": {"kubernetes.io/metadata.name": "store", "team": "a"}}
}

test_with_parameters if testing.with_parameters(testing.create(shop), {"a": 1}).parameters == {"a": 1}
