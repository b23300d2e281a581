package sluice.ingress.path_test

import data.sluice.ingress.path
import data.sluice.lib.testing.annotated
import data.sluice.lib.testing.create
import data.sluice.lib.testing.ingress
import data.sluice.lib.testing.with_parameters

use_regex := {"nginx.ingress.kubernetes.io/use-regex": "true"}

at(text, type) := {"path": text, "pathType": type, "backend": {"service": {"name": "web", "port": {"number": 80}}}}

# serving is an Ingress of a class that serves paths of shop.example.com.
serving(class, paths, annotations) := annotated(
	ingress({"ingressClassName": class, "rules": [{"host": "shop.example.com", "http": {"paths": paths}}]}),
	annotations,
)

deny(obj, others) := found if {
	found := path.deny with input as with_parameters(create(obj), {"prefixes": ["nginx.ingress.kubernetes.io"]})
		with sluice.state.list as others
}

# one is the finding about an Ingress with one path.
one(class, text, type, annotations) := deny(serving(class, [at(text, type)], annotations), [])

found(msg, fix) := {{"msg": msg, "field": "spec.rules[0].http.paths[0].path", "fix": fix}}

escapes(text, culprit) := found(
	sprintf("path %q: it has no use for %q, which means more than text to nginx (CVE-2026-24512)", [text, culprit]),
	sprintf("write it without %q", [culprit]),
)

# METADATA
# title: a path that ends its location
# custom: {example: refused}
test_injection if {
	text := "/x\" { } location /y"
	one("nginx", text, "ImplementationSpecific", use_regex) == escapes(text, "\"")
}

test_escapes if {
	every culprit in [";", "{", "}", "#", "\"", "'", "`", " ", "\n", "\t", "$(", "\u0000"] {
		every class in ["nginx", "edge", ""] {
			every type in ["Exact", "Prefix", "ImplementationSpecific"] {
				text := concat("", ["/a", culprit, "b"])
				one(class, text, type, use_regex) == escapes(text, culprit)
			}
		}
	}
	one("nginx", `/a\`, "ImplementationSpecific", use_regex) == escapes(`/a\`, `\`)
	one("nginx", "/a{2,x}", "ImplementationSpecific", use_regex) == escapes("/a{2,x}", "{")
}

test_no_escape_for_others if {
	every class in ["haproxy", "traefik", "alb", "gce"] {
		one(class, "/a;v=1/it's", "Prefix", {}) == set()
	}
}

# METADATA
# title: a rewrite with captures, as ingress-nginx documents it
# custom: {example: admitted}
test_rewrite if {
	one("nginx", "/api(/|$)(.*)", "ImplementationSpecific", {
		"nginx.ingress.kubernetes.io/use-regex": "true",
		"nginx.ingress.kubernetes.io/rewrite-target": "/$2",
	}) == set()
}

test_regex_switched_on if {
	every annotations in [
		{"nginx.ingress.kubernetes.io/use-regex": "T"},
		{"nginx.ingress.kubernetes.io/rewrite-target": "/$2"},
		{"nginx.org/path-regex": "case_sensitive"},
	] {
		every text in ["/api(/|$)(.*)", "/foo/[A-Z0-9]{3}", `/v\d+/x{1,2}/`, "/~user", "/*"] {
			one("nginx", text, "ImplementationSpecific", annotations) == set()
		}
	}
}

text_on_nginx(text) := found(
	sprintf("path %q is a regular expression, and without use-regex nginx takes it for a text", [text]),
	`nginx.ingress.kubernetes.io/use-regex: "true"`,
)

test_regex_not_switched_on if {
	every annotations in [
		{},
		{"nginx.ingress.kubernetes.io/use-regex": "yes"},
		{"nginx.ingress.kubernetes.io/use-regex": "false"},
		{"nginx.ingress.kubernetes.io/rewrite-target": ""},
		{"example.com/use-regex": "true"},
	] {
		every text in ["/api(/|$)(.*)", "/foo/[A-Z0-9]{3}", `/v\d`, "/x{2}", "/*", "/a$", "/colou?r", "/a.+"] {
			one("nginx", text, "ImplementationSpecific", annotations) == text_on_nginx(text)
		}
	}
}

test_texts_on_nginx if {
	every text in ["/", "", "/~user", "/odata/$metadata", "/Products(1)", "/a%20b", "/@scope/x", "/a+b", "/v1.0:batch"] {
		one("nginx", text, "ImplementationSpecific", {}) == set()
	}
}

test_strict if {
	every type in ["Exact", "Prefix"] {
		every text in ["/", "/.well-known/acme-challenge/a-b_c", "/A/1"] {
			one("nginx", text, type, {}) == set()
		}
		every text in ["/api(/|$)(.*)", "/~user", "/a%20b", "/x{2}"] {
			one("nginx", text, type, use_regex) == found(
				sprintf("path %q: ingress-nginx takes only letters, digits and -_./ with pathType %s", [text, type]),
				"pathType: ImplementationSpecific",
			)
		}
		one("nginx", "/~user", type, {"nginx.org/path-regex": "exact"}) == set()
		one("edge", "/~user", type, {}) == set()
	}
}

taken_for_text(text, reader) := found(
	sprintf("path %q is a regular expression, and %s takes it for a text", [text, reader]),
	"write it as requests have it, such as /api with pathType: Prefix",
)

test_regex_elsewhere if {
	every class in ["haproxy", "traefik", "alb", "gce"] {
		every text in ["/api(/|$)(.*)", "/[a-z]+", `/v\d`, "/.*", "/a.+", "/(a)?", "/a$"] {
			one(class, text, "ImplementationSpecific", use_regex) == taken_for_text(text, class)
			one(class, text, "Prefix", {}) == taken_for_text(text, "pathType Prefix")
		}
		every text in ["/*", "/img/*.jpg", "/a?b", "/odata/$metadata", "/Products(1)", "/a+b"] {
			one(class, text, "ImplementationSpecific", {}) == set()
		}
	}
}

test_regex_expected_elsewhere if {
	every class, annotation in {
		"haproxy": "haproxy-ingress.github.io/path-type",
		"traefik": "traefik.ingress.kubernetes.io/router.pathmatcher",
		"alb": "alb.ingress.kubernetes.io/use-regex-path-match.web",
	} {
		one(class, "/[a-z]+", "ImplementationSpecific", {annotation: "regex"}) == set()
	}
}

test_unknown_class if {
	every class in ["edge", ""] {
		one(class, "/~/user/[0-9]{3}$", "ImplementationSpecific", {}) == set()
		one(class, "/user/[0-9]+", "Prefix", {}) == taken_for_text("/user/[0-9]+", "pathType Prefix")
		one(class, "/user/[0-9]+", "Prefix", use_regex) == set()
		one(class, "/x{2}", "Prefix", {}) == escapes("/x{2}", "{")
		one(class, "/x{2}", "Prefix", use_regex) == set()
	}
}

test_field if {
	deny(
		ingress({"ingressClassName": "nginx", "rules": [
			{"host": "a.example.com"},
			{"host": "b.example.com", "http": {"paths": [at("/", "Prefix"), at("/*", "ImplementationSpecific")]}},
		]}),
		[],
	) == {object.union(
		[finding | some finding in text_on_nginx("/*")][0],
		{"field": "spec.rules[1].http.paths[1].path"},
	)}
}

test_nothing_there if {
	every paths in [[{"backend": {}}], [{"path": "", "pathType": null}], null, []] {
		deny(serving("nginx", paths, use_regex), []) == set()
	}
	every spec in [{}, {"rules": null}, {"rules": [{"host": "a.example.com", "http": null}]}] {
		deny(ingress(spec), []) == set()
	}
	deny(object.union(ingress({}), {"metadata": {"annotations": null}}), []) == set()
}

regex_path := [at("/forum/(.*)", "ImplementationSpecific")]

# other is an Ingress of the same host that exists.
other(paths, changes) := object.union(
	object.union(serving("nginx", paths, {}), {"metadata": {"name": "uploads"}}),
	changes,
)

plain := other([at("/uploads", "Prefix")], {})

turned(name, rest) := {{
	"msg": sprintf("%s turns %s: both serve shop.example.com", [name, rest]),
	"field": sprintf("metadata.annotations[nginx.ingress.kubernetes.io/%s]", [name]),
	"fix": `serve it from a host of its own, or set nginx.ingress.kubernetes.io/use-regex: "true" on uploads too`,
}}

uploads := `"/uploads" of the Ingress uploads into a regular expression`

# METADATA
# title: use-regex on a host that another Ingress serves with an ordinary path
# custom: {example: refused}
test_shared_host if deny(serving("nginx", regex_path, use_regex), [plain]) == turned("use-regex", uploads)

test_shared_host_by_rewrite if {
	deny(serving("nginx", regex_path, {"nginx.ingress.kubernetes.io/rewrite-target": "/$1"}), [plain]) == turned("rewrite-target", uploads)
}

test_shared_by_several if {
	two := other([at("/b", "Exact"), at("/a", "ImplementationSpecific")], {})
	deny(serving("nginx", regex_path, use_regex), [two]) == turned(
		"use-regex",
		`"/a" of the Ingress uploads into a regular expression (and 1 more)`,
	)
}

test_shared_with_regex_as_prefix if {
	deny(serving("nginx", regex_path, use_regex), [other([at("/a/(.*)", "Prefix")], {})]) == turned(
		"use-regex",
		`"/a/(.*)" of the Ingress uploads into a regular expression`,
	)
}

test_shared_with_capitals if {
	capitals := object.union(plain, {"spec": {"rules": [{"host": "Shop.Example.COM", "http": {"paths": [at("/uploads", "Prefix")]}}]}})
	count(deny(serving("nginx", regex_path, use_regex), [capitals])) == 1
}

test_shared_without_host if {
	rules := {"rules": [{"http": {"paths": [at("/a", "Prefix")]}}]}
	anywhere := annotated(ingress(object.union(rules, {"ingressClassName": "nginx"})), use_regex)
	some finding in deny(anywhere, [other([], {"spec": rules})])
	endswith(finding.msg, ": both serve every host")
}

# METADATA
# title: use-regex beside Ingresses whose paths mean the same as before
# custom: {example: admitted}
test_shared_in_peace if {
	every neighbour in [
		other([at("/", "Prefix"), at("", "ImplementationSpecific"), {"pathType": "ImplementationSpecific"}], {}),
		other([at("/uploads/(.*)", "ImplementationSpecific")], {}),
		object.union(plain, {"metadata": {"annotations": use_regex}}),
		object.union(plain, {"metadata": {"annotations": {"nginx.ingress.kubernetes.io/rewrite-target": "/x"}}}),
		object.union(plain, {"metadata": {"annotations": {"nginx.ingress.kubernetes.io/canary": "true"}}}),
		object.union(plain, {"spec": {"ingressClassName": "internal"}}),
		object.union(plain, {"spec": {"rules": [{"host": "files.example.com", "http": {"paths": [at("/uploads", "Prefix")]}}]}}),
		object.union(plain, {"metadata": {"name": "web"}}),
		other(null, {}),
	] {
		deny(serving("nginx", regex_path, use_regex), [neighbour]) == set()
	}
}

solver(text) := object.union(
	other([at(text, "ImplementationSpecific")], {}),
	{"metadata": {"labels": {"acme.cert-manager.io/http01-solver": "true"}}},
)

# cert-manager's Ingress must not hold up the one that it gets a certificate for.
test_shared_with_solver if {
	deny(serving("nginx", regex_path, use_regex), [solver("/.well-known/acme-challenge/Zm9v_-1")]) == set()
	count(deny(serving("nginx", regex_path, use_regex), [solver("/uploads")])) == 1
}

test_shared_without_class if {
	nobody := object.remove(plain.spec, ["ingressClassName"])
	count(deny(serving("nginx", regex_path, use_regex), [object.union(object.remove(plain, ["spec"]), {"spec": nobody})])) == 1
	count(deny(serving("", regex_path, use_regex), [plain])) == 1
}

test_nothing_turned if {
	same := {"nginx.ingress.kubernetes.io/rewrite-target": "/"}
	deny(serving("nginx", [at("/", "Prefix"), at("", "ImplementationSpecific")], same), [plain]) == set()
	deny(serving("nginx", [at("/forum", "Prefix")], {}), [plain]) == set()
	canary := object.union(use_regex, {"nginx.ingress.kubernetes.io/canary": "true"})
	deny(serving("nginx", regex_path, canary), [plain]) == set()
	elsewhere := object.union(plain, {"spec": {"ingressClassName": "traefik"}})
	deny(serving("traefik", [at("/forum", "Prefix")], use_regex), [elsewhere]) == set()
}

test_prefixes if {
	own := serving("nginx", regex_path, {"ingress.example.com/use-regex": "true"})
	path.deny == set() with input as with_parameters(create(own), {"prefixes": ["ingress.example.com"]})
		with sluice.state.list as []
	deny(own, []) == text_on_nginx("/forum/(.*)")
	count(path.deny) == 1 with input as with_parameters(create(own), {"prefixes": ["ingress.example.com"]})
		with sluice.state.list as [plain]
}

test_neighbour_without_name if {
	nameless := object.union(object.remove(plain, ["metadata"]), {"metadata": {"generateName": "uploads-"}})
	count(deny(serving("nginx", regex_path, use_regex), [nameless])) == 1
}
