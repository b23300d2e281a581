# METADATA
# title: Requests for tests of rules
# description: >
#   Objects and the input of a rule, so that a test says what matters and no more. With
#   `deny(obj) := found if found := my_rule.deny with input as create(obj)` in a test file, a test reads
#   `deny(ingress({"rules": []})) == set()`. Rules can't import this: it is for tests only.
package sluice.lib.testing

ingress(spec) := object_of("networking.k8s.io/v1", "Ingress", spec)

networkpolicy(spec) := object_of("networking.k8s.io/v1", "NetworkPolicy", spec)

service(spec) := object_of("v1", "Service", spec)

gateway(spec) := object_of("gateway.networking.k8s.io/v1", "Gateway", spec)

# object_of is an object of any kind that lives in a namespace: it is called web, in the namespace shop.
object_of(api_version, kind, spec) := {
	"apiVersion": api_version,
	"kind": kind,
	"metadata": {"name": "web", "namespace": "shop"},
	"spec": spec,
}

# namespace has the label that the API server gives each, and those of its own.
namespace(name, labels) := {
	"apiVersion": "v1",
	"kind": "Namespace",
	"metadata": {"name": name, "labels": object.union({"kubernetes.io/metadata.name": name}, labels)},
}

labelled(obj, labels) := object.union(obj, {"metadata": {"labels": labels}})

annotated(obj, annotations) := object.union(obj, {"metadata": {"annotations": annotations}})

# create, update and remove are the input of a rule when ann does that to an object.
create(obj) := review("CREATE", obj, obj, null)

update(obj, old) := review("UPDATE", obj, obj, old)

remove(old) := review("DELETE", old, null, old)

# by lets another user send a request.
by(review, username) := object.union(review, {"request": {"userInfo": {"username": username}}})

# within puts a request into a namespace made by the function of that name.
within(review, home) := object.union(
	object.union(review, {"request": {"namespace": home.metadata.name}}),
	{"namespace": home},
)

# with_parameters gives the parameters of a policy. sluice test completes them with the defaults of the rule.
with_parameters(review, parameters) := object.union(review, {"parameters": parameters})

review(operation, about, obj, old) := {
	"request": {
		"operation": operation,
		"kind": kind_of(about),
		"name": about.metadata.name,
		"namespace": object.get(about.metadata, "namespace", ""),
		"userInfo": {"username": "ann", "groups": ["system:authenticated"]},
		"object": obj,
		"oldObject": old,
		"dryRun": false,
	},
	"namespace": home_of(about),
}

kind_of(obj) := {"group": concat("", array.slice(parts, 0, count(parts) - 1)), "version": parts[count(parts) - 1], "kind": obj.kind} if {
	parts := split(obj.apiVersion, "/")
}

home_of(obj) := namespace(obj.metadata.namespace, {}) if {
	obj.metadata.namespace
} else := null
