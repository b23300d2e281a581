# METADATA
# title: The cluster's dataplane does what a NetworkPolicy says
# description: >
#   A NetworkPolicy is no better than what enforces it. Once told which dataplane that is, this denies what the dataplane
#   opens although the policy closes it, and warns of what it blocks although the policy opens it. Each finding ends in the
#   id of a row of the table beside this rule (table.rego), which says what is known of which dataplane, and where from; of
#   Antrea and Calico nothing is. A fact that doesn't hold in your cluster is switched off by its id. Nothing here depends on
#   pods: that the AWS agent leaves pods with hostNetwork alone, like most, is for workload-host-network. With auto, the
#   dataplane is what runs under one of the names that its own manifests use, or else what has left its
#   CustomResourceDefinitions; flannel counts only where nothing else is found, and aws-node only if its network policy agent
#   is switched on. Where this finds none or several, every NetworkPolicy is warned of, and nothing else is judged.
# related_resources:
#   - https://github.com/flannel-io/flannel/issues/558
#   - https://github.com/ovn-kubernetes/ovn-kubernetes/issues/2117
#   - https://github.com/ovn-org/ovn-kubernetes/blob/master/go-controller/pkg/ovn/gress_policy.go
#   - https://docs.aws.amazon.com/eks/latest/userguide/cni-network-policy.html
#   - https://github.com/aws/aws-network-policy-agent/pull/102
#   - https://github.com/aws/aws-network-policy-agent/issues/345
#   - https://github.com/aws/amazon-network-policy-controller-k8s/blob/main/pkg/resolvers/endpoints.go
#   - https://github.com/cilium/cilium/issues/9209
#   - https://github.com/cilium/cilium/issues/19601
#   - https://github.com/cilium/cilium/issues/28684
#   - https://docs.cilium.io/en/stable/configuration/sctp/
#   - https://github.com/cloudnativelabs/kube-router/issues/1019
#   - https://github.com/cloudnativelabs/kube-router/blob/master/pkg/controllers/netpol/policy.go
#   - https://github.com/kubernetes-sigs/kube-network-policies/blob/main/pkg/pipeline/networkpolicy.go
#   - https://github.com/Azure/azure-container-networking/pull/1738
#   - https://github.com/Azure/azure-container-networking/pull/4867
#   - https://github.com/noironetworks/aci-containers/pull/1653
#   - https://github.com/noironetworks/aci-containers/pull/1707
#   - https://github.com/noironetworks/aci-containers/blob/master/pkg/controller/network_policy.go
# custom:
#   severity: high
#   kinds: [networking.k8s.io/NetworkPolicy]
#   state:
#     - {kind: apps/DaemonSet, if: {dataplane: auto}}
#     - {kind: apiextensions.k8s.io/CustomResourceDefinition, if: {dataplane: auto}}
#   parameters:
#     type: object
#     properties:
#       dataplane:
#         description: >
#           what enforces NetworkPolicies in the cluster, or auto to find out. Empty is not told: then nothing is judged, unless
#           the flag --dataplane says it for all policies that don't
#         type: string
#         enum: ["", auto, aci, antrea, aws-vpc-cni, azure-npm, calico, cilium, flannel, kube-network-policies, kube-router, ovn-kubernetes]
#         default: ""
#       version:
#         description: the version of the dataplane, such as 1.16.3; empty is any
#         type: string
#         pattern: "^(v?[0-9]+([.][0-9]+)*([-+].*)?)?$"
#         default: ""
#       addressFamilies:
#         description: the address families of the cluster's pods; empty is not told, and then none is missed
#         type: array
#         items: {type: string, enum: [IPv4, IPv6]}
#         uniqueItems: true
#         default: []
#       clusterCIDRs:
#         description: >
#           the networks of the cluster's pods and nodes; empty is not told, and then any block for private use may be one of
#           them
#         type: array
#         items: {type: string}
#         default: []
#       excluded:
#         description: >
#           facts that don't hold in this cluster, by the id that ends a finding: cilium-sctp where Cilium has SCTP enabled,
#           aws-standard-mode where the AWS agent runs in strict mode
#         type: array
#         items:
#           type: string
#           enum:
#             - aci-address-family
#             - aci-end-port
#             - aci-named-port
#             - aci-named-port-of-all-pods
#             - aci-only-address-family
#             - aws-address-family
#             - aws-named-port
#             - aws-port-entries
#             - aws-standard-mode
#             - azure-cidr
#             - azure-ipv6
#             - cilium-end-port
#             - cilium-ip-block
#             - cilium-sctp
#             - flannel-enforces-nothing
#             - kube-network-policies-cidr
#             - kube-network-policies-except
#             - kube-router-address-family
#             - kube-router-sctp
#             - ovn-named-port
#         uniqueItems: true
#         default: []
#     additionalProperties: false
package sluice.networkpolicy.dataplane

import data.sluice.lib.dataplanes

deny contains {"msg": message(fact, trait), "field": trait.field, "fix": filled(fact.fix, trait)} if {
	input.parameters.dataplane != ""
	some [fact, trait] in misread
	fact.effect == "deny"
}

warn contains {"msg": message(fact, trait), "field": trait.field, "fix": filled(fact.fix, trait)} if {
	input.parameters.dataplane != ""
	some [fact, trait] in misread
	fact.effect == "warn"
}

warn contains {"msg": msg, "field": "spec", "fix": fix} if {
	input.parameters.dataplane == "auto"
	count(detected) != 1
	msg := undecided
	fix := "tell Sluice its name by the parameter dataplane, or by --dataplane"
}

# misread are facts about the cluster's dataplane, each with a trait of the policy that it is about.
misread contains [fact, trait] if {
	some fact in dataplanes.facts[dataplane]
	not fact.id in input.parameters.excluded
	not outdated(fact)
	some trait in traits
	trait.trait in fact.traits
	about(fact, trait)
}

# traits are asked for once.
traits := sluice.networkpolicy.traits(input.request.object, input.parameters)

about(fact, trait) if {
	trait.count > object.get(fact, "over", -1)
	concerns_family(fact, trait)
	every key, values in object.get(fact, "where", {}) {
		trait[key] in values
	}
}

concerns_family(fact, _) if not fact.other_family

concerns_family(fact, trait) if {
	fact.other_family
	count(input.parameters.addressFamilies) > 0
	trait.family != ""
	not trait.family in input.parameters.addressFamilies
}

outdated(fact) if {
	input.parameters.version != ""
	numbers(input.parameters.version) >= numbers(fact.until)
}

# numbers are those that a version begins with.
numbers(version) := [to_number(number) |
	some number in split(regex.find_n(`[0-9]+([.][0-9]+)*`, version, 1)[0], ".")
]

message(fact, trait) := sprintf("%s [%s]", [filled(fact.says, trait), fact.id])

# filled puts a trait into a text of the table.
filled(text, trait) := strings.replace_n(
	{
		"{value}": sprintf("%.80s", [trait.value]),
		"{protocol}": sprintf("%.10s", [trait.protocol]),
		"{count}": sprintf("%d", [trait.count]),
	},
	text,
)

dataplane := input.parameters.dataplane if input.parameters.dataplane != "auto"

dataplane := name if {
	input.parameters.dataplane == "auto"
	count(detected) == 1
	some name in detected
}

# detected is what enforces policies, as far as can be told: flannel does only if nothing else does.
detected := enforcing if {
	count(enforcing) > 0
} else := running if {
	count(running) > 0
} else := declared

enforcing := running - {"flannel"}

running contains name if {
	some [name, workload] in installed
	switched_on(name, workload)
}

installed contains [name, workload] if {
	some [name, namespace, daemonset] in dataplanes.daemonsets
	workload := sluice.state.get("apps/DaemonSet", namespace, daemonset)
}

switched_on(name, _) if name != "aws-vpc-cni"

switched_on("aws-vpc-cni", workload) if {
	some container in workload.spec.template.spec.containers
	container.name in {"aws-eks-nodeagent", "aws-network-policy-agent"}
	"--enable-network-policy=true" in container.args
}

declared contains name if {
	some crd, name in dataplanes.crds
	sluice.state.get("apiextensions.k8s.io/CustomResourceDefinition", "", crd)
	not switched_off(name)
}

# switched_off holds for what is there and does not enforce.
switched_off(name) if {
	some [other, _] in installed
	other == name
}

undecided := "no known dataplane is found in the cluster: who enforces this policy, and how, is not known" if {
	count(detected) == 0
} else := sprintf("several dataplanes are found, %s: which of them enforces this policy is not known", [concat(" and ", sort(detected))])
