# METADATA
# title: A namespace starts with a default deny and a way to DNS
# description: >
#   Pods that no NetworkPolicy selects may be reached by and reach everyone. Each namespace gets sluice-default-deny, which
#   isolates all of its pods in the directions given, and an object for each thing that is allowed nevertheless:
#   sluice-allow-dns, without which nothing could resolve a name, and where asked for sluice-allow-same-namespace,
#   sluice-allow-api-server and sluice-allow-extra. Each of them says one thing, so that the exception can be seen beside the
#   rule; their prefix keeps them apart from a default-deny that the namespace's owners apply themselves. Fields are written
#   out, empty lists too. A direction that isn't denied is open, and nothing is allowed in it. The namespace of the DNS gets
#   nothing. The flavour is the kind of these objects. CiliumNetworkPolicy needs Cilium 1.16. GlobalNetworkPolicy is Calico's:
#   one object for the namespace, which goes with it, in the default tier behind all NetworkPolicies, which so add to it.
#   ClusterNetworkPolicy is one object of the Baseline tier for the whole cluster. It covers namespaces that exist already and
#   those that the policy's match leaves out, too: all but excludedNamespaces, kube-system, kube-public, kube-node-lease and
#   sluice-system. Where Sluice runs in another one, or namespaces are exempt from it, name them. A NetworkPolicy that selects
#   a pod takes the place of what is denied and allowed here in its directions, DNS included; and only pods are peers of its
#   ingress, so that nodes and what is outside of the cluster still reach everyone.
# related_resources:
#   - https://kubernetes.io/docs/concepts/services-networking/network-policies/#default-deny-all-ingress-and-all-egress-traffic
#   - https://kubernetes.io/docs/reference/labels-annotations-taints/#kubernetes-io-metadata-name
#   - https://kubernetes.io/docs/tasks/administer-cluster/nodelocaldns/
#   - https://docs.cilium.io/en/stable/security/policy/intro/
#   - https://docs.cilium.io/en/stable/security/policy/layer3/
#   - https://github.com/cilium/cilium/issues/42528
#   - https://docs.tigera.io/calico/latest/reference/resources/globalnetworkpolicy
#   - https://network-policy-api.sigs.k8s.io/api-overview/
# custom:
#   severity: medium
#   kinds: [Namespace]
#   generates:
#     - {kind: networking.k8s.io/NetworkPolicy, if: {flavour: NetworkPolicy}}
#     - {kind: cilium.io/CiliumNetworkPolicy, if: {flavour: CiliumNetworkPolicy}}
#     - {kind: projectcalico.org/GlobalNetworkPolicy, if: {flavour: GlobalNetworkPolicy}}
#     - {kind: policy.networking.k8s.io/ClusterNetworkPolicy, if: {flavour: ClusterNetworkPolicy}}
#   parameters:
#     type: object
#     properties:
#       flavour:
#         description: the kind of the objects, which something in the cluster has to enforce
#         type: string
#         enum: [NetworkPolicy, CiliumNetworkPolicy, GlobalNetworkPolicy, ClusterNetworkPolicy]
#         default: NetworkPolicy
#       directions:
#         description: the directions in which everything else is denied
#         type: array
#         items: {type: string, enum: [Ingress, Egress]}
#         minItems: 1
#         uniqueItems: true
#         default: [Ingress, Egress]
#       dns:
#         description: >
#           egress to the cluster's DNS; on OpenShift that is the namespace openshift-dns, the port 5353 and the podLabels
#           {dns.operator.openshift.io/daemonset-dns: default}
#         type: object
#         properties:
#           enabled: {description: whether it is allowed, type: boolean, default: true}
#           namespace:
#             description: where the pods are that answer
#             type: string
#             pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$'
#             default: kube-system
#           podLabels:
#             description: labels of these pods; where Cilium redirects to a cache in pods, those of the cache
#             type: object
#             patternProperties:
#               '^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$':
#                 {type: string, pattern: '^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$'}
#             additionalProperties: false
#             minProperties: 1
#             default: {k8s-app: kube-dns}
#           ports:
#             description: ports of these pods, each for UDP and TCP; not of the Service
#             type: array
#             items: {type: integer, minimum: 1, maximum: 65535}
#             minItems: 1
#             maxItems: 10
#             uniqueItems: true
#             default: [53]
#           nodeLocal:
#             description: address of NodeLocal DNSCache, such as 169.254.20.10 or fd00::10; empty for none
#             type: string
#             pattern: '^$|^([0-9]{1,3}\.){3}[0-9]{1,3}$|^[0-9A-Fa-f]*:[0-9A-Fa-f:]+$'
#             default: ""
#         additionalProperties: false
#         default: {}
#       sameNamespace:
#         description: pods of the namespace may talk to each other; not with ClusterNetworkPolicy
#         type: boolean
#         default: false
#       apiServer:
#         description: egress to the API server; Cilium and Calico know where it is, other flavours have to be told
#         type: object
#         properties:
#           enabled: {description: whether it is allowed, type: boolean, default: false}
#           cidrs:
#             description: >
#               its addresses, as `kubectl get endpointslices kubernetes` has them, and those of the Service kubernetes where
#               the dataplane looks at packets before these are translated
#             type: array
#             items:
#               type: string
#               pattern: '^([0-9]{1,3}\.){3}[0-9]{1,3}/[0-9]{1,2}$|^[0-9A-Fa-f]*:[0-9A-Fa-f:]+/[0-9]{1,3}$'
#             maxItems: 25
#             uniqueItems: true
#             default: []
#           ports:
#             description: TCP ports of these addresses; without cidrs, Calico takes those that it knows
#             type: array
#             items: {type: integer, minimum: 1, maximum: 65535}
#             minItems: 1
#             maxItems: 10
#             uniqueItems: true
#             default: [443, 6443]
#         additionalProperties: false
#         default: {}
#       extraIngress:
#         description: more ingress rules, as the flavour writes them
#         type: array
#         items: {type: object}
#         maxItems: 20
#         default: []
#       extraEgress:
#         description: more egress rules, as the flavour writes them
#         type: array
#         items: {type: object}
#         maxItems: 20
#         default: []
#       excludedNamespaces:
#         description: >
#           namespaces that get nothing, by name or by a glob in which * stands for any characters; with ClusterNetworkPolicy
#           names only
#         type: array
#         items: {type: string, pattern: '^[-a-z0-9*]+$'}
#         uniqueItems: true
#         default: []
#     additionalProperties: false
#     if: {properties: {flavour: {enum: [NetworkPolicy, ClusterNetworkPolicy]}}}
#     then:
#       properties:
#         apiServer:
#           if: {properties: {enabled: {const: true}}}
#           then: {properties: {cidrs: {minItems: 1, description: this flavour has no other way to name the API server}}}
#       if: {properties: {flavour: {const: ClusterNetworkPolicy}}}
#       then:
#         properties:
#           sameNamespace: {const: false, description: a ClusterNetworkPolicy can't name the namespace of each pod}
#           excludedNamespaces:
#             items: {pattern: '^[^*]*$', description: a ClusterNetworkPolicy leaves out namespaces by name only}
#       else:
#         properties:
#           extraIngress:
#             items: {properties: {from: {}, ports: {}}, additionalProperties: false, description: "a NetworkPolicy has from and ports here"}
#           extraEgress:
#             items: {properties: {to: {}, ports: {}}, additionalProperties: false, description: "a NetworkPolicy has to and ports here"}
package sluice.namespace.default_deny

import data.sluice.lib.default_deny.calico
import data.sluice.lib.default_deny.cilium
import data.sluice.lib.default_deny.cluster
import data.sluice.lib.default_deny.networkpolicies
import data.sluice.lib.globs

generate contains obj if {
	not terminating
	not excluded
	some obj in objects
}

# terminating namespaces take no new objects.
terminating if input.request.object.metadata.deletionTimestamp

excluded if globs.any_match(wanted.excluded, input.request.object.metadata.name)

objects := networkpolicies.objects(wanted) if input.parameters.flavour == "NetworkPolicy"

objects := cilium.objects(wanted) if input.parameters.flavour == "CiliumNetworkPolicy"

objects := calico.objects(wanted) if input.parameters.flavour == "GlobalNetworkPolicy"

objects := cluster.objects(wanted) if input.parameters.flavour == "ClusterNetworkPolicy"

# wanted is what every flavour says in its own way. What is a list of at most one is wanted if it is there.
wanted := {
	"namespace": input.request.object.metadata.name,
	"uid": object.get(input.request.object.metadata, "uid", ""),
	"directions": directions,
	"dns": dns,
	"same_namespace": [direction | input.parameters.sameNamespace; some direction in directions],
	"api_server": [input.parameters.apiServer | input.parameters.apiServer.enabled; "Egress" in directions],
	"ingress": [rule | "Ingress" in directions; some rule in input.parameters.extraIngress],
	"egress": [rule | "Egress" in directions; some rule in input.parameters.extraEgress],
	"excluded": array.concat(input.parameters.excludedNamespaces, dns_namespace),
}

directions := [direction |
	some direction in ["Ingress", "Egress"]
	direction in input.parameters.directions
]

dns := [object.union(input.parameters.dns, {"caches": caches}) |
	input.parameters.dns.enabled
	"Egress" in directions
]

# dns_namespace gets nothing: everyone asks its pods, and they ask others.
dns_namespace := [input.parameters.dns.namespace | input.parameters.dns.enabled]

# caches are the node's DNS cache, if there is one, as a CIDR.
caches := [sprintf("%s/%d", [address, bits]) |
	address := input.parameters.dns.nodeLocal
	address != ""
	bits := {true: 128, false: 32}[contains(address, ":")]
]
