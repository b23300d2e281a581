# METADATA
# title: A Service is in a namespace that is closed
# description: There has to be a NetworkPolicy named quarantine.
# custom:
#   severity: medium
#   kinds: [Service]
#   state: [networking.k8s.io/NetworkPolicy]
package sluice.team.closed

deny contains "the namespace is open" if {
	not sluice.state.get("networking.k8s.io/NetworkPolicy", input.request.namespace, "quarantine")
}
