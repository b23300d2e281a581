# METADATA
# title: No backend of an Ingress is an ExternalName
# description: >
#   A controller proxies to whatever name an ExternalName Service stands for: another namespace, the controller's own
#   machine, or somebody else's. No selector and no NetworkPolicy of the namespace governs that, and whoever owns the name
#   can change it. Backends are Services in the Ingress's own namespace: those of paths, the default backend, and the one
#   that ingress-nginx takes from its annotation default-backend. A Service that does not exist yet is judged when it is
#   created, by service-external-name.
# related_resources:
#   - https://kubernetes.io/docs/concepts/services-networking/service/#externalname
#   - https://kubernetes.io/docs/concepts/services-networking/ingress/#default-backend
#   - https://kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/annotations/#default-backend
#   - https://github.com/kubernetes/kubernetes/issues/103675
# custom:
#   severity: high
#   kinds: [networking.k8s.io/Ingress]
#   state: [Service]
#   judges:
#     - spec
#     - metadata.annotations["kubernetes.io/ingress.class"]
#     - metadata.annotations["nginx.ingress.kubernetes.io/default-backend"]
package sluice.ingress.backend

import data.sluice.lib.nginx

deny contains finding if {
	some i, rule in input.request.object.spec.rules
	some j, path in rule.http.paths
	service := sluice.state.get("Service", input.request.namespace, path.backend.service.name)
	service.spec.type == "ExternalName"
	finding := about(service, sprintf("spec.rules[%d].http.paths[%d].backend.service.name", [i, j]))
}

deny contains finding if {
	name := input.request.object.spec.defaultBackend.service.name
	service := sluice.state.get("Service", input.request.namespace, name)
	service.spec.type == "ExternalName"
	finding := about(service, "spec.defaultBackend.service.name")
}

deny contains finding if {
	value := input.request.object.metadata.annotations["nginx.ingress.kubernetes.io/default-backend"]
	name := trim_space(value) # as ingress-nginx does
	service := sluice.state.get("Service", input.request.namespace, name)
	service.spec.type == "ExternalName"
	nginx.may_serve(input.request.object)
	finding := about(service, "metadata.annotations[nginx.ingress.kubernetes.io/default-backend]")
}

about(service, field) := {"msg": msg, "field": field, "fix": fix} if {
	name := service.metadata.name
	msg := sprintf("Service %s is an ExternalName: requests go to %.80s, past every NetworkPolicy of the namespace", [
		name,
		object.get(service.spec, "externalName", "an unknown name"),
	])
	fix := sprintf("name a Service that selects pods, or make %s one: type: ClusterIP with a selector", [name])
}
