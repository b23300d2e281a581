package sluice.ingress.tls_required_test

import data.sluice.ingress.tls_required

parameters := {"acmeSolvers": ["system:serviceaccount:cert-manager:cert-manager"]}

shop := {
	"msg": `host "shop.example.com" is served without a certificate`,
	"field": "spec.rules[0].host",
	"fix": "add to spec.tls: {hosts: [shop.example.com], secretName: shop-example-com-tls}",
}

# METADATA
# title: a host that no TLS entry covers
# custom: {example: refused}
test_no_tls if {
	tls_required.deny == {shop} with input.request.object as {"spec": {"rules": [{"host": "shop.example.com"}]}}
		with input.parameters as parameters
}

test_tls_is_null if {
	tls_required.deny == {shop} with input.request.object as {"spec": {
		"tls": null,
		"rules": [{"host": "shop.example.com"}],
	}}
		with input.parameters as parameters
}

test_entry_without_secret if {
	tls_required.deny == {shop} with input.request.object as {"spec": {
		"tls": [{"hosts": ["shop.example.com"]}],
		"rules": [{"host": "shop.example.com"}],
	}}
		with input.parameters as parameters
}

# METADATA
# title: a host that a TLS entry covers
# custom: {example: admitted}
test_covered if {
	tls_required.deny == set() with input.request.object as {"spec": {
		"tls": [{"hosts": ["shop.example.com"], "secretName": "shop-tls"}],
		"rules": [{"host": "Shop.example.com"}],
	}}
		with input.parameters as parameters
}

test_wildcard_covers_one_label if {
	tls_required.deny == {{
		"msg": `host "a.b.example.com" is served without a certificate`,
		"field": "spec.rules[1].host",
		"fix": "add to spec.tls: {hosts: [a.b.example.com], secretName: a-b-example-com-tls}",
	}} with input.request.object as {"spec": {
		"tls": [{"hosts": ["*.example.com"], "secretName": "wildcard-tls"}],
		"rules": [{"host": "b.example.com"}, {"host": "a.b.example.com"}],
	}}
		with input.parameters as parameters
}

test_wildcard_host if {
	tls_required.deny == {{
		"msg": `host "*.example.com" is served without a certificate`,
		"field": "spec.rules[0].host",
		"fix": `add to spec.tls: {hosts: ["*.example.com"], secretName: wildcard-example-com-tls}`,
	}} with input.request.object as {"spec": {"rules": [{"host": "*.example.com"}]}}
		with input.parameters as parameters
}

test_rule_without_host if {
	tls_required.deny == {{
		"msg": "a rule without host serves every host, and no certificate covers that",
		"field": "spec.rules[0]",
		"fix": "name one host in the rule, and list it in spec.tls",
	}} with input.request.object as {"spec": {
		"tls": [{"hosts": ["shop.example.com"], "secretName": "shop-tls"}],
		"rules": [{"http": {"paths": []}}],
	}}
		with input.parameters as parameters
}

test_default_backend if {
	tls_required.deny == {{
		"msg": "the default backend serves every host that no rule names, and no certificate covers that",
		"field": "spec.defaultBackend",
		"fix": "move the default backend to rules with a host, and list each in spec.tls",
	}} with input.request.object as {"spec": {
		"defaultBackend": {"service": {"name": "sorry"}},
		"tls": [{"hosts": ["shop.example.com"], "secretName": "shop-tls"}],
		"rules": [{"host": "shop.example.com"}],
	}}
		with input.parameters as parameters
}

test_nothing_at_all if {
	tls_required.deny == {{
		"msg": "the default backend serves every host that no rule names, and no certificate covers that",
		"field": "spec",
		"fix": "move the default backend to rules with a host, and list each in spec.tls",
	}} with input.request.object as {}
		with input.parameters as parameters
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
		with input.parameters as parameters
}

test_alias_that_no_certificate_can_name if {
	tls_required.deny == {{
		"msg": `host "~^.+$" is served without a certificate`,
		"field": alias_field,
		"fix": "write the names one by one, and list each in spec.tls",
	}} with input.request.object as aliased("~^.+$")
		with input.parameters as parameters
}

test_alias_too_long_for_a_secret if {
	long := concat(".", [label | some _ in numbers.range(1, 130); label := "a"])
	tls_required.deny == {{
		"msg": sprintf("host %q is served without a certificate", [substring(long, 0, 253)]),
		"field": alias_field,
		"fix": "write the names one by one, and list each in spec.tls",
	}} with input.request.object as aliased(long)
		with input.parameters as parameters
}

test_alias_for_every_host if {
	tls_required.deny == {{
		"msg": "server-alias serves every host, and no certificate covers that",
		"field": alias_field,
		"fix": "write the names one by one, and list each in spec.tls",
	}} with input.request.object as aliased(".")
		with input.parameters as parameters
}

test_alias_of_another_controller if {
	tls_required.deny == set() with input.request.object as json.patch(aliased("www.example.com"), [{
		"op": "replace",
		"path": "/spec/ingressClassName",
		"value": "traefik",
	}])
		with input.parameters as parameters
}

solver := {
	"metadata": {"labels": {"acme.cert-manager.io/http01-solver": "true"}},
	"spec": {"rules": [{
		"host": "shop.example.com",
		"http": {"paths": [{"path": "/.well-known/acme-challenge/token", "pathType": "Exact"}]},
	}]},
}

test_solver if {
	tls_required.deny == set() with input.request as {
		"userInfo": {"username": "system:serviceaccount:cert-manager:cert-manager"},
		"object": solver,
	}
		with input.parameters as parameters
}

test_solver_by_another_user if {
	tls_required.deny == {shop} with input.request as {"userInfo": {"username": "ann"}, "object": solver}
		with input.parameters as parameters
}

test_another_ingress_by_cert_manager if {
	tls_required.deny == {shop} with input.request as {
		"userInfo": {"username": "system:serviceaccount:cert-manager:cert-manager"},
		"object": {"spec": {"rules": [{"host": "shop.example.com"}]}},
	}
		with input.parameters as parameters
}

# A missing parameter excuses nobody.
test_no_parameters if {
	tls_required.deny == {shop} with input.request.object as {"spec": {"rules": [{"host": "shop.example.com"}]}}
}
