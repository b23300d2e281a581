# METADATA
# title: A Service of production has no external name
# description: Whatever production calls is inside.
# custom:
#   severity: medium
#   kinds: [Service]
package sluice.team.external

deny contains {"msg": "production calls the outside", "field": "spec.type"} if {
	input.request.object.spec.type == "ExternalName"
}
