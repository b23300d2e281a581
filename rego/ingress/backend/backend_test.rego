package sluice.ingress.backend_test

import data.sluice.ingress.backend
import data.sluice.lib.testing.annotated
import data.sluice.lib.testing.create
import data.sluice.lib.testing.ingress
import data.sluice.lib.testing.service

# services are what exists in the namespace shop.
services := {
	"cart": service({"type": "ClusterIP", "selector": {"app": "cart"}}),
	"legacy": named(service({"type": "ExternalName", "externalName": "legacy.example.net"}), "legacy"),
	"nameless": named(service({"type": "ExternalName"}), "nameless"),
}

named(obj, name) := object.union(obj, {"metadata": {"name": name}})

stored("Service", "shop", name) := services[name]

deny(obj) := found if {
	found := backend.deny with input as create(obj)
		with sluice.state.get as stored
}

to(name) := {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": name, "port": {"number": 80}}}}

paths(names) := ingress({"rules": [{"host": "shop.example.com", "http": {"paths": [to(name) | some name in names]}}]})

external(name, target, field) := {
	"msg": sprintf("Service %s is an ExternalName: requests go to %s, past every NetworkPolicy of the namespace", [name, target]),
	"field": field,
	"fix": sprintf("name a Service that selects pods, or make %s one: type: ClusterIP with a selector", [name]),
}

legacy(field) := external("legacy", "legacy.example.net", field)

# METADATA
# title: the second path of an Ingress goes to an ExternalName
# custom: {example: refused}
test_path if deny(paths(["cart", "legacy"])) == {legacy("spec.rules[0].http.paths[1].backend.service.name")}

# METADATA
# title: backends with a selector, or yet to be created
# custom: {example: admitted}
test_ordinary_or_missing if deny(paths(["cart", "missing"])) == set()

test_every_path_is_named if {
	deny(ingress({"rules": [
		{"host": "a.example.com"},
		{"host": "b.example.com", "http": null},
		{"host": "c.example.com", "http": {"paths": [to("legacy"), to("legacy")]}},
	]})) == {
		legacy("spec.rules[2].http.paths[0].backend.service.name"),
		legacy("spec.rules[2].http.paths[1].backend.service.name"),
	}
}

test_default_backend if {
	deny(ingress({"defaultBackend": {"service": {"name": "legacy"}}})) == {legacy("spec.defaultBackend.service.name")}
	deny(ingress({"defaultBackend": {"service": {"name": "cart"}}})) == set()
}

test_without_target if {
	deny(paths(["nameless"])) == {external("nameless", "an unknown name", "spec.rules[0].http.paths[0].backend.service.name")}
}

test_resource if {
	resource := {"apiGroup": "storage.example.com", "kind": "Bucket", "name": "legacy"}
	deny(ingress({"defaultBackend": {"resource": resource}, "rules": [{"http": {"paths": [{"backend": {"resource": resource}}]}}]})) == set()
}

test_nothing_there if {
	every spec in [{}, {"rules": null, "defaultBackend": null}, {"rules": []}, {"defaultBackend": {"service": null}}] {
		deny(ingress(spec)) == set()
	}
	backend.deny == set() with input as create(object.union(ingress({}), {"metadata": {"annotations": null}}))
}

default_backend(class, name) := deny(annotated(
	ingress({"ingressClassName": class}),
	{"nginx.ingress.kubernetes.io/default-backend": name},
))

test_annotation if {
	every class in ["nginx", "edge", ""] {
		default_backend(class, "legacy") == {legacy("metadata.annotations[nginx.ingress.kubernetes.io/default-backend]")}
	}
	default_backend("nginx", " legacy ") == {legacy("metadata.annotations[nginx.ingress.kubernetes.io/default-backend]")}
	default_backend("nginx", "cart") == set()
	default_backend("traefik", "legacy") == set()
}

# Backends are in the Ingress's own namespace.
test_other_namespace if {
	elsewhere := object.union(paths(["legacy"]), {"metadata": {"namespace": "lab"}})
	deny(elsewhere) == set()
}
