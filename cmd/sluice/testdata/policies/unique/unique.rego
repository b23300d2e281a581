# METADATA
# title: A namespace has one Service per selector
# description: Two Services for the same pods are one too many.
# custom:
#   severity: medium
#   kinds: [Service]
#   state: [Service]
#   judges: [spec]
package sluice.team.unique

deny contains sprintf("Service %s selects the same pods", [other.metadata.name]) if {
	object := input.request.object
	some other in sluice.state.list("Service", input.request.namespace)
	other.metadata.name != object.metadata.name
	other.spec.selector == object.spec.selector
}
