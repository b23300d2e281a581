package sluice.ingress.hosts_allowed_test

import data.sluice.ingress.hosts_allowed
import data.sluice.lib.testing.annotated
import data.sluice.lib.testing.create
import data.sluice.lib.testing.ingress
import data.sluice.lib.testing.namespace
import data.sluice.lib.testing.remove
import data.sluice.lib.testing.update
import data.sluice.lib.testing.with_parameters

# Examples stand without defaults.
own := {
	"annotators": [],
	"domains": [
		{"namespaces": ["shop"], "hosts": ["shop.example.com", "*.shop.example.com"]},
		{"namespaces": ["blog-*"], "hosts": ["**.blog.example.com"]},
	],
}

deny(obj) := told(obj, own)

told(obj, parameters) := found if {
	found := hosts_allowed.deny with input as with_parameters(create(obj), parameters)
}

serving(host) := ingress({"ingressClassName": "nginx", "rules": [{"host": host}]})

found(msg, field) := {"msg": msg, "field": field, "fix": "use names of *.shop.example.com, shop.example.com"}

foreign(host) := found(sprintf("host %q is not among the domains of namespace shop", [host]), "spec.rules[0].host")

# METADATA
# title: a host of a domain of the namespace
# custom: {example: admitted}
test_own_host if {
	every host in ["shop.example.com", "Shop.Example.com", "www.shop.example.com", "*.shop.example.com"] {
		deny(serving(host)) == set()
	}
}

# METADATA
# title: a host of no domain of the namespace
# custom: {example: refused}
test_foreign_host if deny(serving("bank.example.com")) == {foreign("bank.example.com")}

test_host_that_is_almost_own if {
	every host in ["example.com", "a.b.shop.example.com", "myshop.example.com", "*.example.com", "*.a.shop.example.com"] {
		deny(serving(host)) == {foreign(host)}
	}
}

test_told_nothing if told(serving("bank.example.com"), {}) == set()

test_every_name if {
	every obj in [serving("bank.example.com"), ingress({"defaultBackend": {"service": {"name": "web"}}})] {
		told(obj, {"domains": [{"namespaces": ["*"], "hosts": ["**"]}]}) == set()
	}
}

elsewhere(obj, home) := object.union(obj, {"metadata": {"namespace": home}})

test_namespace_by_glob if {
	deny(elsewhere(serving("a.b.blog.example.com"), "blog-eu")) == set()
	deny(elsewhere(serving("blog.example.com"), "blog-eu")) == {{
		"msg": `host "blog.example.com" is not among the domains of namespace blog-eu`,
		"field": "spec.rules[0].host",
		"fix": "use names of **.blog.example.com",
	}}
}

test_namespace_without_domains if {
	deny(elsewhere(serving("shop.example.com"), "shop-2")) == {{
		"msg": `host "shop.example.com" is not among the domains of namespace shop-2`,
		"field": "spec.rules[0].host",
		"fix": "ask the platform team for a domain for the namespace",
	}}
}

test_every_host if {
	deny(ingress({
		"defaultBackend": {"service": {"name": "web"}},
		"rules": [{"host": "shop.example.com"}, {"http": {"paths": []}}],
	})) == {
		found("a rule without host claims every name, more than namespace shop may", "spec.rules[1]"),
		found("a default backend claims every name, more than namespace shop may", "spec.defaultBackend"),
	}
	deny(ingress(null)) == {found("a default backend claims every name, more than namespace shop may", "spec")}
	deny(annotated(serving("shop.example.com"), {alias: "."})) == {found(
		"server-alias claims every name, more than namespace shop may",
		sprintf("metadata.annotations[%s]", [alias]),
	)}
}

alias := "nginx.ingress.kubernetes.io/server-alias"

test_alias if {
	deny(annotated(serving("shop.example.com"), {alias: "www.shop.example.com bank.example.com"})) == {found(
		`host "bank.example.com" is not among the domains of namespace shop`,
		sprintf("metadata.annotations[%s]", [alias]),
	)}
}

test_host_in_tls if {
	deny(ingress({
		"tls": [{}, {"hosts": ["shop.example.com", "bank.example.com"], "secretName": "shop-tls"}],
		"rules": [{"host": "shop.example.com"}],
	})) == {found(
		`spec.tls asks for a certificate for "bank.example.com", which is not among the domains of namespace shop`,
		"spec.tls[1].hosts[1]",
	)}
}

redirect := "nginx.ingress.kubernetes.io/from-to-www-redirect"

test_redirect_from_www if {
	deny(annotated(serving("shop.example.com"), {redirect: "true"})) == set()
	deny(annotated(serving("a.shop.example.com"), {redirect: "false"})) == set()
	deny(annotated(serving("a.shop.example.com"), {redirect: "true"})) == {found(
		`from-to-www-redirect also serves "www.a.shop.example.com", which is not among the domains of namespace shop`,
		sprintf("metadata.annotations[%s]", [redirect]),
	)}
}

dns := "external-dns.alpha.kubernetes.io/hostname"

test_record if {
	deny(annotated(serving("shop.example.com"), {dns: "shop.example.com"})) == set()
	deny(annotated(serving("shop.example.com"), {dns: "shop.example.com, bank.example.com"})) == {found(
		`external-dns is asked for "bank.example.com", which is not among the domains of namespace shop`,
		sprintf("metadata.annotations[%s]", [dns]),
	)}
}

hosts := "policy.sluice.dev/hosts"

platform := {
	"domains": [],
	"annotators": [
		{"kind": "Group", "name": "platform"},
		{"kind": "User", "name": "eve"},
		{"kind": "ServiceAccount", "namespace": "flux-system", "name": "flux"},
	],
}

listing(text) := annotated(namespace("shop", {}), {hosts: text})

annotation_deny(obj, home) := result if {
	result := hosts_allowed.deny with input as with_parameters(create(obj), platform)
		with sluice.state.get as home
}

test_annotation if {
	home := listing("shop.example.com,*.shop.example.com\nstore.example.com.")
	every host in ["shop.example.com", "a.shop.example.com", "store.example.com"] {
		annotation_deny(serving(host), home) == set()
	}
	annotation_deny(serving("bank.example.com"), home) == {{
		"msg": `host "bank.example.com" is not among the domains of namespace shop`,
		"field": "spec.rules[0].host",
		"fix": "use names of *.shop.example.com, shop.example.com, store.example.com.",
	}}
}

test_annotation_adds_to_parameters if {
	review := with_parameters(create(serving("shop.example.com")), {"domains": own.domains, "annotators": platform.annotators})
	hosts_allowed.deny == set() with input as review with sluice.state.get as listing("store.example.com")
}

test_annotation_that_counts_for_nothing if {
	review := with_parameters(create(serving("store.example.com")), own)
	hosts_allowed.deny == {foreign("store.example.com")} with input as review
		with sluice.state.get as listing("store.example.com")
}

test_annotation_missing_or_empty if {
	every home in [namespace("shop", {}), listing(""), listing(" , ")] {
		annotation_deny(serving("shop.example.com"), home) == {{
			"msg": `host "shop.example.com" is not among the domains of namespace shop`,
			"field": "spec.rules[0].host",
			"fix": "ask the platform team for a domain for the namespace",
		}}
	}
}

test_annotation_that_cannot_be_read if {
	annotation_deny(serving("shop.example.com"), listing("shop.example.com https://shop.example.com *")) == {
	{
		"msg": sprintf("namespace shop has the annotation policy.sluice.dev/hosts with %q, which is no domain", [word]),
		"field": "metadata.namespace",
		"fix": form,
	} |
		some word in {"https://shop.example.com", "*"}
	}
}

# No name is longer than 253, and one that is would keep the whole namespace from being judged.
test_annotation_that_is_too_long if {
	long := sprintf("%scom", [concat("", ["a." | some _ in numbers.range(1, 125)])])
	count(annotation_deny(serving("shop.example.com"), listing(concat(" ", ["shop.example.com", long])))) == 0
	{f.field | some f in annotation_deny(serving("shop.example.com"), listing(concat(" ", ["shop.example.com", sprintf("a%s", [long])])))} == {"metadata.namespace"}
}

form := "write names such as shop.example.com, *.shop.example.com or **.shop.example.com, with commas between them"

test_namespace_that_is_not_known if {
	told(serving("shop.example.com"), platform) == {{
		"msg": `host "shop.example.com" is not among the domains of namespace shop`,
		"field": "spec.rules[0].host",
		"fix": "give the Namespace object, in front of this one or with --state; in a cluster, try again: it is not known yet",
	}}
}

sent(review, user) := object.union(with_parameters(review, platform), {"request": {"userInfo": user}})

guard(review, user) := result if result := hosts_allowed.deny with input as sent(review, user)

stranger(field) := {
	"msg": `"ann" may not set the annotation policy.sluice.dev/hosts, which says what hosts the namespace may claim`,
	"field": field,
	"fix": "leave the annotation as it is, or ask Group platform, User eve, ServiceAccount flux",
}

plain := namespace("shop", {})

ann := {"username": "ann", "groups": ["system:authenticated"]}

at_annotation := "metadata.annotations[policy.sluice.dev/hosts]"

# METADATA
# title: a namespace that gives itself a domain
# custom: {example: refused}
test_annotation_on_a_new_namespace if guard(create(listing("bank.example.com")), ann) == {stranger(at_annotation)}

test_annotation_is_changed if {
	guard(update(listing("bank.example.com"), plain), ann) == {stranger(at_annotation)}
	guard(update(listing("a.example.com"), listing("b.example.com")), ann) == {stranger(at_annotation)}
	guard(update(listing(""), plain), {"username": "ann", "groups": null}) == {stranger(at_annotation)}
	guard(update(plain, listing("shop.example.com")), ann) == {stranger("metadata")}
}

test_annotation_stays if {
	guard(update(annotated(listing("shop.example.com"), {"team": "shop"}), listing("shop.example.com")), ann) == set()
	guard(create(plain), ann) == set()
	guard(remove(plain), ann) == set()
}

test_annotator if {
	every user in [
		{"username": "ann", "groups": ["platform"]},
		{"username": "eve", "groups": []},
		{"username": "system:serviceaccount:flux-system:flux", "groups": []},
	] {
		guard(update(listing("shop.example.com"), plain), user) == set()
	}
}

test_almost_an_annotator if {
	every user in [
		{"username": "platform", "groups": []},
		{"username": "flux", "groups": ["eve"]},
		{"username": "system:serviceaccount:shop:flux", "groups": ["system:serviceaccount:flux-system:flux"]},
	] {
		count(guard(update(listing("shop.example.com"), plain), user)) == 1
	}
}

# A file has no sender: who may apply it is found out then.
test_file if {
	review := json.remove(create(listing("shop.example.com")), ["/request/userInfo"])
	hosts_allowed.deny == set() with input as with_parameters(review, platform)
}

test_annotator_writes_what_cannot_be_read if {
	guard(update(listing("*.*.example.com"), plain), {"username": "eve"}) == {{
		"msg": `policy.sluice.dev/hosts has "*.*.example.com", which is no domain`,
		"field": at_annotation,
		"fix": form,
	}}
}

test_namespace_where_nobody_annotates if {
	hosts_allowed.deny == set() with input as with_parameters(create(listing("bank.example.com")), own)
}
