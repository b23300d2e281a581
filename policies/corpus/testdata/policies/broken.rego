# METADATA
# title: Asks what is no name
# description: It can't be evaluated where a Service has an external name.
# custom:
#   severity: low
#   kinds: [Service]
package sluice.broken

deny contains "never" if sluice.cidr.canonical(input.request.object.spec.externalName).problem == "never"
