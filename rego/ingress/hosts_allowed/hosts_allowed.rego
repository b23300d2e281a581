# METADATA
# title: A namespace claims only hosts of its own domains
# description: >
#   Whoever is first with a host has it, also if it is the name of another team or of a bank. This rule is told which
#   namespaces may claim which domains, by its parameters, by the annotation policy.sluice.dev/hosts of the Namespace, or by
#   both; until then it does nothing, and from then on a namespace without domains may claim no host. A domain is
#   shop.example.com for the name itself, *.shop.example.com for names with one label more and the wildcard host of that
#   spelling, **.shop.example.com for names with one label more or several, or ** for every name, which a rule without host
#   and a default backend take. Names in spec.tls are claims, since cert-manager gets certificates for them, and so are those
#   in nginx's server-alias, what its from-to-www-redirect adds, and those that external-dns is asked for. The Ingress of an
#   HTTP-01 solver is judged like any other, which keeps a namespace from a certificate for the host of another. The
#   annotation counts once annotators are named, and only they may set, change or remove it, on a new Namespace too; its
#   domains stand between commas or blanks.
# related_resources:
#   - https://kubernetes.io/docs/concepts/services-networking/ingress/#hostname-wildcards
#   - https://kubernetes.io/docs/concepts/security/multi-tenancy/
#   - https://cert-manager.io/docs/usage/ingress/
#   - https://kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/annotations/#redirect-fromto-www
#   - https://kubernetes-sigs.github.io/external-dns/latest/docs/annotations/annotations/
# custom:
#   severity: high
#   kinds: [networking.k8s.io/Ingress, Namespace]
#   state: [Namespace, networking.k8s.io/IngressClass]
#   parameters:
#     type: object
#     properties:
#       domains:
#         description: which namespaces, by name or by globs in which * stands for any characters, may claim which hosts
#         type: array
#         items:
#           type: object
#           required: [namespaces, hosts]
#           properties:
#             namespaces:
#               type: array
#               minItems: 1
#               items: {type: string, maxLength: 63, pattern: '^[a-z0-9*-]+$'}
#             hosts:
#               type: array
#               minItems: 1
#               items: {type: string, maxLength: 253, pattern: '^(\*\*|(\*\*?\.)?([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.?)$'}
#           additionalProperties: false
#         default: []
#       annotators:
#         description: who may set the annotation policy.sluice.dev/hosts of a Namespace, which counts once somebody is named here
#         type: array
#         items:
#           type: object
#           required: [kind, name]
#           properties:
#             kind: {type: string, enum: [User, Group, ServiceAccount]}
#             name: {type: string, minLength: 1}
#             namespace: {description: of a ServiceAccount, type: string, default: ""}
#           additionalProperties: false
#         default: []
#     additionalProperties: false
package sluice.ingress.hosts_allowed

import data.sluice.lib.globs

# Told nothing, the rule costs one look at its parameters.
deny contains finding if {
	[input.parameters.domains, input.parameters.annotators] != [[], []]
	some finding in findings[input.request.kind.kind]
}

# A name outside of the domains.
findings.Ingress contains {"msg": msg, "field": claim.field, "fix": fix} if {
	some claim in sluice.ingress.outside(input.request.object, domains)
	msg := message(claim)
	fix := remedy
}

# An annotation of the namespace that can't be read.
findings.Ingress contains {"msg": msg, "field": "metadata.namespace", "fix": annotation_form} if {
	some word in annotated
	not is_domain(word)
	msg := sprintf("namespace %s has the annotation policy.sluice.dev/hosts with %.253q, which is no domain", [input.request.namespace, word])
}

# The same, when it is written.
findings.Namespace contains {"msg": msg, "field": annotation_field, "fix": annotation_form} if {
	input.parameters.annotators != []
	some word in words(input.request.object.metadata.annotations["policy.sluice.dev/hosts"])
	not is_domain(word)
	msg := sprintf("policy.sluice.dev/hosts has %.253q, which is no domain", [word])
}

# An annotation by somebody else. Nobody sends what comes from a file.
findings.Namespace contains {"msg": msg, "field": written_at, "fix": fix} if {
	input.parameters.annotators != []
	{v | v := input.request.object.metadata.annotations["policy.sluice.dev/hosts"]} != was
	input.request.userInfo.username != ""
	not by_annotator
	msg := sprintf("%.253q may not set the annotation policy.sluice.dev/hosts, which says what hosts the namespace may claim", [input.request.userInfo.username])
	fix := sprintf("leave the annotation as it is, or ask %s", [annotators])
}

# domains are those of the request's namespace.
domains := array.concat([host | some host in given], [word | some word in annotated; is_domain(word)])

given contains host if {
	some entry in input.parameters.domains
	globs.any_match(entry.namespaces, input.request.namespace)
	some host in entry.hosts
}

annotated contains word if {
	input.parameters.annotators != []
	some word in words(home.metadata.annotations["policy.sluice.dev/hosts"])
}

home := sluice.state.get("Namespace", "", input.request.namespace)

words(text) := {word | some word in regex.split(`[\s,]+`, text); word != ""}

# is_domain holds for what a parameter may be too.
is_domain(word) if {
	count(word) <= 253
	regex.match(`^(\*\*|(\*\*?\.)?([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.?)$`, word)
}

message(claim) := sprintf("spec.tls asks for a certificate for %.253q, which is not among the domains of namespace %s", [claim.host, input.request.namespace]) if {
	claim.via == "tls"
} else := sprintf("from-to-www-redirect also serves %.253q, which is not among the domains of namespace %s", [claim.host, input.request.namespace]) if {
	claim.via == "redirect"
} else := sprintf("external-dns is asked for %.253q, which is not among the domains of namespace %s", [claim.host, input.request.namespace]) if {
	claim.via == "dns"
} else := sprintf("host %.253q is not among the domains of namespace %s", [claim.host, input.request.namespace]) if {
	claim.host != ""
} else := sprintf("%s claims every name, more than namespace %s may", [taker[claim.via], input.request.namespace])

taker := {"rule": "a rule without host", "alias": "server-alias", "defaultBackend": "a default backend"}

remedy := sprintf("use names of %.150s", [concat(", ", sort(domains))]) if {
	domains != []
} else := "give the Namespace object, in front of this one or with --state; in a cluster, try again: it is not known yet" if {
	input.parameters.annotators != []
	not home
} else := "ask the platform team for a domain for the namespace"

was := {v | v := input.request.oldObject.metadata.annotations["policy.sluice.dev/hosts"]}

by_annotator if {
	some annotator in input.parameters.annotators
	is_sender(annotator)
}

is_sender(annotator) if {
	annotator.kind == "User"
	input.request.userInfo.username == annotator.name
}

is_sender(annotator) if {
	annotator.kind == "Group"
	annotator.name in input.request.userInfo.groups
}

is_sender(annotator) if {
	annotator.kind == "ServiceAccount"
	input.request.userInfo.username == sprintf("system:serviceaccount:%s:%s", [annotator.namespace, annotator.name])
}

annotators := concat(", ", [sprintf("%s %s", [a.kind, a.name]) | some a in array.slice(input.parameters.annotators, 0, 5)])

written_at := annotation_field if {
	input.request.object.metadata.annotations["policy.sluice.dev/hosts"] != null
} else := "metadata"

annotation_field := "metadata.annotations[policy.sluice.dev/hosts]"

annotation_form := "write names such as shop.example.com, *.shop.example.com or **.shop.example.com, with commas between them"
