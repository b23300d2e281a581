# METADATA
# title: cert-manager's HTTP-01 solvers
# description: >
#   To prove control of a host, cert-manager serves a token over plaintext HTTP from an Ingress of its own, without TLS and,
#   for an IP address, without host. Behind it is a Service of its own, of type NodePort if nobody chose another. Both are
#   known by who sends them and by their shape together: anyone can write the label, and cert-manager also edits Ingresses
#   that are no solvers.
# related_resources:
#   - https://cert-manager.io/docs/configuration/acme/http01/
#   - https://github.com/cert-manager/cert-manager/blob/master/pkg/issuer/acme/http/ingress.go
#   - https://github.com/cert-manager/cert-manager/blob/master/pkg/issuer/acme/http/service.go
#   - https://www.rfc-editor.org/rfc/rfc8555#section-8.3
package sluice.lib.acme

# sends_solver holds if one of the users sends a solver's Ingress.
sends_solver(request, users) if {
	request.userInfo.username in users
	is_solver(request.object)
}

# is_solver holds for an Ingress that serves challenge paths and nothing else.
is_solver(ingress) if {
	ingress.metadata.labels["acme.cert-manager.io/http01-solver"] == "true"
	object.get(ingress.spec, "defaultBackend", null) == null
	count(ingress.spec.rules) > 0
	every rule in ingress.spec.rules {
		count(rule.http.paths) > 0
		every path in rule.http.paths {
			path.pathType in {"Exact", "ImplementationSpecific"}
			regex.match(`^/\.well-known/acme-challenge/[A-Za-z0-9_-]+$`, path.path)
		}
	}
}

# sends_solver_service holds if one of the users sends a solver's Service.
sends_solver_service(request, users) if {
	request.userInfo.username in users
	is_solver_service(request.object)
}

# solver_port is where cert-manager's solvers listen.
solver_port := 8089

# is_solver_service holds for a Service that leads to the port of solver pods and to nothing else.
is_solver_service(service) if {
	service.metadata.labels["acme.cert-manager.io/http01-solver"] == "true"
	service.spec.selector["acme.cert-manager.io/http01-solver"] == "true"
	not service.spec.ports[1]
	port := service.spec.ports[0]
	[port.protocol, port.port, port.targetPort] == ["TCP", solver_port, solver_port]
}
