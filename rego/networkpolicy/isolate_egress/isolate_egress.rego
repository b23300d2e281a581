# METADATA
# title: Egress rules isolate egress, even where policyTypes was written without Egress
# description: >
#   Whoever writes egress rules means them to limit egress; without Egress in policyTypes they have no effect and egress
#   stays open. This adds Egress, which overrides what was written: from then on the pods reach only what the rules allow.
#   Ingress rules without Ingress in policyTypes stay as they are, because isolating ingress cuts off clients that the
#   author of an egress policy did not think of.
# related_resources:
#   - https://kubernetes.io/docs/concepts/services-networking/network-policies/#the-two-sorts-of-pod-isolation
#   - https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/network-policy-v1/#NetworkPolicySpec
# custom:
#   severity: high
#   kinds: [networking.k8s.io/NetworkPolicy]
package sluice.networkpolicy.isolate_egress

patch contains {"op": "replace", "path": "/spec/policyTypes", "value": isolated} if {
	some ignored in sluice.networkpolicy.ignored_rules(input.request.object)
	ignored.direction == "Egress"
	isolated := array.concat(input.request.object.spec.policyTypes, ["Egress"])
}
