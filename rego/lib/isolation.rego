# METADATA
# title: The default deny that a NetworkPolicy undoes
# description: >
#   Policies add up: beside one that opens everything to its pods, one that denies everything to them has no effect, and who
#   wrote it doesn't see that. A message about the former names the latter.
# related_resources:
#   - https://kubernetes.io/docs/concepts/services-networking/network-policies/#the-two-sorts-of-pod-isolation
package sluice.lib.isolation

# undone is what to add to a message about a policy of this name and spec that opens all of a direction. It names a policy
# that denies all of it to the same pods, one that Sluice made before others; "" if there is none.
undone(own, direction, policies) := sprintf(", which undoes NetworkPolicy %.63s for its pods", [names[0]]) if {
	denying := [policy |
		some policy in policies
		policy.metadata.name != own.name
		selects_all(policy.spec, own.spec)
		denies_all(policy, direction)
	]
	made := {policy.metadata.name | some policy in denying; policy.metadata.labels["policy.sluice.dev/generated-by"]}
	names := array.concat(sort(made), sort({policy.metadata.name | some policy in denying}))
	count(names) > 0
} else := ""

denies_all(policy, "Ingress") if {
	not policy.spec.ingress[0]
	"Ingress" in sluice.networkpolicy.types(policy)
}

denies_all(policy, "Egress") if {
	not policy.spec.egress[0]
	"Egress" in sluice.networkpolicy.types(policy)
}

# selects_all holds where it is plain to see that all pods of another policy are selected.
selects_all(spec, _) if object.get(spec, "podSelector", {}) == {}

selects_all(spec, other) if spec.podSelector == other.podSelector
