package sluice.ingress.class_allowed_test

import data.sluice.ingress.class_allowed
import data.sluice.lib.testing.annotated
import data.sluice.lib.testing.by
import data.sluice.lib.testing.create
import data.sluice.lib.testing.ingress
import data.sluice.lib.testing.labelled
import data.sluice.lib.testing.update
import data.sluice.lib.testing.with_parameters

inner := {"classes": [{"namespaces": ["shop"], "classes": ["inner"]}]}

deny(obj) := judged(create(obj), inner, [])

judged(review, parameters, classes) := found if {
	found := class_allowed.deny with input as with_parameters(review, parameters)
		with sluice.state.list as classes
}

of(class) := ingress({"ingressClassName": class, "rules": [{"host": "shop.example.com"}]})

plain := ingress({"rules": [{"host": "shop.example.com"}]})

legacy := "kubernetes.io/ingress.class"

refused(class, field) := {
	"msg": sprintf("namespace shop may not use the class %q", [class]),
	"field": field,
	"fix": "spec.ingressClassName: inner",
}

# METADATA
# title: a class that the namespace may use
# custom: {example: admitted}
test_class if deny(of("inner")) == set()

# METADATA
# title: a class of others
# custom: {example: refused}
test_class_of_others if deny(of("public")) == {refused("public", "spec.ingressClassName")}

test_class_is_case_sensitive if deny(of("Inner")) == {refused("Inner", "spec.ingressClassName")}

test_told_nothing if {
	judged(create(of("public")), {}, []) == set()
	judged(create(plain), {}, [default_class("public", "2026-01-01T00:00:00Z")]) == set()
}

test_annotation if {
	deny(annotated(plain, {legacy: "inner"})) == set()
	deny(annotated(plain, {legacy: "public"})) == {refused("public", sprintf("metadata.annotations[%s]", [legacy]))}
}

test_annotation_beside_the_field if {
	deny(annotated(of("inner"), {legacy: "public"})) == {refused("public", sprintf("metadata.annotations[%s]", [legacy]))}
	deny(annotated(of("public"), {legacy: "inner"})) == {refused("public", "spec.ingressClassName")}
	deny(annotated(of("inner"), {legacy: "inner"})) == set()
	deny(annotated(of("inner"), {legacy: ""})) == set()
}

test_annotations_of_one_controller if {
	every name in [
		"projectcontour.io/ingress.class", "contour.heptio.com/ingress.class", "haproxy.org/ingress.class",
		"haproxy.com/ingress.class", "ingress.kubernetes.io/ingress.class",
	] {
		deny(annotated(of("inner"), {name: "inner"})) == set()
		deny(annotated(of("inner"), {name: "public"})) == {refused("public", sprintf("metadata.annotations[%s]", [name]))}
	}
}

test_other_namespaces if {
	any_may := {"classes": [{"classes": ["inner"]}, {"namespaces": ["edge-*"], "classes": ["public"]}]}
	judged(create(of("inner")), any_may, []) == set()
	judged(create(of("public")), any_may, []) == {refused("public", "spec.ingressClassName")}
	edge := json.patch(of("public"), [{"op": "replace", "path": "/metadata/namespace", "value": "edge-eu"}])
	judged(create(edge), any_may, []) == set()
}

test_several_classes if {
	judged(create(of("public")), {"classes": [{"classes": ["inner", "mesh"]}]}, []) == {{
		"msg": `namespace shop may not use the class "public"`,
		"field": "spec.ingressClassName",
		"fix": "spec.ingressClassName: inner, or another of inner, mesh",
	}}
}

test_namespace_without_classes if {
	judged(create(of("inner")), {"classes": [{"namespaces": ["blog"], "classes": ["inner"]}]}, []) == {{
		"msg": `namespace shop may not use the class "inner"`,
		"field": "spec.ingressClassName",
		"fix": "ask the platform team for a class for the namespace",
	}}
}

no_class := {
	"msg": "the Ingress has no class: whichever controller takes such Ingresses serves it",
	"field": "spec",
	"fix": "spec.ingressClassName: inner",
}

test_no_class if {
	every obj in [plain, of(""), of(null), annotated(plain, {legacy: ""})] {
		deny(obj) == {no_class}
	}
}

# What only one controller reads leaves the others without a class.
test_no_class_for_most if deny(annotated(plain, {"projectcontour.io/ingress.class": "inner"})) == {no_class}

test_no_class_is_allowed if {
	judged(create(plain), object.union(inner, {"allowNoClass": true}), []) == set()
}

default_class(name, time) := {"metadata": {
	"name": name,
	"creationTimestamp": time,
	"annotations": {"ingressclass.kubernetes.io/is-default-class": "true"},
}}

by_default(class) := {
	"msg": sprintf("without a class the Ingress gets the default one, %q, which namespace shop may not use", [class]),
	"field": "spec",
	"fix": "spec.ingressClassName: inner",
}

test_default_class if {
	judged(create(plain), inner, [default_class("inner", "2026-01-01T00:00:00Z")]) == set()
	judged(create(plain), inner, [default_class("public", "2026-01-01T00:00:00Z")]) == {by_default("public")}
	judged(create(of("inner")), inner, [default_class("public", "2026-01-01T00:00:00Z")]) == set()
}

test_default_class_also_where_none_is_allowed if {
	parameters := object.union(inner, {"allowNoClass": true})
	judged(create(plain), parameters, [default_class("public", "2026-01-01T00:00:00Z")]) == {by_default("public")}
}

test_newest_of_several_defaults if {
	old := default_class("a-public", "2026-01-01T00:00:00Z")
	judged(create(plain), inner, [old, default_class("inner", "2026-01-02T00:00:00Z")]) == set()
	judged(create(plain), inner, [default_class("inner", "2025-12-31T23:59:59Z"), old]) == {by_default("a-public")}
	judged(create(plain), inner, [old, default_class("inner", "2026-01-01T00:00:00Z")]) == {by_default("a-public")}
}

test_class_that_is_not_default if {
	every value in ["false", "True", ""] {
		class := {"metadata": {"name": "inner", "annotations": {"ingressclass.kubernetes.io/is-default-class": value}}}
		judged(create(plain), inner, [class]) == {no_class}
	}
	judged(create(plain), inner, [{"metadata": {"name": "inner"}}]) == {no_class}
}

# The API server gives the default to new Ingresses only, and to none with the annotation.
test_default_class_that_is_not_given if {
	classes := [default_class("inner", "2026-01-01T00:00:00Z")]
	judged(update(plain, of("inner")), inner, classes) == {no_class}
	judged(create(annotated(plain, {legacy: ""})), inner, classes) == {no_class}
}

cert_manager := "system:serviceaccount:cert-manager:cert-manager"

solver(class) := labelled(
	ingress(object.union(class, {"rules": [{
		"host": "shop.example.com",
		"http": {"paths": [{"path": "/.well-known/acme-challenge/token", "pathType": "Exact"}]},
	}]})),
	{"acme.cert-manager.io/http01-solver": "true"},
)

test_solver if {
	public := [default_class("public", "2026-01-01T00:00:00Z")]
	judged(by(create(solver({"ingressClassName": "public"})), cert_manager), inner, []) == set()
	judged(by(create(solver({})), cert_manager), inner, []) == set()
	judged(by(create(solver({})), cert_manager), inner, public) == set()
}

test_solver_by_another_user if {
	deny(solver({"ingressClassName": "public"})) == {refused("public", "spec.ingressClassName")}
}

test_another_ingress_by_cert_manager if {
	judged(by(create(of("public")), cert_manager), inner, []) == {refused("public", "spec.ingressClassName")}
}
