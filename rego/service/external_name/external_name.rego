# METADATA
# title: An ExternalName leads out of the cluster
# description: >
#   Whoever may create a Service of type ExternalName makes a name of theirs stand for another host. Inside of the cluster
#   that is the Service of another namespace, which looks like one of their own to Ingress controllers and NetworkPolicies,
#   a node or something in the network around it. Refused are names in the cluster's domains or ending with .svc, localhost,
#   and addresses that are private, shared, loopback, link-local or unspecified, in every spelling that resolvers take. A
#   short name is refused if the search path of the cluster makes an existing Service of it, such as ledger.finance. For any
#   other name this warns: whoever controls it in DNS decides where the traffic goes.
# related_resources:
#   - https://kubernetes.io/docs/concepts/services-networking/service/#externalname
#   - https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/#namespaces-of-services
#   - https://www.rfc-editor.org/rfc/rfc6761#section-6.3
#   - https://pubs.opengroup.org/onlinepubs/9799919799/functions/inet_addr.html
# custom:
#   severity: high
#   kinds: [Service]
#   judges: [spec]
#   state: [Service]
#   parameters:
#     type: object
#     properties:
#       clusterDomains:
#         description: DNS domains of the cluster; clusterset.local is that of Services which several clusters share
#         type: array
#         items: {type: string, minLength: 1}
#         default: [cluster.local, clusterset.local]
#     additionalProperties: false
package sluice.service.external_name

# The type comes first everywhere: by it, other Services are told apart without evaluation.

deny contains {"msg": msg, "field": "spec.externalName", "fix": fix} if {
	input.request.object.spec.type == "ExternalName"
	target.inside != ""
	msg := sprintf("external name %.80q is %s", [name, target.inside])
	fix := "use the Service or the host itself, by its own name"
}

deny contains {"msg": msg, "field": "spec.externalName", "fix": fix} if {
	input.request.object.spec.type == "ExternalName"
	is_service
	msg := sprintf(
		"external name %.80q is Service %s of namespace %s to whoever searches the cluster's domain",
		[name, target.service, target.namespace],
	)
	fix := "use the Service by its own name, or end a name outside of the cluster with a dot"
}

warn contains {"msg": msg, "field": "spec.externalName", "fix": fix} if {
	input.request.object.spec.type == "ExternalName"
	target.inside == ""
	not is_service
	msg := sprintf("external name %.80q: whoever controls it in DNS decides where the traffic goes", [name])
	fix := "a Service without selector and an EndpointSlice with the addresses"
}

name := object.get(input.request.object.spec, "externalName", "")

target := sluice.service.external_target(name, input.parameters.clusterDomains)

is_service if {
	target.service != ""
	sluice.state.get("Service", target.namespace, target.service)
}
