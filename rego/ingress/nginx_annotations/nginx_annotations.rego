# METADATA
# title: No annotation writes nginx configuration
# description: >
#   nginx controllers copy values of annotations into the configuration that they run for everybody, often with the right
#   to read every Secret of the cluster. A snippet is configuration in so many words. Elsewhere a line break, a semicolon, a
#   brace, a #, a quote, $( or a backslash at the end lets a value out of the directive it was meant for. An annotation that
#   needs one of them, or less than others do, has a row in the tables of the source, after the validators of its
#   controller; a new CVE is a changed row. Captures ($1) and variables ($host) are fine, but for captures within others that
#   rewrite-target redirects to or has in a query: nginx makes too little room for them. What the class's controller is known
#   not to read is not judged.
# related_resources:
#   - https://kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/annotations/
#   - https://kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/annotations-risk/
#   - https://github.com/kubernetes/ingress-nginx/blob/main/internal/ingress/annotations/parser/validators.go
#   - https://github.com/nginx/kubernetes-ingress/blob/main/internal/k8s/validation.go
#   - https://github.com/kubernetes/kubernetes/issues/126811
#   - https://github.com/kubernetes/kubernetes/issues/131006
#   - https://github.com/kubernetes/kubernetes/issues/131007
#   - https://github.com/kubernetes/kubernetes/issues/131008
#   - https://github.com/kubernetes/kubernetes/issues/136677
#   - https://github.com/kubernetes/kubernetes/issues/136789
#   - https://github.com/kubernetes/kubernetes/issues/137560
#   - https://github.com/kubernetes/kubernetes/issues/137893
#   - https://my.f5.com/manage/s/article/K000161377
# custom:
#   severity: critical
#   kinds: [networking.k8s.io/Ingress]
#   judges:
#     - spec
#     - metadata.annotations["kubernetes.io/ingress.class"]
#     - metadata.annotations["{prefixes}/*"]
#     - metadata.annotations["nginx.com/*"]
#     - metadata.annotations["nginx.org/*"]
#   parameters:
#     type: object
#     properties:
#       prefixes:
#         description: >
#           prefixes of the annotations that ingress-nginx reads, as given by its --annotations-prefix; those of F5's
#           controller, nginx.org and nginx.com, are always judged
#         type: array
#         items: {type: string, pattern: "^[^/]+$"}
#         default: [nginx.ingress.kubernetes.io]
#     additionalProperties: false
package sluice.ingress.nginx_annotations

import data.sluice.lib.nginx

deny contains {"msg": msg, "field": field, "fix": fix} if {
	some key, _ in input.request.object.metadata.annotations
	regex.match(`/.*-snippets?$`, key)
	[prefix, name] := split(key, "/")
	annotations_of(prefix)
	nginx.may_serve(input.request.object)
	field := sprintf("metadata.annotations[%s]", [key])
	msg := sprintf("%.60s is copied into nginx configuration, where it may say anything (%s)", [name, "CVE-2021-25742"])
	fix := "remove it; what every Ingress needs goes into the ConfigMap of the controller"
}

deny contains {"msg": msg, "field": field, "fix": fix} if {
	some key, value in input.request.object.metadata.annotations
	regex.match(patterns.all, value)
	[prefix, name] := split(key, "/")
	row := object.get(annotations_of(prefix), name, {})
	rest := regex.replace(value, patterns[object.get(row, "may", "nothing")], "")
	culprit := regex.find_n(patterns[object.get(row, "never", "escapes")], rest, 1)[0]
	not regex.match(`-snippets?$`, name)
	nginx.may_serve(input.request.object)
	field := sprintf("metadata.annotations[%s]", [key])
	fix := remedy(key, culprit, row)
	msg := sprintf("%.60s is %.60q: it has no use for %q, which means more than text to nginx%s", [
		name,
		value,
		culprit,
		reference(culprit, row),
	])
}

# nginx counts what has to be escaped once, and then escapes it in each capture.
deny contains {"msg": msg, "field": field, "fix": fix} if {
	some prefix in input.parameters.prefixes
	target := input.request.object.metadata.annotations[concat("/", [prefix, "rewrite-target"])]
	used := captures_escaped(target)
	some i, rule in input.request.object.spec.rules
	some j, path in rule.http.paths
	overlap(path.path, used)
	nginx.may_serve(input.request.object)
	field := sprintf("spec.rules[%d].http.paths[%d].path", [i, j])
	fix := `begin a group that stands around another with (?:, and count the captures in rewrite-target anew`
	msg := sprintf("path %.60q has captures within others, which rewrite-target %.60q escapes twice (CVE-2026-9256)", [path.path, target])
}

# captures_escaped are the captures of a target with several, and no variable, that is a redirect or has a query.
captures_escaped(target) := used if {
	regex.match(`^https?://|\?`, target)
	regex.match(`^([^$]|\$[0-9])*$`, target)
	used := {to_number(trim_prefix(capture, "$")) | some capture in regex.find_n(`\$[1-9]`, target, -1)}
	count(used) > 1
}

# overlap holds for a path in which one of the captures is within another: no parenthesis between their beginnings closes it.
overlap(path, captures) if {
	parts := regex.find_n(`\(\?P?<[A-Za-z_]|\(\??|\)`, regex.replace(path, `\\.|\[[^\]]*\]`, ""), -1)
	begins := [at | some at, part in parts; not part in {"(?", ")"}]
	some outer in captures
	some inner in captures
	from := begins[outer - 1]
	to := begins[inner - 1]
	from < to
	open := [sum([step(part) | some part in array.slice(parts, from, at + 1)]) | some at in numbers.range(from, to)]
	min(open) > 0
}

step(")") := -1

step(part) := 1 if part != ")"

# annotations_of are the rows for a prefix. Those of nginx.org don't differ from those of nginx.com.
annotations_of(prefix) := f5 if {
	prefix in {"nginx.org", "nginx.com"}
} else := ingress_nginx if {
	prefix in input.parameters.prefixes
}

reference(culprit, row) := sprintf(" (%s)", [row.cve]) if {
	row.cve
} else := " (CVE-2026-4342)" if {
	culprit in {"\n", "\r"} # ingress-nginx put values that it refused into a comment, which ends with the line
} else := ""

remedy(key, culprit, row) := sprintf("write it without %q, such as %s: %s", [culprit, key, row.like]) if {
	row.like
} else := sprintf("write %s without %q", [key, culprit])

# White space behind a backslash at the end doesn't count: ingress-nginx cuts it off before it copies the value.
patterns := {
	"all": `[\x00-\x20\x7f;{}#"'\x60]|\$\(|\\[\s\x0b\x{85}\p{Z}]*$`, # what makes a value worth a look; most have none of it
	"escapes": `[\x00-\x1f\x7f;{}#"'\x60]|\$\(|\\[\s\x0b\x{85}\p{Z}]*$`,
	"escapes, spaces": `[\x00-\x20\x7f;{}#"'\x60]|\$\(|\\[\s\x0b\x{85}\p{Z}]*$`,
	"no networks": `[^0-9A-Fa-f.:/, ]`,
	"out of quotes": `[\x00-\x1f\x7f"]|\\[\s\x0b\x{85}\p{Z}]*$`,
	"braces": `[{}]`,
	"lines": `[\t\n\r]`,
	"nothing": `\z.`,
	"semicolons": `;`,
	"variables": `\$\{[A-Za-z0-9_]+\}`,
}

# A row says what an annotation may have in spite of what it looks like, what may never be in the rest of it, the CVE that
# showed why, and a value to suggest. All others may have no escapes.
ingress_nginx := {
	"auth-cache-key": {"may": "variables", "like": "$remote_user$http_authorization"},
	"auth-method": {"cve": "CVE-2026-1580", "like": "GET"},
	"auth-proxy-set-headers": {"cve": "CVE-2025-15566", "like": "shop/auth-headers"},
	"auth-tls-match-cn": {"cve": "CVE-2025-1097", "like": `CN=client\.example\.com`},
	"auth-url": {"cve": "CVE-2025-24514", "like": "https://$host/oauth2/auth"},
	"canary-by-header-pattern": {"may": "braces", "like": "^beta$"},
	"global-rate-limit-key": {"may": "variables", "like": "$remote_addr"},
	"mirror-host": {"may": "variables", "cve": "CVE-2025-1098", "like": "mirror.example.com"},
	"mirror-target": {"may": "variables", "cve": "CVE-2025-1098", "like": "https://mirror.example.com$request_uri"},
	"modsecurity-transaction-id": {"may": "variables", "like": "$request_id"},
	"proxy-ssl-name": {"may": "variables", "like": "shop.example.com"},
	"rewrite-target": {"never": "escapes, spaces", "cve": "CVE-2026-3288", "like": "/$2"},
	"server-alias": {"like": "www.example.com"},
	"upstream-hash-by": {"may": "variables", "like": "$request_uri"},
	"upstream-vhost": {"may": "variables", "like": "shop.example.com"},
	# What follows is parsed and written anew, so that a list may have a line for each network.
	"allowlist-source-range": {"may": "lines", "never": "no networks", "like": "192.0.2.0/24,2001:db8::/32"},
	"denylist-source-range": {"may": "lines", "never": "no networks", "like": "192.0.2.0/24,2001:db8::/32"},
	"global-rate-limit-ignored-cidrs": {"may": "lines", "never": "no networks", "like": "192.0.2.0/24,2001:db8::/32"},
	"limit-allowlist": {"may": "lines", "never": "no networks", "like": "192.0.2.0/24,2001:db8::/32"},
	"limit-whitelist": {"may": "lines", "never": "no networks", "like": "192.0.2.0/24,2001:db8::/32"},
	"whitelist-source-range": {"may": "lines", "never": "no networks", "like": "192.0.2.0/24,2001:db8::/32"},
}

f5 := {
	"basic-auth-realm": {"never": "out of quotes", "like": "Staff only"},
	"jwt-realm": {"never": "out of quotes", "like": "Staff only"},
	"limit-req-key": {"may": "variables", "like": "${binary_remote_addr}"},
	"rewrites": {"may": "semicolons", "like": "serviceName=shop rewrite=/"},
	"server-tokens": {"never": "out of quotes", "like": "off"},
	"sticky-cookie-services": {"may": "semicolons", "like": "serviceName=shop srv_id expires=1h path=/"},
}
