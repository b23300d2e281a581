package sluice.service.external_name_test

import data.sluice.lib.testing.create
import data.sluice.lib.testing.service
import data.sluice.lib.testing.with_parameters
import data.sluice.service.external_name

# stored are the Services that exist.
stored("Service", "finance", "ledger") := service({"type": "ClusterIP"})

# judged is what the rule says of a request.
judged(review) := {"deny": denied, "warn": warned} if {
	denied := external_name.deny with input as review with sluice.state.get as stored
	warned := external_name.warn with input as review with sluice.state.get as stored
}

named(name) := with_parameters(create(service({"type": "ExternalName", "externalName": name})), domains)

domains := {"clusterDomains": ["cluster.local"]}

inside(name, what) := {
	"deny": {{
		"msg": sprintf("external name %q is %s", [name, what]),
		"field": "spec.externalName",
		"fix": "use the Service or the host itself, by its own name",
	}},
	"warn": set(),
}

outside(name) := {
	"deny": set(),
	"warn": {{
		"msg": sprintf("external name %q: whoever controls it in DNS decides where the traffic goes", [name]),
		"field": "spec.externalName",
		"fix": "a Service without selector and an EndpointSlice with the addresses",
	}},
}

searched(name) := {
	"deny": {{
		"msg": sprintf("external name %q is Service ledger of namespace finance to whoever searches the cluster's domain", [name]),
		"field": "spec.externalName",
		"fix": "use the Service by its own name, or end a name outside of the cluster with a dot",
	}},
	"warn": set(),
}

# METADATA
# title: an alias for a Service of another namespace
# custom: {example: refused}
test_service if {
	judged(named("ledger.finance.svc.cluster.local")) == inside("ledger.finance.svc.cluster.local", "in the cluster's domain cluster.local")
}

# METADATA
# title: an alias for a database elsewhere, of which the rule warns
# custom: {example: refused}
test_elsewhere if judged(named("orders-db.eu.example.net")) == outside("orders-db.eu.example.net")

test_address if {
	judged(named("10.1.2.3")) == inside("10.1.2.3", "a private address")
	judged(named("203.0.113.7")) == outside("203.0.113.7")
}

test_short_name if {
	every name in ["ledger.finance", "ledger-0.ledger.finance"] {
		judged(named(name)) == searched(name)
	}
	every name in ["ledger.finance.", "ledger.lab", "finance.ledger", "a.ledger-0.ledger.finance", "ledger"] {
		judged(named(name)) == outside(name)
	}
}

test_domains if {
	review := named("ledger.finance.k8s.example.com")
	judged(review) == outside("ledger.finance.k8s.example.com")
	judged(with_parameters(review, {"clusterDomains": ["k8s.example.com"]})) == inside(
		"ledger.finance.k8s.example.com",
		"in the cluster's domain k8s.example.com",
	)
}

test_name_is_missing if {
	every spec in [{"type": "ExternalName"}, {"type": "ExternalName", "externalName": ""}] {
		judged(create(service(spec))) == outside("")
	}
}

# METADATA
# title: a Service without selector, for addresses elsewhere
# custom: {example: admitted}
test_addresses_instead if {
	judged(create(service({"type": "ClusterIP", "ports": [{"port": 5432}]}))) == {"deny": set(), "warn": set()}
}

test_default_domains if {
	every domain in ["cluster.local", "clusterset.local"] {
		review := create(service({"type": "ExternalName", "externalName": domain}))
		judged(review) == inside(domain, sprintf("in the cluster's domain %s", [domain]))
	}
}

test_other_types if {
	every spec in [{"type": "ClusterIP", "externalName": "localhost"}, {"externalName": "localhost"}, {}, null] {
		judged(create(service(spec))) == {"deny": set(), "warn": set()}
	}
}
