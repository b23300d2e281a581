# METADATA
# title: A namespace uses only the classes it may use
# description: >
#   The class says which proxy serves an Ingress, to the internet or inside. This rule is told which namespaces may use which
#   classes; until then it does nothing, and from then on a namespace that no entry names may use none. spec.ingressClassName
#   and the annotation kubernetes.io/ingress.class are judged both, since an update may set them apart and controllers differ
#   in which they read; so are the annotations of their own that Contour and HAProxy Technologies' controller read. A new
#   Ingress without class gets the default IngressClass, of several the newest. One that remains without is refused unless
#   allowNoClass says otherwise: some controllers serve every Ingress that names no class, as GCE's does. The Ingress of an
#   HTTP-01 solver is excused if cert-manager sends it, because its issuer says the class.
# related_resources:
#   - https://kubernetes.io/docs/concepts/services-networking/ingress/#default-ingress-class
#   - https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#defaultingressclass
#   - https://kubernetes.io/docs/concepts/services-networking/ingress/#deprecated-annotation
#   - https://kubernetes.github.io/ingress-nginx/user-guide/multiple-ingress/
#   - https://projectcontour.io/docs/main/config/annotations/
#   - https://github.com/haproxytech/kubernetes-ingress/blob/master/pkg/ingress/ingress.go
# custom:
#   severity: high
#   kinds: [networking.k8s.io/Ingress]
#   state: [networking.k8s.io/IngressClass]
#   judges:
#     - spec
#     - metadata.annotations["kubernetes.io/ingress.class"]
#     - metadata.annotations["projectcontour.io/ingress.class"]
#     - metadata.annotations["contour.heptio.com/ingress.class"]
#     - metadata.annotations["haproxy.org/ingress.class"]
#     - metadata.annotations["haproxy.com/ingress.class"]
#     - metadata.annotations["ingress.kubernetes.io/ingress.class"]
#   parameters:
#     type: object
#     properties:
#       classes:
#         description: which classes, by name, may be used, and in which namespaces, by name or by globs in which * stands for any characters
#         type: array
#         items:
#           type: object
#           required: [classes]
#           properties:
#             namespaces:
#               type: array
#               minItems: 1
#               items: {type: string, maxLength: 63, pattern: '^[a-z0-9*-]+$'}
#               default: ["*"]
#             classes:
#               type: array
#               minItems: 1
#               items: {type: string, minLength: 1, pattern: '^[^*]*$'}
#           additionalProperties: false
#         default: []
#       allowNoClass:
#         description: whether an Ingress may remain without class
#         type: boolean
#         default: false
#       acmeSolvers:
#         description: users whose HTTP-01 solver Ingresses may use any class
#         type: array
#         items: {type: string}
#         default: ["system:serviceaccount:cert-manager:cert-manager"]
#     additionalProperties: false
package sluice.ingress.class_allowed

import data.sluice.lib.acme
import data.sluice.lib.globs

# Told nothing, the rule costs one look at its parameters.
deny contains finding if {
	input.parameters.classes != []
	some finding in findings
	not solver
}

# A class that is named.
findings contains {"msg": msg, "field": field, "fix": fix} if {
	some field, class in named
	not class in allowed
	msg := sprintf("namespace %s may not use the class %.80q", [input.request.namespace, class])
	fix := remedy
}

# The class that a new Ingress gets.
findings contains {"msg": msg, "field": "spec", "fix": remedy} if {
	not chooses
	class := default_class
	not class in allowed
	msg := sprintf("without a class the Ingress gets the default one, %.80q, which namespace %s may not use", [class, input.request.namespace])
}

# No class at all.
findings contains {"msg": msg, "field": "spec", "fix": remedy} if {
	not chooses
	not default_class
	not input.parameters.allowNoClass
	msg := "the Ingress has no class: whichever controller takes such Ingresses serves it"
}

allowed contains class if {
	some entry in input.parameters.classes
	globs.any_match(entry.namespaces, input.request.namespace)
	some class in entry.classes
}

# named are the classes that the Ingress names, by field.
named["spec.ingressClassName"] := class if {
	class := input.request.object.spec.ingressClassName
	not class in {"", null}
}

named[field] := class if {
	some name, class in input.request.object.metadata.annotations
	name in {
		"kubernetes.io/ingress.class", "projectcontour.io/ingress.class", "contour.heptio.com/ingress.class",
		"haproxy.org/ingress.class", "haproxy.com/ingress.class", "ingress.kubernetes.io/ingress.class",
	}
	class != ""
	field := sprintf("metadata.annotations[%s]", [name])
}

# chooses holds for an Ingress whose class is for every controller to read.
chooses if sluice.ingress.class(input.request.object) != ""

# default_class is what the API server gives a new Ingress that has neither field nor annotation, not even an empty one.
default_class := min({class.metadata.name | some class in defaults; created(class) == newest}) if {
	input.request.operation == "CREATE"
	object.get(input.request.object, ["metadata", "annotations", "kubernetes.io/ingress.class"], null) == null
	newest := max({created(class) | some class in defaults})
}

defaults := [class |
	some class in sluice.state.list("networking.k8s.io/IngressClass", "")
	class.metadata.annotations["ingressclass.kubernetes.io/is-default-class"] == "true"
]

created(class) := object.get(class.metadata, "creationTimestamp", "")

solver if acme.sends_solver(input.request, input.parameters.acmeSolvers)

remedy := sprintf("spec.ingressClassName: %.80s", [min(allowed)]) if {
	count(allowed) == 1
} else := sprintf("spec.ingressClassName: %.80s, or another of %.100s", [min(allowed), concat(", ", allowed)]) if {
	count(allowed) > 1
} else := "ask the platform team for a class for the namespace"
