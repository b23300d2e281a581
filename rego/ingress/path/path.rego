# METADATA
# title: Paths of an Ingress mean the same to its author and its controller
# description: >
#   nginx controllers copy paths into the configuration that they run for everybody: a quote, a semicolon, a brace, a #,
#   white space, $( or a backslash at the end lets a path out of its location (CVE-2026-24512). A regular expression is one
#   only with pathType ImplementationSpecific and where the controller was told so; elsewhere it is a text that no request
#   has in it. With pathType Exact or Prefix, ingress-nginx refuses all but letters, digits and -_./ itself. Its annotations
#   use-regex and rewrite-target turn every path of the host into a regular expression, for all Ingresses: /pay of another
#   Ingress then is /PAYROLL too. The Ingress that does so is the one that is refused. Those of other namespaces are
#   ingress-host-unique's business.
# related_resources:
#   - https://kubernetes.github.io/ingress-nginx/user-guide/ingress-path-matching/
#   - https://kubernetes.github.io/ingress-nginx/faq/#validation-of-path
#   - https://github.com/kubernetes/ingress-nginx/blob/main/internal/ingress/inspector/rules.go
#   - https://github.com/kubernetes/ingress-nginx/blob/main/internal/ingress/controller/template/template.go
#   - https://kubernetes.io/docs/concepts/services-networking/ingress/#path-types
#   - https://github.com/kubernetes/kubernetes/issues/136678
#   - https://docs.nginx.com/nginx-ingress-controller/tutorials/ingress-path-regex-annotation
#   - https://haproxy-ingress.github.io/docs/configuration/keys/#path-type
#   - https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/annotations/
# custom:
#   severity: high
#   kinds: [networking.k8s.io/Ingress]
#   state: [networking.k8s.io/Ingress]
#   judges:
#     - spec
#     - metadata.annotations["alb.ingress.kubernetes.io/use-regex-path-match*"]
#     - metadata.annotations["haproxy-ingress.github.io/path-type"]
#     - metadata.annotations["ingress.kubernetes.io/path-type"]
#     - metadata.annotations["kubernetes.io/ingress.class"]
#     - metadata.annotations["nginx.org/path-regex"]
#     - metadata.annotations["traefik.ingress.kubernetes.io/router.pathmatcher"]
#     - metadata.annotations["{prefixes}/*"]
#   parameters:
#     type: object
#     properties:
#       prefixes:
#         description: prefixes of the annotations that ingress-nginx reads, as given by its --annotations-prefix
#         type: array
#         items: {type: string, pattern: "^[^/]+$"}
#         minItems: 1
#         default: [nginx.ingress.kubernetes.io]
#     additionalProperties: false
package sluice.ingress.path

import data.sluice.lib.acme
import data.sluice.lib.nginx
import data.sluice.lib.redirect

deny contains {"msg": found.msg, "field": field, "fix": found.fix} if {
	some i, rule in input.request.object.spec.rules
	some j, path in rule.http.paths
	regex.match(`[^A-Za-z0-9._/-]`, path.path)
	found := problem(path.path, object.get(path, "pathType", null))
	field := sprintf("spec.rules[%d].http.paths[%d].path", [i, j])
}

deny contains {"msg": msg, "field": field, "fix": fix} if {
	some key, _ in input.request.object.metadata.annotations
	regex.match(`/(use-regex|rewrite-target)$`, key)
	key in switches
	nginx.may_serve(ingress)
	not canary(ingress)
	first := min(changed) # undefined where there is none
	[prefix, name] := split(key, "/")
	field := sprintf("metadata.annotations[%s]", [key])
	msg := sprintf("%s turns %.60q of the Ingress %.60s into a regular expression%s: both serve %s", [
		name,
		first.path,
		first.name,
		further(count(changed) - 1),
		served(first.host),
	])
	fix := sprintf(`serve it from a host of its own, or set %s/use-regex: "true" on %s too`, [prefix, first.name])
}

further(0) := ""

further(more) := sprintf(" (and %d more)", [more]) if more > 0

served("") := "every host"

served(host) := sprintf("%.60s", [host]) if host != ""

# problem is what is wrong with a path, the worst first.
problem(text, type) := {"msg": msg, "fix": fix} if {
	nginx.may_serve(ingress)
	culprit := regex.find_n(`[\x00-\x20\x7f;{}#"'\x60]|\$\(|\\$`, without_counts(text, type), 1)[0]
	msg := sprintf("path %.60q: it has no use for %q, which means more than text to nginx (%s)", [
		text,
		culprit,
		"CVE-2026-24512",
	])
	fix := sprintf("write it without %q", [culprit])
} else := {"msg": msg, "fix": "pathType: ImplementationSpecific"} if {
	controller == "nginx"
	type != "ImplementationSpecific"
	not told("nginx.org/path-regex")
	msg := sprintf("path %.60q: ingress-nginx takes only letters, digits and -_./ with pathType %s", [text, type])
} else := {"msg": msg, "fix": fix} if {
	controller == "nginx"
	looks_like_regex(text)
	count(switches) == 0
	not told("nginx.org/path-regex")
	msg := sprintf("path %.60q is a regular expression, and without use-regex nginx takes it for a text", [text])
	fix := sprintf(`%s/use-regex: "true"`, [prefixes[0]])
} else := {"msg": msg, "fix": "write it as requests have it, such as /api with pathType: Prefix"} if {
	regex.match(`[\[\]\\^|]|\.\+|[/(]\.\*|\)[*+?]|\$$`, text)
	not regex_expected(type)
	msg := sprintf("path %.60q is a regular expression, and %s takes it for a text", [text, reader(type)])
}

# regex_expected holds where somebody may take a path for a regular expression. What controllers that nobody knows do with
# ImplementationSpecific is theirs.
regex_expected("ImplementationSpecific") if nginx.may_serve(ingress)

regex_expected(_) if {
	count(switches) > 0
	nginx.may_serve(ingress)
}

regex_expected(_) if {
	some name in {
		"haproxy-ingress.github.io/path-type", "ingress.kubernetes.io/path-type", "nginx.org/path-regex",
		"traefik.ingress.kubernetes.io/router.pathmatcher",
	}
	told(name)
}

regex_expected(_) if {
	some name, _ in ingress.metadata.annotations
	startswith(name, "alb.ingress.kubernetes.io/use-regex-path-match")
}

reader("ImplementationSpecific") := controller

reader(type) := sprintf("pathType %v", [type]) if type != "ImplementationSpecific"

# without_counts is a path less the repetitions in a regular expression, which are the only use of braces. Where a class is
# nginx's, what is none is found by its pathType or by the lack of use-regex.
without_counts(text, type) := regex.replace(text, `\{[0-9]+(,[0-9]*)?\}`, "") if {
	braces_count(type)
} else := text

braces_count(_) if controller == "nginx"

braces_count(type) if regex_expected(type)

# looks_like_regex holds for what no request has in its path, or hardly.
looks_like_regex(text) if regex.match(`[*?\[\]\\^|{]|\.\+|\)\+|\$$`, text)

told(name) if ingress.metadata.annotations[name]

# changed are the paths of other Ingresses that are meant as texts, on hosts that this one serves too. / stays what it is,
# and nobody asks for the challenge of an HTTP-01 solver by another name; cert-manager puts that beside any Ingress.
changed contains {"host": host, "name": name, "path": path.path} if {
	some other in sluice.state.list("networking.k8s.io/Ingress", input.request.namespace)
	name := object.get(other.metadata, "name", "without a name")
	name != object.get(ingress.metadata, "name", "")
	some rule in other.spec.rules
	host := lower(object.get(rule, "host", ""))
	host in hosts
	some path in rule.http.paths
	not path.path in {"", "/"}
	not regex_by_intent(path)
	count(switches_of(other)) == 0
	not canary(other)
	not acme.is_solver(other)
	shares_class(other)
}

regex_by_intent(path) if {
	path.pathType == "ImplementationSpecific"
	looks_like_regex(path.path)
}

hosts := {lower(object.get(rule, "host", "")) | some rule in ingress.spec.rules}

shares_class(other) if sluice.ingress.class(other) in {sluice.ingress.class(ingress), ""}

shares_class(_) if sluice.ingress.class(ingress) == ""

switches := switches_of(ingress)

# switches_of are the annotations of an Ingress by which nginx takes every path of its hosts for a regular expression.
switches_of(of) := {key |
	some prefix in prefixes
	some name in ["use-regex", "rewrite-target"]
	key := concat("/", [prefix, name])
	switches_on(name, of.metadata.annotations[key], of)
}

switches_on("use-regex", value, _) if value in redirect.true_words

# A target that is the path itself rewrites nothing.
switches_on("rewrite-target", value, of) if {
	value != ""
	some rule in of.spec.rules
	some path in rule.http.paths
	value != written(path)
}

# written is a path as nginx has it.
written(path) := "/" if {
	object.get(path, "path", "") == ""
} else := path.path

# canary holds for an Ingress of whose annotations nginx reads only those about sharing traffic.
canary(of) if {
	some prefix in prefixes
	of.metadata.annotations[concat("/", [prefix, "canary"])] in redirect.true_words
}

controller := sluice.ingress.controller(ingress)

ingress := input.request.object

prefixes := input.parameters.prefixes
