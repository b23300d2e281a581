package sluice.lib.isolation_test

import data.sluice.lib.isolation

policy(name, spec) := {"metadata": {"name": name, "namespace": "shop"}, "spec": spec}

made(name, spec) := object.union(policy(name, spec), {"metadata": {"labels": {"policy.sluice.dev/generated-by": "default-deny"}}})

web := {"matchLabels": {"app": "web"}}

api := {"matchLabels": {"app": "api"}}

own := {"name": "web", "spec": {"podSelector": web, "policyTypes": ["Ingress", "Egress"], "ingress": [{}], "egress": [{}]}}

undone(policies) := {direction: text |
	some direction in ["Ingress", "Egress"]
	text := isolation.undone(own, direction, policies)
}

none := {"Ingress": "", "Egress": ""}

names(name) := sprintf(", which undoes NetworkPolicy %s for its pods", [name])

deny_all := {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "ingress": [], "egress": []}

test_both_directions if {
	undone([policy("deny", deny_all)]) == {"Ingress": names("deny"), "Egress": names("deny")}
	undone([policy("deny", {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "ingress": null})]) == {"Ingress": names("deny"), "Egress": names("deny")}
}

test_one_direction if {
	undone([policy("deny", {"podSelector": {}})]) == {"Ingress": names("deny"), "Egress": ""}
	undone([policy("deny", {"podSelector": {}, "policyTypes": ["Egress"]})]) == {"Ingress": "", "Egress": names("deny")}
	undone([policy("some", object.union(deny_all, {"egress": [{"to": [{"podSelector": {}}]}]}))]) == {"Ingress": names("some"), "Egress": ""}
	undone([policy("some", object.union(deny_all, {"ingress": [{"from": [{"podSelector": {}}]}]}))]) == {"Ingress": "", "Egress": names("some")}
}

test_none if {
	undone([]) == none
	undone([policy("web", deny_all)]) == none # its own state before an update
}

test_pods if {
	undone([policy("deny", object.union(deny_all, {"podSelector": web}))]) == {"Ingress": names("deny"), "Egress": names("deny")}
	undone([policy("deny", object.union(object.remove(deny_all, ["podSelector"]), {"podSelector": api}))]) == none
}

test_first_those_that_sluice_made if {
	policies := [policy("b", deny_all), policy("a", deny_all)]
	undone(policies).Ingress == names("a")
	undone(array.concat(policies, [made("sluice-default-deny", deny_all)])).Ingress == names("sluice-default-deny")
	undone(array.concat(policies, [made("sluice-allow-dns", object.union(deny_all, {"egress": [{}]}))])).Egress == names("a")
}

test_without_a_name if {
	isolation.undone(object.union(own, {"name": ""}), "Ingress", [policy("deny", deny_all)]) == names("deny")
}
