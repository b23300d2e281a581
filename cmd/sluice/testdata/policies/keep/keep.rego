# METADATA
# title: Services that are in use stay
# description: A Service with the label keep is not deleted.
# custom:
#   severity: low
#   kinds: [Service]
#   operations: [DELETE, UPDATE]
#   judges: [spec]
package sluice.team.keep

deny contains {"msg": "it is in use", "field": "metadata.labels.keep"} if {
	input.request.operation == "DELETE"
	input.request.oldObject.metadata.labels.keep == "true"
}

deny contains {"msg": "the type changes", "field": "spec.type"} if {
	input.request.operation == "UPDATE"
	input.request.object.spec.type != input.request.oldObject.spec.type
}
