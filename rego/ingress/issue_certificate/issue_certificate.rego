# METADATA
# title: A host without certificate gets one from cert-manager
# description: >
#   This rule is told an issuer; until then it does nothing. An Ingress with a host that no TLS entry covers gets an entry for
#   each, with a Secret that is named after the host, and the annotation by which cert-manager fills it. A TLS entry that
#   lists such a host and names no Secret gets the name. What someone wrote stays as it is: an Ingress that names its issuer
#   keeps it, and one that says no, by tls-acme or by half of the annotations, is left alone. So is one without issuer
#   whose TLS entries name Secrets, because cert-manager would fill those too, over the certificates in them. Hosts that no
#   certificate covers, such as those of a rule without host, get none, nor do wildcards unless the issuer solves DNS-01, which
#   it has to be told. The Ingress of an HTTP-01 solver is left alone, whoever sends it.
#   More than 50 hosts without certificate in one Ingress are left to a person.
# related_resources:
#   - https://cert-manager.io/docs/usage/ingress/#supported-annotations
#   - https://cert-manager.io/docs/usage/ingress/#how-it-works
#   - https://cert-manager.io/docs/configuration/acme/http01/
#   - https://letsencrypt.org/docs/challenge-types/
#   - https://letsencrypt.org/docs/rate-limits/
#   - https://kubernetes.io/docs/concepts/services-networking/ingress/#tls
# custom:
#   severity: medium
#   kinds: [networking.k8s.io/Ingress]
#   judges:
#     - spec
#     - metadata.labels["acme.cert-manager.io/http01-solver"]
#     - metadata.annotations["kubernetes.io/ingress.class"]
#     - metadata.annotations["nginx.ingress.kubernetes.io/server-alias"]
#     - metadata.annotations["cert-manager.io/cluster-issuer"]
#     - metadata.annotations["cert-manager.io/issuer"]
#     - metadata.annotations["cert-manager.io/issuer-kind"]
#     - metadata.annotations["cert-manager.io/issuer-group"]
#     - metadata.annotations["kubernetes.io/tls-acme"]
#   parameters:
#     type: object
#     properties:
#       issuer:
#         description: name of the issuer
#         type: string
#         maxLength: 253
#         pattern: '^([a-z0-9]([a-z0-9.-]*[a-z0-9])?)?$'
#         default: ""
#       kind:
#         description: kind of the issuer; an Issuer is looked for in the namespace of the Ingress
#         type: string
#         minLength: 1
#         default: ClusterIssuer
#       group:
#         description: API group of the issuer
#         type: string
#         minLength: 1
#         default: cert-manager.io
#       wildcards:
#         description: whether the issuer can prove control of wildcards, which HTTP-01 can't
#         type: boolean
#         default: false
#       existingSecrets:
#         description: whether an Ingress that names Secrets and no issuer gets the annotation too; cert-manager then fills these Secrets, over what is in them
#         type: boolean
#         default: false
#     additionalProperties: false
package sluice.ingress.issue_certificate

import data.sluice.lib.acme
import data.sluice.lib.redirect

# The annotation.
patch contains {"op": "add", "path": path, "value": value} if {
	input.parameters.issuer != ""
	to_issue
	not has_issuer
	some name, value in issuer_annotations
	path := sprintf("/metadata/annotations/%s", [replace(name, "/", "~1")])
}

# A name for the Secret of an entry that lists hosts and names none.
patch contains {"op": "add", "path": path, "value": secret} if {
	input.parameters.issuer != ""
	issuing
	some i, secret in nameless
	path := sprintf("/spec/tls/%d/secretName", [i])
}

# An entry for each host that is in none.
patch contains {"op": "add", "path": "/spec/tls/-", "value": {"hosts": [host], "secretName": secret}} if {
	input.parameters.issuer != ""
	issuing
	some host, secret in missing
}

to_issue if issuing

to_issue if {
	input.parameters.existingSecrets
	not mentions_issuer
	not acme.is_solver(input.request.object)
	some entry in tls
	entry.secretName != ""
	count(entry.hosts) > 0
}

issuing if {
	count(uncovered) > 0
	count(uncovered) <= most
	count(missing) + count(nameless) > 0
	may_issue
	not acme.is_solver(input.request.object)
}

# most bounds the work of one review, and is what Let's Encrypt issues for a domain in a week.
most := 50

may_issue if has_issuer

may_issue if {
	not mentions_issuer
	not names_secrets
}

may_issue if {
	not mentions_issuer
	input.parameters.existingSecrets
}

# uncovered are the hosts to cover, each with the name that its Secret would have.
uncovered := {host.host: host.secret |
	some host in sluice.ingress.hosts(input.request.object)
	not host.covered
	host.secret != ""
	may_cover(host.host)
}

may_cover(host) if not startswith(host, "*")

may_cover(_) if input.parameters.wildcards

# missing are the hosts that no entry lists.
missing[host] := secret if {
	some host, _ in uncovered
	not lister[host]
	secret := secret_name(host)
}

# nameless are the entries whose hosts get a certificate together, by the place in spec.tls. One is named after the
# first of its hosts to cover that no entry before it lists.
nameless[i] := secret if {
	some i, hosts in lists
	every host in hosts {
		may_cover(host)
	}
	own := [h | some h in hosts; uncovered[h]; lister[h] == i]
	secret := secret_name(own[0])
}

# lists are the hosts of the entries without Secret, by the place in spec.tls.
lists[i] := [lower(trim_suffix(host, ".")) | some host in entry.hosts] if {
	some i, entry in tls
	object.get(entry, "secretName", "") in {"", null}
	is_array(entry.hosts)
}

# lister is the first of the entries without Secret that list a host.
lister := {host: min(places) | some host, places in listers}

listers[host] contains i if {
	some i, hosts in lists
	some host in hosts
}

# secret_name is unique among the entries: two Certificates of one name are none to cert-manager. Two hosts may be
# named alike, as a-b.example.com and a.b.example.com: then a hash tells them apart.
secret_name(host) := name if {
	name := uncovered[host]
	not name in secrets
	not name in shared
} else := name if {
	start := substring(trim_suffix(uncovered[host], "-tls"), 0, 240)
	name := sprintf("%s-%s-tls", [start, substring(crypto.sha256(host), 0, 8)])
	not name in secrets
}

shared := {secret | some secret, hosts in namesakes; count(hosts) > 1}

namesakes[secret] contains host if some host, secret in uncovered

secrets := {entry.secretName | some entry in tls; not entry.secretName in {"", null}}

names_secrets if count(secrets) > 0

default tls := []

tls := input.request.object.spec.tls if is_array(input.request.object.spec.tls)

annotations := input.request.object.metadata.annotations

has_issuer if annotations["cert-manager.io/cluster-issuer"] != ""

has_issuer if annotations["cert-manager.io/issuer"] != ""

has_issuer if annotations["kubernetes.io/tls-acme"] in redirect.true_words

mentions_issuer if {
	some name in {
		"cert-manager.io/cluster-issuer", "cert-manager.io/issuer", "cert-manager.io/issuer-kind",
		"cert-manager.io/issuer-group", "kubernetes.io/tls-acme",
	}
	annotations[name]
}

issuer_annotations := {"cert-manager.io/cluster-issuer": input.parameters.issuer} if {
	input.parameters.kind == "ClusterIssuer"
	input.parameters.group == "cert-manager.io"
} else := {"cert-manager.io/issuer": input.parameters.issuer} if {
	input.parameters.kind == "Issuer"
	input.parameters.group == "cert-manager.io"
} else := {
	"cert-manager.io/issuer": input.parameters.issuer,
	"cert-manager.io/issuer-kind": input.parameters.kind,
	"cert-manager.io/issuer-group": input.parameters.group,
}
