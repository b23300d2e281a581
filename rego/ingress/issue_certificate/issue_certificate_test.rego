package sluice.ingress.issue_certificate_test

import data.sluice.ingress.issue_certificate
import data.sluice.ingress.tls_required
import data.sluice.lib.testing.annotated
import data.sluice.lib.testing.create
import data.sluice.lib.testing.ingress
import data.sluice.lib.testing.labelled
import data.sluice.lib.testing.with_parameters

told(obj, parameters) := ops if {
	ops := issue_certificate.patch with input as with_parameters(create(obj), parameters)
}

patched(obj) := told(obj, {"issuer": "letsencrypt"})

serving(hosts) := ingress({"rules": [{"host": host} | some host in hosts]})

listing(obj, entries) := object.union(obj, {"spec": {"tls": entries}})

annotation(name, value) := {"op": "add", "path": sprintf("/metadata/annotations/cert-manager.io~1%s", [name]), "value": value}

cluster_issuer := annotation("cluster-issuer", "letsencrypt")

entry(host, secret) := {"op": "add", "path": "/spec/tls/-", "value": {"hosts": [host], "secretName": secret}}

name(i, secret) := {"op": "add", "path": sprintf("/spec/tls/%d/secretName", [i]), "value": secret}

plain := serving(["shop.example.com"])

shop := entry("shop.example.com", "shop-example-com-tls")

# METADATA
# title: a host without certificate
# custom: {example: patched}
test_example if {
	told(plain, {"issuer": "letsencrypt", "kind": "ClusterIssuer", "group": "cert-manager.io"}) == {cluster_issuer, shop}
}

test_no_tls if {
	patched(plain) == {cluster_issuer, shop}
	patched(listing(plain, null)) == {cluster_issuer, shop}
	patched(listing(plain, [{}])) == {cluster_issuer, shop}
}

test_told_nothing if told(plain, {}) == set()

test_every_host_once if {
	obj := serving(["Shop.example.com.", "shop.example.com", "blog.example.com"])
	patched(obj) == {cluster_issuer, shop, entry("blog.example.com", "blog-example-com-tls")}
}

test_many_hosts if {
	hosts := [sprintf("h%d.example.com", [i]) | some i in numbers.range(1, 51)]
	count(patched(serving(array.slice(hosts, 0, 50)))) == 51
	patched(serving(hosts)) == set()
}

test_alias if {
	obj := annotated(plain, {"nginx.ingress.kubernetes.io/server-alias": "www.example.com ~^a$"})
	patched(obj) == {cluster_issuer, shop, entry("www.example.com", "www-example-com-tls")}
}

test_covered if patched(listing(plain, [{"hosts": ["shop.example.com"], "secretName": "bought"}])) == set()

test_no_host_to_cover if {
	patched(ingress({"defaultBackend": {"service": {"name": "web"}}, "rules": [{"http": {"paths": []}}]})) == set()
}

test_wildcard if {
	wild := serving(["*.example.com"])
	patched(wild) == set()
	told(wild, {"issuer": "letsencrypt", "wildcards": true}) == {
		cluster_issuer,
		entry("*.example.com", "wildcard-example-com-tls"),
	}
	patched(serving(["*.example.com", "shop.example.com"])) == {cluster_issuer, shop}
}

test_kinds_of_issuers if {
	told(plain, {"issuer": "ca", "kind": "Issuer"}) == {shop, annotation("issuer", "ca")}
	told(plain, {"issuer": "ca", "kind": "VaultIssuer", "group": "pki.example.com"}) == {
		shop,
		annotation("issuer", "ca"),
		annotation("issuer-kind", "VaultIssuer"),
		annotation("issuer-group", "pki.example.com"),
	}
	told(plain, {"issuer": "ca", "group": "pki.example.com"}) == {
		shop,
		annotation("issuer", "ca"),
		annotation("issuer-kind", "ClusterIssuer"),
		annotation("issuer-group", "pki.example.com"),
	}
}

test_issuer_of_its_own if {
	every annotations in [
		{"cert-manager.io/cluster-issuer": "own"},
		{"cert-manager.io/issuer": "own", "cert-manager.io/issuer-kind": "VaultIssuer"},
		{"kubernetes.io/tls-acme": "true"},
	] {
		patched(annotated(plain, annotations)) == {shop}
	}
}

# A certificate that is not issued is worse than none: the rule that wants one would be content.
test_no_issuer_on_purpose if {
	every annotations in [
		{"cert-manager.io/cluster-issuer": ""},
		{"cert-manager.io/issuer": ""},
		{"cert-manager.io/issuer-kind": "VaultIssuer"},
		{"cert-manager.io/issuer-group": "pki.example.com"},
		{"kubernetes.io/tls-acme": "false"},
		{"kubernetes.io/tls-acme": "yes"},
	] {
		patched(annotated(plain, annotations)) == set()
		told(annotated(plain, annotations), {"issuer": "letsencrypt", "existingSecrets": true}) == set()
	}
}

half := listing(serving(["shop.example.com", "old.example.com"]), [{"hosts": ["old.example.com"], "secretName": "bought"}])

test_secret_of_its_own if {
	patched(half) == set()
	patched(annotated(half, {"cert-manager.io/issuer": "own"})) == {shop}
	told(half, {"issuer": "letsencrypt", "existingSecrets": true}) == {cluster_issuer, shop}
}

test_secrets_that_are_given_to_the_issuer if {
	told(
		listing(plain, [{"hosts": ["shop.example.com"], "secretName": "shop"}]),
		{"issuer": "letsencrypt", "existingSecrets": true},
	) == {cluster_issuer}
	told(listing(serving([]), [{"secretName": "shop"}]), {"issuer": "letsencrypt", "existingSecrets": true}) == set()
}

test_entry_without_secret if {
	patched(listing(plain, [{"hosts": ["Shop.example.com"]}])) == {cluster_issuer, name(0, "shop-example-com-tls")}
	patched(listing(plain, [{"hosts": ["shop.example.com"], "secretName": ""}])) == {
		cluster_issuer,
		name(0, "shop-example-com-tls"),
	}
	patched(listing(serving(["b.example.com", "a.example.com", "c.example.com"]), [
		{"hosts": ["other.example.com"]},
		{"hosts": ["a.example.com", "b.example.com"]},
		{"hosts": ["b.example.com"]},
		{"hosts": []},
		{"hosts": null},
	])) == {cluster_issuer, name(1, "a-example-com-tls"), entry("c.example.com", "c-example-com-tls")}
}

test_entry_without_secret_for_a_wildcard if {
	obj := listing(plain, [{"hosts": ["shop.example.com", "*.example.com"]}])
	patched(obj) == set()
	told(obj, {"issuer": "letsencrypt", "wildcards": true}) == {cluster_issuer, name(0, "shop-example-com-tls")}
}

test_hosts_named_alike if {
	patched(serving(["a-b.example.com", "a.b.example.com"])) == {
		cluster_issuer,
		entry("a-b.example.com", "a-b-example-com-68d7a947-tls"),
		entry("a.b.example.com", "a-b-example-com-532e2dc4-tls"),
	}
}

issued(entries) := patched(annotated(listing(plain, entries), {"cert-manager.io/cluster-issuer": "own"}))

test_secret_that_is_taken if {
	taken := {"hosts": ["old.example.com"], "secretName": "shop-example-com-tls"}
	issued([taken]) == {entry("shop.example.com", "shop-example-com-951623a2-tls")}
	issued([taken, {"hosts": ["a.example.com"], "secretName": "shop-example-com-951623a2-tls"}]) == set()
	issued([{"secretName": "shop-example-com-tls"}]) == {entry("shop.example.com", "shop-example-com-951623a2-tls")}
}

test_long_names if {
	long := concat(".", [label | some _ in numbers.range(1, 124); label := "a"])
	alike := replace(long, "a.a", "a-a")
	secrets := {op.value.secretName | some op in patched(serving([long, alike])); op.path == "/spec/tls/-"}
	count(secrets) == 2
	every secret in secrets {
		count(secret) <= 253
	}
}

solver := labelled(
	ingress({"rules": [{
		"host": "shop.example.com",
		"http": {"paths": [{"path": "/.well-known/acme-challenge/token", "pathType": "Exact"}]},
	}]}),
	{"acme.cert-manager.io/http01-solver": "true"},
)

test_solver if {
	patched(solver) == set()
	told(solver, {"issuer": "letsencrypt", "existingSecrets": true}) == set()
}

test_almost_a_solver if patched(json.remove(solver, ["/metadata/labels"])) == {cluster_issuer, shop}

# The second time changes nothing, and leaves ingress-tls-required nothing to say.
test_twice_is_once if {
	every obj in [
		annotated(listing(plain, []), {}),
		annotated(listing(serving(["b.example.com", "a.example.com"]), [{"hosts": ["a.example.com"]}]), {}),
		annotated(listing(serving(["a-b.example.com", "a.b.example.com"]), []), {}),
		annotated(listing(serving(["shop.example.com", "www.example.com"]), [{}, {"secretName": "shop-example-com-tls"}]), {"cert-manager.io/issuer": "own"}),
	] {
		result := json.patch(obj, [op | some op in patched(obj)])
		result != obj
		patched(result) == set()
		tls_required.deny == set() with input as create(result)
	}
}
