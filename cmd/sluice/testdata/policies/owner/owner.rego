# METADATA
# title: A Service says who owns it
# description: The label owner is added where it is missing.
# custom:
#   severity: low
#   kinds: [Service]
#   judges: [metadata.labels]
package sluice.team.owner

patch contains {"op": "add", "path": "/metadata/labels/owner", "value": "nobody"} if {
	not input.request.object.metadata.labels.owner
}

deny contains {"msg": sprintf("%s owns it", [owner]), "field": "metadata.labels.owner"} if {
	owner := object.get(input.request.object.metadata, ["labels", "owner"], "nobody has a label, so nobody")
	owner != "nobody"
}
