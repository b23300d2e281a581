# METADATA
# title: Egress does not reach most of the internet, nor every pod
# description: >
#   For any one port and protocol, pods reach at most as many public addresses as one prefix of the given lengths holds (a
#   /8 of IPv4, a /32 of IPv6), over all peers, all rules and all policies of the namespace that select the same pods,
#   since policies add up. Policies that only overlap count where some pod is selected by all of them; if the search for
#   such a pod is given up, this warns. Nor may peers select every pod of every namespace, on whatever ports: neither those of
#   one rule, nor those of several rules of the policy that have a port in common. Other policies are not looked at for
#   that, and where it is too complicated to tell, it is taken for yes. Where all ports are open, a default deny for the same
#   pods, which is undone, is named.
# related_resources:
#   - https://kubernetes.io/docs/concepts/services-networking/network-policies/#behavior-of-to-and-from-selectors
#   - https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/network-policy-v1/#NetworkPolicySpec
#   - https://www.iana.org/assignments/iana-ipv4-special-registry/iana-ipv4-special-registry.xhtml
#   - https://www.iana.org/assignments/iana-ipv6-special-registry/iana-ipv6-special-registry.xhtml
# custom:
#   severity: high
#   kinds: [networking.k8s.io/NetworkPolicy]
#   state: [networking.k8s.io/NetworkPolicy]
#   parameters:
#     type: object
#     properties:
#       ipv4Prefix:
#         description: as many public IPv4 addresses as a prefix of this length holds may be reached
#         type: integer
#         minimum: 1
#         maximum: 32
#         default: 8
#       ipv6Prefix:
#         description: as many public IPv6 addresses as a prefix of this length holds may be reached
#         type: integer
#         minimum: 1
#         maximum: 128
#         default: 32
#     additionalProperties: false
package sluice.networkpolicy.wildcard_egress

import data.sluice.lib.isolation

deny contains {"msg": msg, "field": wide.field, "fix": fix} if {
	some wide in excesses
	not wide.uncertain
	msg := sprintf("egress reaches %s %s%s, more than %s%s", [wide.reach, on(wide), together(wide), limit(wide), undone(everything(wide))])
	fix := remedy(wide)
}

warn contains {"msg": msg, "field": wide.field, "fix": fix} if {
	some wide in excesses
	wide.uncertain
	msg := sprintf(
		"egress may reach %s %s%s if one pod is in all of them, more than %s",
		[wide.reach, on(wide), together(wide), limit(wide)],
	)
	fix := remedy(wide)
}

deny contains {"msg": msg, "field": peer.field, "fix": fix} if {
	has_egress
	some peer in sluice.networkpolicy.every_pod(input.request.object)
	peer.direction == "Egress"
	msg := concat("", [everyone(peer), undone(every_port(peer))])
	fix := "namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: NAMESPACE}}"
}

excesses := sluice.networkpolicy.wide_egress(input.request.object, policies, input.parameters) if {
	has_egress
}

policies := sluice.state.list("networking.k8s.io/NetworkPolicy", input.request.namespace)

# has_egress keeps policies without egress rules from asking the state.
has_egress if input.request.object.spec.egress[0]

on(wide) := "on all ports" if {
	wide.protocol == "any"
	wide.ports == "all"
} else := sprintf("on all %s ports", [wide.protocol]) if {
	wide.ports == "all"
} else := sprintf("on port %.80s of any protocol", [wide.ports]) if {
	wide.protocol == "any"
} else := sprintf("on %s %.80s", [wide.protocol, wide.ports])

together(wide) := "" if count(wide.with) == 0

together(wide) := sprintf(" together with NetworkPolicy %s%s", [few(wide.with), shared(wide)]) if count(wide.with) > 0

# shared is a pod that the overlapping policies select.
shared(wide) := sprintf(" for pods labelled %s", [few(sort([text |
	some key, value in wide.witness
	text := sprintf("%s=%s", [key, value])
]))]) if {
	count(wide.witness) > 0
} else := ""

# few keeps a list within one line.
few(names) := concat(", ", names) if count(names) <= 3

few(names) := sprintf("%s and %d more", [concat(", ", array.slice(names, 0, 3)), count(names) - 3]) if count(names) > 3

# own is the policy itself; its name may be for the API server to make.
own := {"name": object.get(input.request.object.metadata, "name", ""), "spec": input.request.object.spec}

# undone names the default deny that is left without effect, where nothing limits what is opened.
undone(unlimited) := isolation.undone(own, "Egress", policies) if {
	unlimited
} else := ""

everything(wide) if {
	startswith(wide.reach, "the whole ")
	wide.protocol == "any"
	wide.ports == "all"
} else := false

every_port(peer) if {
	not peer.hasPorts
	not peer.uncertain
} else := false

limit(wide) := sprintf("a /%d of public addresses", [
	{
		"IPv4": input.parameters.ipv4Prefix,
		"IPv6": input.parameters.ipv6Prefix,
	}[wide.family],
])

remedy(wide) := "cidr: the networks that these pods need, such as 203.0.113.0/24" if {
	endswith(wide.field, ".cidr")
	not has_excepts(wide)
}

# Excepts of another block would not be valid beside a new cidr.
remedy(wide) := "ipBlock: {cidr: 203.0.113.0/24} with the networks that these pods need" if {
	endswith(wide.field, ".cidr")
	has_excepts(wide)
}

remedy(wide) := "to: [{ipBlock: {cidr: 203.0.113.0/24}}] with the networks that these pods need" if {
	not endswith(wide.field, ".cidr")
}

has_excepts(wide) if {
	[i, j] := [to_number(index) | some index in regex.find_n(`[0-9]+`, wide.field, 2)]
	count(input.request.object.spec.egress[i].to[j].ipBlock.except) > 0
}

everyone(peer) := "the egress peer selects every pod of every namespace" if endswith(peer.field, "]")

everyone(peer) := "the egress peers together select every pod of every namespace" if {
	not peer.uncertain
	endswith(peer.field, ".to")
}

everyone(peer) := "the egress rules together select every pod of every namespace for the same port" if {
	not peer.uncertain
	peer.field == "spec.egress"
}

everyone(peer) := sprintf("the egress %s may together select every pod of every namespace: too complicated to tell", [several(peer)]) if {
	peer.uncertain
}

several(peer) := "rules" if {
	peer.field == "spec.egress"
} else := "peers"
