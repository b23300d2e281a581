# METADATA
# title: What traffic a change of NetworkPolicies opens
# description: >
#   Says what pods may reach, or be reached by, after a request and could not before, with one example for each peer of a
#   rule. It reckons with all policies of the namespace: what another policy opens already is not opened anew, a first
#   policy for pods opens nothing, and when the last one goes, everything is open. Every useful policy opens something, so
#   that the profiles only record it; a platform team limits it by the parameter allowed and the action Deny. IP blocks are
#   about addresses and never about the pods that have them. A named port may be any port of its protocol, and was open
#   before only under the same name or where every port was. Where it is too complicated to tell, it is taken for opened.
# related_resources:
#   - https://kubernetes.io/docs/concepts/services-networking/network-policies/#the-two-sorts-of-pod-isolation
#   - https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/network-policy-v1/#NetworkPolicySpec
# custom:
#   severity: medium
#   kinds: [networking.k8s.io/NetworkPolicy]
#   operations: [CREATE, UPDATE, DELETE]
#   state: [networking.k8s.io/NetworkPolicy, Namespace]
#   parameters:
#     type: object
#     properties:
#       allowed:
#         description: traffic that may be opened, which is not reported; what an entry leaves out it does not limit
#         type: array
#         default: []
#         items:
#           type: object
#           minProperties: 1
#           properties:
#             direction:
#               description: Ingress or Egress
#               enum: [Ingress, Egress]
#             namespaces:
#               description: the namespaces whose pods may do so; * and ? stand for any characters and any one
#               type: array
#               minItems: 1
#               items: {type: string, minLength: 1}
#             peers:
#               description: who may be reached, or may reach them
#               type: object
#               minProperties: 1
#               properties:
#                 cidrs:
#                   description: addresses, such as 10.0.0.0/8
#                   type: array
#                   minItems: 1
#                   items: {type: string, pattern: "^[0-9A-Fa-f:.]+/[0-9]+$"}
#                 namespaces:
#                   description: pods in these namespaces; * and ? as above
#                   type: array
#                   minItems: 1
#                   items: {type: string, minLength: 1}
#                 ownNamespace:
#                   description: pods of the same namespace
#                   type: boolean
#               additionalProperties: false
#             ports:
#               description: such as 443, UDP/53 or TCP/8000-8999
#               type: array
#               minItems: 1
#               items: {type: string, pattern: "^((TCP|UDP|SCTP)/)?[0-9]{1,5}(-[0-9]{1,5})?$"}
#           additionalProperties: false
#     additionalProperties: false
package sluice.networkpolicy.opens

deny contains {"msg": opening.text, "field": opening.field, "fix": remedy(opening)} if {
	some opening in opened.list
}

deny contains {"msg": "more may be opened than is listed here", "field": "spec", "fix": "make the change in smaller steps"} if {
	opened.more
}

opened := sluice.networkpolicy.opens(
	input.request.oldObject,
	input.request.object,
	sluice.state.list("networking.k8s.io/NetworkPolicy", input.request.namespace),
	input.parameters,
) if {
	may_open
	not terminating
}

# terminating asks the state, so that manifests can be judged without their Namespace. What goes with its namespace opens
# nothing to anybody.
terminating if {
	input.request.operation == "DELETE"
	sluice.state.get("Namespace", "", input.request.namespace).metadata.deletionTimestamp
}

# may_open keeps requests that change nothing, and new policies without rules, from asking the state.
may_open if input.request.operation == "DELETE"

may_open if {
	input.request.operation == "UPDATE"
	not unchanged
}

may_open if {
	input.request.operation == "CREATE"
	input.request.object.spec.egress[0]
}

may_open if {
	input.request.operation == "CREATE"
	input.request.object.spec.ingress[0]
}

unchanged if input.request.object.spec == input.request.oldObject.spec

remedy(opening) := sprintf("leave it out, or have the platform team allow %s", [opening.allowance]) if {
	opening.allowance != ""
} else := sprintf("keep a policy that selects these pods and has policyTypes: [%s]", [opening.direction]) if {
	opening.unisolated
} else := "narrow the peer or its ports to what is allowed"
