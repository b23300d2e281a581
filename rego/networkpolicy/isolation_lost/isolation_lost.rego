# METADATA
# title: Pods keep the isolation that NetworkPolicies give them
# description: >
#   A pod that no NetworkPolicy selects for a direction accepts or sends everything. Updates and deletions are refused after
#   which pods that some policy selected for a direction are selected by none, over all policies of the namespace and by what
#   their selectors mean; several may cover the pods together. A policy that is being deleted covers nothing, and of two
#   deletions at the same moment one waits for the other. To replace a policy, create the new one first. A namespace that is
#   being deleted is left alone. Where a GatePolicy has a namespaceSelector, labels of a Namespace are kept that take it out
#   of the GatePolicy while its pods are isolated: from then on nobody would judge what becomes of its policies. Labels of a
#   NetworkPolicy and an objectSelector are judged alike.
# related_resources:
#   - https://kubernetes.io/docs/concepts/services-networking/network-policies/#the-two-sorts-of-pod-isolation
#   - https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/network-policy-v1/#NetworkPolicySpec
# custom:
#   severity: high
#   kinds: [networking.k8s.io/NetworkPolicy]
#   operations: [UPDATE, DELETE]
#   ratchet: false
#   leaving: true
#   state: [networking.k8s.io/NetworkPolicy, Namespace]
package sluice.networkpolicy.isolation_lost

deny contains {"msg": msg, "field": field, "fix": fix} if {
	some lost in losses
	field := where(lost)
	msg := concat("", [whose(lost), " their isolation for ", lost.direction, example(lost), reason(lost)])
	fix := remedy(lost)
}

deny contains {"msg": msg, "field": labels_field, "fix": relabel} if {
	some isolation in isolations
	msg := sprintf("the labels take namespace %s out of this policy, while NetworkPolicy %s isolates %s for %s%s", [
		input.request.object.metadata.name,
		isolation.policy,
		pods(isolation.pods),
		isolation.direction,
		beside(isolation.more),
	])
}

losses := sluice.networkpolicy.isolation_lost(
	input.request.oldObject,
	changed,
	sluice.state.list("networking.k8s.io/NetworkPolicy", input.request.namespace),
) if {
	not of_namespace
	not terminating

	# The others aren't asked about what the policy itself keeps isolated.
	count(sluice.networkpolicy.isolation_lost(input.request.oldObject, changed, [])) > 0
}

isolations := sluice.networkpolicy.isolation(sluice.state.list("networking.k8s.io/NetworkPolicy", input.request.object.metadata.name)) if {
	of_namespace
	input.leaves
	not going
}

of_namespace if input.request.kind.kind == "Namespace"

terminating if is_string(sluice.state.get("Namespace", "", input.request.namespace).metadata.deletionTimestamp)

going if is_string(input.request.object.metadata.deletionTimestamp)

# changed is what becomes of the policy, as far as it is still protected.
changed := null if input.request.operation == "DELETE"

changed := null if {
	input.request.operation != "DELETE"
	input.leaves
}

changed := input.request.object if {
	input.request.operation != "DELETE"
	not input.leaves
}

where(_) := labels_field if input.leaves

where(lost) := lost.field if not input.leaves

labels_field := "metadata.labels" if {
	count(input.request.object.metadata.labels) > 0
} else := "metadata"

whose(lost) := sprintf("%s may lose", [pods(lost.pods)]) if {
	lost.uncertain
} else := sprintf("%s lose", [pods(lost.pods)]) if {
	not lost.partly
} else := sprintf("some of the pods %.80s lose", [lost.pods]) if {
	lost.pods != ""
} else := "some pods lose"

pods("") := "all pods"

pods(selector) := sprintf("pods %.80s", [selector]) if selector != ""

example(lost) := sprintf(", such as those labelled %.60s", [concat(",", texts(lost.witness))]) if {
	lost.partly
	count(lost.witness) > 0
} else := ", such as those without labels" if {
	lost.partly
	not lost.uncertain
} else := ""

reason(lost) := ": whether other NetworkPolicies select them is too complicated to tell" if {
	lost.uncertain
} else := ": with these labels this policy protects the NetworkPolicy no more" if {
	input.leaves
} else := ": no NetworkPolicy selects them any more"

remedy(lost) := relabel if {
	input.leaves
} else := sprintf("keep %s in policyTypes, or first create another NetworkPolicy with it", [lost.direction]) if {
	lost.field != "spec.podSelector"
	old_pods == object.get(input.request.object, ["spec", "podSelector"], {})
} else := sprintf("first create another with podSelector: %s, policyTypes: [%s]", [selector, lost.direction]) if {
	selector := json.marshal(old_pods)
	count(selector) <= 80
} else := sprintf("first create another with the same podSelector, policyTypes: [%s]", [lost.direction])

old_pods := object.get(input.request.oldObject, ["spec", "podSelector"], {})

beside(0) := ""

beside(more) := sprintf(", beside %d more", [more]) if more > 0

relabel := sprintf("keep the labels %.80s", [concat(",", texts(gone))]) if {
	count(gone) > 0
} else := "leave out the labels that the update adds"

# gone are the labels that the update takes away or changes.
gone[key] := value if {
	some key, value in input.request.oldObject.metadata.labels
	object.get(input.request.object, ["metadata", "labels", key], null) != value
}

texts(labels) := sort([text |
	some key, value in labels
	text := sprintf("%s=%s", [key, value])
])
