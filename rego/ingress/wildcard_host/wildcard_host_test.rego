package sluice.ingress.wildcard_host_test

import data.sluice.ingress.wildcard_host

parameters := {"acmeSolvers": ["system:serviceaccount:cert-manager:cert-manager"]}

any_name := {
	"msg": "a rule without host claims every name",
	"field": "spec.rules[0]",
	"fix": "name each host in a rule of its own, such as host: shop.example.com",
}

no_rules(field) := {
	"msg": "an Ingress without rules claims every name",
	"field": field,
	"fix": "add to spec.rules: {host: shop.example.com, http: …} for each host",
}

# METADATA
# title: a wildcard beside a host
# custom: {example: refused}
test_wildcard if {
	wildcard_host.deny == {{
		"msg": `host "*.example.com" claims every name that it matches, now and later`,
		"field": "spec.rules[1].host",
		"fix": "name each host in a rule of its own, such as host: shop.example.com",
	}} with input.request.object.spec.rules as [{"host": "shop.example.com"}, {"host": "*.example.com"}]
		with input.parameters as parameters
}

# METADATA
# title: a host by its name
# custom: {example: admitted}
test_exact if {
	wildcard_host.deny == set() with input.request.object.spec.rules as [{"host": "shop.example.com"}]
		with input.parameters as parameters
}

test_wildcard_in_tls if {
	wildcard_host.deny == set() with input.request.object.spec as {
		"tls": [{"hosts": ["*.example.com"], "secretName": "example-tls"}],
		"rules": [{"host": "shop.example.com"}],
	}
		with input.parameters as parameters
}

test_rule_without_host if {
	wildcard_host.deny == {any_name} with input.request.object.spec.rules as [{"http": {}}]
		with input.parameters as parameters
	wildcard_host.deny == {any_name} with input.request.object.spec.rules as [{"host": "", "http": {}}]
		with input.parameters as parameters
}

test_default_backend_alone if {
	wildcard_host.deny == {no_rules("spec.defaultBackend")} with input.request.object.spec.defaultBackend as {"service": {"name": "sorry"}}
		with input.parameters as parameters
}

test_default_backend_beside_rules if {
	wildcard_host.deny == set() with input.request.object.spec as {
		"defaultBackend": {"service": {"name": "sorry"}},
		"rules": [{"host": "shop.example.com"}],
	}
		with input.parameters as parameters
}

test_nothing_at_all if {
	wildcard_host.deny == {no_rules("spec")} with input.request.object as {"spec": {"rules": null}}
		with input.parameters as parameters
}

aliased(names) := {
	"metadata": {"annotations": {"nginx.ingress.kubernetes.io/server-alias": names}},
	"spec": {"rules": [{"host": "shop.example.com"}]},
}

alias_fix := "name each host, such as nginx.ingress.kubernetes.io/server-alias: shop.example.com"

alias_field := "metadata.annotations[nginx.ingress.kubernetes.io/server-alias]"

test_alias if {
	wildcard_host.deny == {
		{
			"msg": `host "*.example.com" claims every name that it matches, now and later`,
			"field": alias_field,
			"fix": alias_fix,
		},
		{
			"msg": `host "~^.*$" claims every name that it matches, now and later`,
			"field": alias_field,
			"fix": alias_fix,
		},
	} with input.request.object as aliased("www.example.com,*.example.com ~^.*$")
		with input.parameters as parameters
}

test_alias_for_every_name if {
	wildcard_host.deny == {{
		"msg": "server-alias claims every name",
		"field": alias_field,
		"fix": alias_fix,
	}} with input.request.object as aliased(".")
		with input.parameters as parameters
}

test_exact_alias if {
	wildcard_host.deny == set() with input.request.object as aliased("www.example.com")
		with input.parameters as parameters
}

# cert-manager's solver for an IP address.
solver := {
	"metadata": {"labels": {"acme.cert-manager.io/http01-solver": "true"}},
	"spec": {"rules": [{"http": {"paths": [{"path": "/.well-known/acme-challenge/token", "pathType": "Exact"}]}}]},
}

test_solver if {
	wildcard_host.deny == set() with input.request as {
		"userInfo": {"username": "system:serviceaccount:cert-manager:cert-manager"},
		"object": solver,
	}
		with input.parameters as parameters
}

test_solver_by_another_user if {
	wildcard_host.deny == {any_name} with input.request as {"userInfo": {"username": "ann"}, "object": solver}
		with input.parameters as parameters
}
