# METADATA
# title: No rule of a NetworkPolicy is switched off by policyTypes
# description: >
#   Rules of a direction that policyTypes does not list have no effect: no dataplane applies them, and the pods stay as open
#   in that direction as if the policy were not there. Without policyTypes, the API server lists the directions itself, and
#   an empty list of rules has nothing that could be ignored.
# related_resources:
#   - https://kubernetes.io/docs/concepts/services-networking/network-policies/#networkpolicy-resource
#   - https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/network-policy-v1/#NetworkPolicySpec
# custom:
#   severity: high
#   kinds: [networking.k8s.io/NetworkPolicy]
package sluice.networkpolicy.policy_types

deny contains {"msg": msg, "field": ignored.field, "fix": fix} if {
	some ignored in sluice.networkpolicy.ignored_rules(input.request.object)
	direction := lower(ignored.direction)
	listed := concat(", ", input.request.object.spec.policyTypes)
	msg := sprintf("%s rules have no effect, because policyTypes is [%s]: %s stays as open as before", [direction, listed, direction])
	fix := sprintf("policyTypes: [Ingress, Egress], or remove %s", [ignored.field])
}
