package sluice.ingress.host_unique_test

import data.sluice.ingress.host_unique

ingress := {
	"metadata": {"namespace": "lab", "name": "shop"},
	"spec": {"ingressClassName": "nginx", "rules": [{"host": "shop.example.com"}]},
}

conflict := {
	"host": "shop.example.com",
	"field": "spec.rules[0].host",
	"via": "rule",
	"more": 0,
	"other": {
		"namespace": "crm",
		"name": "portal",
		"class": "nginx",
		"host": "shop.example.com",
		"via": "rule",
		"pending": false,
	},
}

agree := "use another host, or agree with the owners of namespace crm on who serves it"

# denied is what the rule says when the state knows of these conflicts.
denied(conflicts) := found if {
	found := host_unique.deny with input.request.object as ingress
		with sluice.ingress.conflicts as conflicts
}

# METADATA
# title: a host that no Ingress of another namespace serves
# custom: {example: admitted}
test_free if denied([]) == set()

test_asks_the_state if host_unique.deny == set() with input.request.object as ingress

# METADATA
# title: the Ingress portal of namespace crm serves the host already
# custom: {example: refused}
test_same_host if {
	denied([conflict]) == {{
		"msg": `host "shop.example.com" is served by the Ingress crm/portal`,
		"field": "spec.rules[0].host",
		"fix": agree,
	}}
}

test_each_host if {
	count(denied([conflict, object.union(conflict, {"host": "x.example.com", "field": "spec.rules[1].host"})])) == 2
}

test_more_than_one if {
	denied([object.union(conflict, {"more": 2})]) == {{
		"msg": `host "shop.example.com" is served by the Ingress crm/portal and 2 more`,
		"field": "spec.rules[0].host",
		"fix": agree,
	}}
}

test_admitted_but_not_stored if {
	denied([object.union(conflict, {"other": {"pending": true}})]) == {{
		"msg": `host "shop.example.com" is served by the Ingress crm/portal, which was admitted a moment ago`,
		"field": "spec.rules[0].host",
		"fix": agree,
	}}
}

test_under_a_wildcard if {
	denied([object.union(conflict, {"other": {"host": "*.example.com"}})]) == {{
		"msg": `host "shop.example.com" overlaps with "*.example.com" of the Ingress crm/portal`,
		"field": "spec.rules[0].host",
		"fix": agree,
	}}
}

test_under_every_host if {
	denied([object.union(conflict, {"other": {"host": ""}})]) == {{
		"msg": `host "shop.example.com" overlaps with a rule without host of the Ingress crm/portal`,
		"field": "spec.rules[0].host",
		"fix": agree,
	}}
}

test_rule_without_host if {
	denied([object.union(conflict, {"host": "", "field": "spec.rules[0]"})]) == {{
		"msg": `a rule without host overlaps with "shop.example.com" of the Ingress crm/portal`,
		"field": "spec.rules[0]",
		"fix": agree,
	}}
}

test_default_backends if {
	denied([object.union(conflict, {
		"host": "",
		"field": "spec.defaultBackend",
		"via": "defaultBackend",
		"other": {"host": "", "via": "defaultBackend"},
	})]) == {{
		"msg": "the default backend overlaps with the default backend of the Ingress crm/portal",
		"field": "spec.defaultBackend",
		"fix": agree,
	}}
}

fix_without_class(other) := [found.fix |
	some found in host_unique.deny with input.request.object as {"metadata": {"namespace": "lab"}, "spec": {}}
		with sluice.ingress.conflicts as [object.union(conflict, {"other": other})]
]

test_without_class if {
	fix_without_class({"class": "nginx"}) == ["set spec.ingressClassName to another class than nginx: without one, any controller may serve this Ingress"]
}

test_both_without_class if fix_without_class({"class": ""}) == [agree]
