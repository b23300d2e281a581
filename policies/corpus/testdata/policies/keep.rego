# METADATA
# title: What is in use stays
# description: A Service with the label keep is not deleted while its namespace stays.
# custom:
#   severity: low
#   kinds: [Service]
#   judges: [spec]
#   operations: [CREATE, UPDATE, DELETE]
#   state: [Service]
package sluice.keep

deny contains "it is in use" if {
	input.request.operation == "DELETE"
	input.request.oldObject.metadata.labels.keep == "true"
	not input.namespace.metadata.deletionTimestamp
}

warn contains "there is another one" if {
	some other in sluice.state.list("Service", input.request.namespace)
	other.metadata.name != input.request.name
}
