# METADATA
# title: A Service names its first port
# description: The name is added where it is missing, so that nothing is refused that was patched.
# custom:
#   severity: low
#   kinds: [Service]
package sluice.port

patch contains {"op": "add", "path": "/spec/ports/0/name", "value": "http"} if {
	not input.request.object.spec.ports[0].name
}

deny contains "the port has no name" if not input.request.object.spec.ports[0].name

deny contains sprintf("the protocol of %v is not TCP", [input.request.object.metadata.name]) if {
	input.request.object.spec.ports[0].protocol != "TCP"
}
