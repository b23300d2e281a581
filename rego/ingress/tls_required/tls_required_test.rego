package sluice.ingress.tls_required_test

import data.sluice.ingress.tls_required
import data.sluice.lib.testing.by
import data.sluice.lib.testing.create
import data.sluice.lib.testing.ingress
import data.sluice.lib.testing.labelled
import data.sluice.lib.testing.with_parameters

deny(obj) := found if found := tls_required.deny with input as create(obj)

shop := {
	"msg": `host "shop.example.com" is served without a certificate`,
	"field": "spec.rules[0].host",
	"fix": "add to spec.tls: {hosts: [shop.example.com], secretName: shop-example-com-tls}",
}

# METADATA
# title: a host that no TLS entry covers
# custom: {example: refused}
test_no_tls if {
	deny(ingress({"rules": [{"host": "shop.example.com"}]})) == {shop}
}

test_tls_is_null if {
	deny(ingress({
		"tls": null,
		"rules": [{"host": "shop.example.com"}],
	})) == {shop}
}

test_entry_without_secret if {
	deny(ingress({
		"tls": [{"hosts": ["shop.example.com"]}],
		"rules": [{"host": "shop.example.com"}],
	})) == {shop}
}

# METADATA
# title: a host that a TLS entry covers
# custom: {example: admitted}
test_covered if {
	deny(ingress({
		"tls": [{"hosts": ["shop.example.com"], "secretName": "shop-tls"}],
		"rules": [{"host": "Shop.example.com"}],
	})) == set()
}

test_wildcard_covers_one_label if {
	deny(ingress({
		"tls": [{"hosts": ["*.example.com"], "secretName": "wildcard-tls"}],
		"rules": [{"host": "b.example.com"}, {"host": "a.b.example.com"}],
	})) == {{
		"msg": `host "a.b.example.com" is served without a certificate`,
		"field": "spec.rules[1].host",
		"fix": "add to spec.tls: {hosts: [a.b.example.com], secretName: a-b-example-com-tls}",
	}}
}

test_wildcard_host if {
	deny(ingress({"rules": [{"host": "*.example.com"}]})) == {{
		"msg": `host "*.example.com" is served without a certificate`,
		"field": "spec.rules[0].host",
		"fix": `add to spec.tls: {hosts: ["*.example.com"], secretName: wildcard-example-com-tls}`,
	}}
}

test_rule_without_host if {
	deny(ingress({
		"tls": [{"hosts": ["shop.example.com"], "secretName": "shop-tls"}],
		"rules": [{"http": {"paths": []}}],
	})) == {{
		"msg": "a rule without host serves every host, and no certificate covers that",
		"field": "spec.rules[0]",
		"fix": "name one host in the rule, and list it in spec.tls",
	}}
}

test_default_backend if {
	deny(ingress({
		"defaultBackend": {"service": {"name": "sorry"}},
		"tls": [{"hosts": ["shop.example.com"], "secretName": "shop-tls"}],
		"rules": [{"host": "shop.example.com"}],
	})) == {{
		"msg": "the default backend serves every host that no rule names, and no certificate covers that",
		"field": "spec.defaultBackend",
		"fix": "move the default backend to rules with a host, and list each in spec.tls",
	}}
}

test_nothing_at_all if {
	tls_required.deny == {{
		"msg": "the default backend serves every host that no rule names, and no certificate covers that",
		"field": "spec",
		"fix": "move the default backend to rules with a host, and list each in spec.tls",
	}} with input.request.object as {}
}

aliased(names) := {
	"metadata": {"annotations": {"nginx.ingress.kubernetes.io/server-alias": names}},
	"spec": {
		"ingressClassName": "nginx",
		"tls": [{"hosts": ["shop.example.com"], "secretName": "shop-tls"}],
		"rules": [{"host": "shop.example.com"}],
	},
}

alias_field := "metadata.annotations[nginx.ingress.kubernetes.io/server-alias]"

test_alias if {
	tls_required.deny == {{
		"msg": `host "www.example.com" is served without a certificate`,
		"field": alias_field,
		"fix": "add to spec.tls: {hosts: [www.example.com], secretName: www-example-com-tls}",
	}} with input.request.object as aliased("shop.example.com, www.example.com")
}

test_alias_that_no_certificate_can_name if {
	tls_required.deny == {{
		"msg": `host "~^.+$" is served without a certificate`,
		"field": alias_field,
		"fix": "write the names one by one, and list each in spec.tls",
	}} with input.request.object as aliased("~^.+$")
}

test_alias_too_long_for_a_secret if {
	long := concat(".", [label | some _ in numbers.range(1, 130); label := "a"])
	tls_required.deny == {{
		"msg": sprintf("host %q is served without a certificate", [substring(long, 0, 253)]),
		"field": alias_field,
		"fix": "write the names one by one, and list each in spec.tls",
	}} with input.request.object as aliased(long)
}

test_alias_for_every_host if {
	tls_required.deny == {{
		"msg": "server-alias serves every host, and no certificate covers that",
		"field": alias_field,
		"fix": "write the names one by one, and list each in spec.tls",
	}} with input.request.object as aliased(".")
}

test_alias_of_another_controller if {
	tls_required.deny == set() with input.request.object as json.patch(aliased("www.example.com"), [{
		"op": "replace",
		"path": "/spec/ingressClassName",
		"value": "traefik",
	}])
}

cert_manager := "system:serviceaccount:cert-manager:cert-manager"

solver := labelled(
	ingress({"rules": [{
		"host": "shop.example.com",
		"http": {"paths": [{"path": "/.well-known/acme-challenge/token", "pathType": "Exact"}]},
	}]}),
	{"acme.cert-manager.io/http01-solver": "true"},
)

test_solver if tls_required.deny == set() with input as by(create(solver), cert_manager)

test_solver_by_another_user if deny(solver) == {shop}

test_solver_by_a_user_who_is_not_named if {
	review := with_parameters(by(create(solver), cert_manager), {"acmeSolvers": []})
	tls_required.deny == {shop} with input as review
}

test_another_ingress_by_cert_manager if {
	review := by(create(ingress({"rules": [{"host": "shop.example.com"}]})), cert_manager)
	tls_required.deny == {shop} with input as review
}
