package sluice.ingress.nginx_annotations_test

import data.sluice.ingress.nginx_annotations
import data.sluice.lib.testing.annotated
import data.sluice.lib.testing.create
import data.sluice.lib.testing.ingress
import data.sluice.lib.testing.with_parameters

annotations(class, values) := create(annotated(ingress({"ingressClassName": class}), values))

usual := {"prefixes": ["nginx.ingress.kubernetes.io"]}

# deny is what the rule finds in a new Ingress of a class.
deny(class, values) := found if {
	found := nginx_annotations.deny with input as with_parameters(annotations(class, values), usual)
}

on_nginx(name, value) := deny("nginx", {concat("/", ["nginx.ingress.kubernetes.io", name]): value})

# escapes tells whether exactly one finding names the culprit and the reference, which may be empty.
escapes(found, name, culprit, reference) if {
	count(found) == 1
	some finding in found
	startswith(finding.msg, concat("", [name, " is "]))
	endswith(finding.msg, sprintf("it has no use for %q, which means more than text to nginx%s", [culprit, reference]))
}

# METADATA
# title: a value that ends its directive and adds another
# custom: {example: refused}
test_auth_url if {
	on_nginx("auth-url", "https://login.example.com/check#;\nerror_log /tmp/x;") == {{
		"msg": concat("", [
			`auth-url is "https://login.example.com/check#;\nerror_log /tmp/x;": it has no use for "#", `,
			"which means more than text to nginx (CVE-2025-24514)",
		]),
		"field": "metadata.annotations[nginx.ingress.kubernetes.io/auth-url]",
		"fix": `write it without "#", such as nginx.ingress.kubernetes.io/auth-url: https://$host/oauth2/auth`,
	}}
}

# METADATA
# title: a snippet
# custom: {example: refused}
test_snippet if {
	on_nginx("configuration-snippet", "more_set_headers \"X-Frame-Options: DENY\";") == {{
		"msg": "configuration-snippet is copied into nginx configuration, where it may say anything (CVE-2021-25742)",
		"field": "metadata.annotations[nginx.ingress.kubernetes.io/configuration-snippet]",
		"fix": "remove it; what every Ingress needs goes into the ConfigMap of the controller",
	}}
}

test_snippets if {
	every name in ["server-snippet", "stream-snippet", "auth-snippet", "modsecurity-snippet", "any-other-snippets"] {
		every value in ["gzip on;", "on", ""] {
			count(on_nginx(name, value)) == 1
		}
	}
	every name in ["server-snippets", "location-snippets"] {
		count(deny("nginx", {concat("/", ["nginx.org", name]): "gzip on;"})) == 1
	}
}

test_no_snippet if {
	on_nginx("snippet-free", "true") == set()
	on_nginx("snippets", "true") == set()
	deny("nginx", {"example.com/configuration-snippet": "gzip on;"}) == set()
	deny("nginx", {"configuration-snippet": "gzip on;"}) == set()
}

# METADATA
# title: variables of nginx and captures of the path
# custom: {example: admitted}
test_variables if {
	deny("nginx", {
		"nginx.ingress.kubernetes.io/auth-url": "https://$host/oauth2/auth",
		"nginx.ingress.kubernetes.io/rewrite-target": "/v2/$2",
	}) == set()
}

# Every character that escapes, in an annotation that nobody knows.
test_escapes if {
	every culprit in [";", "{", "}", "#", "\"", "'", "`", "$(", "\t", "\u0000", "\u001b", "\u007f"] {
		escapes(on_nginx("x-y", concat("", ["a", culprit, "b"])), "x-y", culprit, "")
	}
	every culprit in ["\n", "\r"] {
		escapes(on_nginx("x-y", concat("", ["a", culprit, "b"])), "x-y", culprit, " (CVE-2026-4342)")
	}
	escapes(on_nginx("x-y", `a\`), "x-y", `\`, "")
}

# ingress-nginx cuts off white space at the end, and what it leaves ends with the backslash.
test_backslash_before_white_space if {
	every blank in [" ", "  ", "\u0085", "\u00a0", "\u2003"] {
		escapes(on_nginx("x-y", concat("", [`a\`, blank])), "x-y", concat("", [`\`, blank]), "")
	}
	on_nginx("x-y", `a\ b`) == set()
	on_nginx("x-y", `a\.b `) == set()
}

test_unknown_annotation if {
	on_nginx("x-y", "a;b") == {{
		"msg": `x-y is "a;b": it has no use for ";", which means more than text to nginx`,
		"field": "metadata.annotations[nginx.ingress.kubernetes.io/x-y]",
		"fix": `write nginx.ingress.kubernetes.io/x-y without ";"`,
	}}
}

# What ingress-nginx's documentation and users write.
test_honest_values if {
	every name, values in {
		"affinity": ["cookie"],
		"app-root": ["/login?next=/"],
		"auth-cache-key": ["$remote_user$http_authorization", "${remote_user}x"],
		"auth-method": ["POST"],
		"auth-proxy-set-headers": ["shop/auth-headers", "auth-headers"],
		"auth-realm": ["Authentication Required - staff", "Login, please!"],
		"auth-signin": ["https://$host/oauth2/start?rd=$escaped_request_uri", "https://a.example.com/?rd=https%3A%2F%2F$host&x=1"],
		"auth-tls-match-cn": ["CN=client", `CN=(.*)-legacy\.example\.com$|CN=[a-z]+`],
		"auth-tls-verify-client": ["on", "optional_no_ca"],
		"canary-by-header-pattern": ["^[a-z]{2}$"],
		"cors-allow-headers": ["X-Forwarded-For, X-app123-XPTO"],
		"cors-allow-origin": ["https://*.example.com, http://localhost:8080, *"],
		"custom-http-errors": ["404,503"],
		"mirror-target": ["https://mirror.example.com/x$request_uri", "https://${host}"],
		"opentelemetry-operation-name": ["HTTP $request_method $service_name $uri"],
		"permanent-redirect": ["https://example.com/a?b=c&d=e"],
		"proxy-body-size": ["8m"],
		"proxy-cookie-path": ["~*^/.* /"],
		"proxy-ssl-ciphers": ["HIGH:!aNULL:!MD5"],
		"rewrite-target": ["/", "/$1/x-y_z.html", "https://example.com/$1", "/index.php?lang=en&q=$1", ""],
		"server-alias": [`~^www\d+\.example\.com$`, "a.example.com, *.b.example.com"],
		"ssl-redirect": ["true", "yes", ""],
		"upstream-hash-by": ["$host$request_uri", "${request_uri}-text-value"],
		"whitelist-source-range": ["10.0.0.0/24,172.10.0.1", "10.0.0.0/24,\n2001:DB8::/32\n"],
	} {
		every value in values {
			on_nginx(name, value) == set()
		}
	}
}

test_values_with_less_use if {
	escapes(on_nginx("rewrite-target", "/$1 permanent"), "rewrite-target", " ", " (CVE-2026-3288)")
	escapes(on_nginx("whitelist-source-range", "10.0.0.0/8,\n# office\n"), "whitelist-source-range", "#", "")
	escapes(on_nginx("whitelist-source-range", "10.0.0.0/8,\noffice"), "whitelist-source-range", "o", "")
}

test_each_cve if {
	escapes(on_nginx("auth-method", "GET;\n"), "auth-method", ";", " (CVE-2026-1580)")
	escapes(on_nginx("auth-proxy-set-headers", "shop/x'"), "auth-proxy-set-headers", "'", " (CVE-2025-15566)")
	escapes(on_nginx("rewrite-target", "/\""), "rewrite-target", "\"", " (CVE-2026-3288)")
	escapes(on_nginx("auth-tls-match-cn", "CN=abc #(\n){}"), "auth-tls-match-cn", "#", " (CVE-2025-1097)")
	escapes(on_nginx("mirror-target", "https://x.example.com/;}"), "mirror-target", ";", " (CVE-2025-1098)")
	escapes(on_nginx("mirror-host", "x\n"), "mirror-host", "\n", " (CVE-2025-1098)")
	escapes(on_nginx("auth-tls-match-cn", "CN=[a-z]{2}"), "auth-tls-match-cn", "{", " (CVE-2025-1097)")
	escapes(on_nginx("auth-signin", "https://x.example.com\r"), "auth-signin", "\r", " (CVE-2026-4342)")
}

# rewritten is what the rule finds in a path that is rewritten.
rewritten(path, target) := found if {
	obj := ingress({"ingressClassName": "nginx", "rules": [{"http": {"paths": [{"path": path}]}}]})
	review := create(annotated(obj, {"nginx.ingress.kubernetes.io/rewrite-target": target}))
	found := nginx_annotations.deny with input as with_parameters(review, usual)
}

# A regular expression would be another rule's finding.
test_alias_to_suggest if {
	some finding in on_nginx("server-alias", "a.example.com;")
	finding.fix == `write it without ";", such as nginx.ingress.kubernetes.io/server-alias: www.example.com`
}

test_captures_within_captures if {
	rewritten("/v((/|$)(.*))", "/api?x=$1&y=$3") == {{
		"msg": concat("", [
			`path "/v((/|$)(.*))" has captures within others, `,
			`which rewrite-target "/api?x=$1&y=$3" escapes twice (CVE-2026-9256)`,
		]),
		"field": "spec.rules[0].http.paths[0].path",
		"fix": "begin a group that stands around another with (?:, and count the captures in rewrite-target anew",
	}}
	count(rewritten("/(a(b))", "https://example.com/$1$2")) == 1
	count(rewritten("/((?:a)(b))", "/?$1$2")) == 1
	count(rewritten("/(a(?:b(?:c)d)(e))", "/?$1$2")) == 1
	count(rewritten("/(?P<a>a(?<b>b))", "/?$1$2")) == 1
	count(rewritten("/(a)(b(c", "/?$2$3")) == 1
}

test_captures_side_by_side if {
	every path in ["/v(/|$)(.*)", "/v(?:(/|$)(.*))", "/(a(?:b)c)(.*)", `/(a\()(b)`, "/([(])([(])"] {
		rewritten(path, "/api?x=$1&y=$2") == set()
	}
	every target in ["/$1/$2", "/?x=$1", "/?x=$1&y=$1", "/?x=$1&y=$2&z=$host", "/?x=y"] {
		rewritten("/(a(b))", target) == set()
	}

	# One within another that the target leaves alone, or has alone.
	rewritten("/api(/v([0-9]+))?/(.*)", "/$3?version=$2") == set()
	rewritten("/(en(-gb)?)/(.*)", "/$3?lang=$1") == set()
	rewritten("/(a)(?<!b)(c)", "/?$1$2") == set()
	rewritten("/(a)", "/?$1$2") == set()
}

test_variables_only_whole if {
	escapes(on_nginx("upstream-hash-by", "${a"), "upstream-hash-by", "{", "")
	escapes(on_nginx("upstream-hash-by", "${a;b}"), "upstream-hash-by", "{", "")
	escapes(on_nginx("server-alias", "${host}.example.com"), "server-alias", "{", "")
}

f5(name, value) := deny("edge", {concat("/", [prefix, name]): value}) if {
	prefix := {"jwt-realm": "nginx.com", "sticky-cookie-services": "nginx.com"}[name]
} else := deny("edge", {concat("/", ["nginx.org", name]): value})

test_f5 if {
	every name, value in {
		"basic-auth-realm": "Bob's {shop}; #1",
		"jwt-realm": "Cafe App",
		"lb-method": "hash $request_uri consistent",
		"limit-req-key": "${binary_remote_addr}",
		"proxy-set-headers": "X-Forwarded-ABC: test,ABC2",
		"rewrites": "serviceName=tea-svc rewrite=/;serviceName=coffee-svc rewrite=/beans/",
		"sticky-cookie-services": "serviceName=a srv_id expires=1h path=/;serviceName=b srv_id",
	} {
		f5(name, value) == set()
	}
	escapes(f5("basic-auth-realm", `x" ; y`), "basic-auth-realm", "\"", "")
	escapes(f5("rewrites", "serviceName=tea rewrite=/;}"), "rewrites", "}", "")
	escapes(f5("lb-method", "least_conn;"), "lb-method", ";", "")
}

bad := {"nginx.ingress.kubernetes.io/x": "a;b"}

test_class if {
	every class in ["nginx", "edge", ""] {
		count(deny(class, bad)) == 1
	}
	every class in ["haproxy", "traefik", "alb", "gce"] {
		deny(class, bad) == set()
		deny(class, {"nginx.ingress.kubernetes.io/server-snippet": "gzip on;"}) == set()
	}
	count(deny("haproxy", object.union(bad, {"kubernetes.io/ingress.class": "nginx"}))) == 1
}

with_prefixes(prefixes, values) := found if {
	found := nginx_annotations.deny with input as with_parameters(annotations("nginx", values), {"prefixes": prefixes})
}

test_prefixes if {
	count(with_prefixes(["ingress.example.com"], {"ingress.example.com/x": "a;b"})) == 1
	with_prefixes(["ingress.example.com"], bad) == set()
	with_prefixes([], bad) == set()
	count(with_prefixes([], {"nginx.org/x": "a;b", "nginx.com/x": "a;b"})) == 2
}

test_without_annotations if {
	deny("nginx", {}) == set()
	nginx_annotations.deny == set() with input as with_parameters(
		create(object.union(
			ingress({}),
			{"metadata": {"annotations": null}},
		)),
		{},
	)
}

test_long_value_is_cut if {
	long := concat("", ["a;", concat("", [x | some _ in numbers.range(1, 5000); x := "b"])])
	some finding in on_nginx("x", long)
	count(finding.msg) < 200
}
