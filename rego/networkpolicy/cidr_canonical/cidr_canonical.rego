# METADATA
# title: Every reader of a CIDR sees the same network
# description: >
#   Bits beyond the prefix, leading zeros in an octet, a group or the prefix length, and IPv4-mapped IPv6 addresses are read
#   as one network by Kubernetes and as another, or as none, by other software. API servers before 1.36 accept them in
#   new objects. Upper-case and expanded IPv6 is unambiguous. A CIDR that already stood somewhere in the old object only
#   warns, so that the rest of the object can be changed.
# related_resources:
#   - https://kubernetes.io/docs/reference/command-line-tools-reference/feature-gates/#StrictIPCIDRValidation
#   - https://github.com/kubernetes/enhancements/tree/master/keps/sig-network/4858-ip-cidr-validation
#   - https://nvd.nist.gov/vuln/detail/CVE-2021-29923
# custom:
#   severity: medium
#   kinds: [networking.k8s.io/NetworkPolicy]
#   judges: [spec]
package sluice.networkpolicy.cidr_canonical

deny contains {"msg": msg, "field": field, "fix": fix} if {
	some [cidr, path] in suspects
	not cidr in stood
	field := field_path(path)
	msg := message(cidr)
	fix := remedy(path, cidr)
}

warn contains {"msg": msg, "field": field, "fix": fix} if {
	some [cidr, path] in suspects
	cidr in stood
	field := field_path(path)
	msg := message(cidr)
	fix := remedy(path, cidr)
}

# suspects are the CIDRs that have a problem, each with its path.
suspects contains [block.cidr, path] if {
	some direction, side in peers
	some i, rule in input.request.object.spec[direction]
	some j, peer in rule[side]
	block := peer.ipBlock
	not unambiguous(block.cidr)
	path := [direction, i, side, j]
}

suspects contains [cidr, path] if {
	some direction, side in peers
	some i, rule in input.request.object.spec[direction]
	some j, peer in rule[side]
	some k, cidr in peer.ipBlock.except
	not unambiguous(cidr)
	path := [direction, i, side, j, k]
}

# stood are the CIDRs of the old object; empty if there is none.
stood contains peer.ipBlock.cidr if {
	some direction, side in peers
	some rule in input.request.oldObject.spec[direction]
	some peer in rule[side]
}

stood contains cidr if {
	some direction, side in peers
	some rule in input.request.oldObject.spec[direction]
	some peer in rule[side]
	some cidr in peer.ipBlock.except
}

peers := {"ingress": "from", "egress": "to"}

unambiguous(cidr) if {
	readable(cidr)
	sluice.cidr.canonical(cidr).problem == ""
}

# readable holds for what Kubernetes can read, if need be with zeros stripped as its legacy parser does.
readable(cidr) if net.cidr_is_valid(cidr)

readable(cidr) if net.cidr_is_valid(regex.replace(cidr, `(^|[.:/])0+([0-9A-Fa-f])`, "$1$2"))

message(cidr) := sprintf("%.80q is ambiguous (%s): other software may see another network", [cidr, problem]) if {
	readable(cidr)
	problem := sluice.cidr.canonical(cidr).problem
} else := sprintf("%.80q is no CIDR: no dataplane can apply it", [cidr])

field_path(path) := sprintf("spec.%s[%d].%s[%d].ipBlock.cidr", path) if count(path) == 4

field_path(path) := sprintf("spec.%s[%d].%s[%d].ipBlock.except[%d]", path) if count(path) == 5

remedy(path, cidr) := sprintf("cidr: %s", [canonical(cidr)]) if count(path) == 4

remedy(path, cidr) := sprintf("except: [%s]", [canonical(cidr)]) if {
	count(path) == 5
	count(excepts(path)) == 1
}

# The other excepts have to stay: what is pasted takes the place of this one.
remedy(path, cidr) := sprintf("- %s", [canonical(cidr)]) if {
	count(path) == 5
	count(excepts(path)) > 1
}

excepts([direction, i, side, j, _]) := input.request.object.spec[direction][i][side][j].ipBlock.except

canonical(cidr) := sluice.cidr.canonical(cidr).canonical if readable(cidr)

else := "10.0.0.0/8 or another CIDR"
