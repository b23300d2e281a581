package sluice.networkpolicy.isolation_lost_test

import data.sluice.lib.testing.labelled
import data.sluice.lib.testing.namespace
import data.sluice.lib.testing.networkpolicy
import data.sluice.lib.testing.remove
import data.sluice.lib.testing.update
import data.sluice.networkpolicy.isolation_lost

# selecting is the policy web for pods, in directions.
selecting(pods, types) := networkpolicy({"podSelector": pods, "policyTypes": types})

other(pods, types) := object.union(selecting(pods, types), {"metadata": {"name": "other"}})

app(name) := {"matchLabels": {"app": name}}

shop := namespace("shop", {})

ending := object.union(shop, {"metadata": {"deletionTimestamp": "2026-01-02T03:04:05Z"}})

# deny is what the rule says of a review, beside other policies.
deny(review, others) := denied if {
	denied := isolation_lost.deny with input as review
		with sluice.state.list as others
		with sluice.state.get as shop
}

found(msg, field, fix) := {{"msg": msg, "field": field, "fix": fix}}

only_web := selecting(app("web"), ["Ingress"])

create_web := `first create another with podSelector: {"matchLabels":{"app":"web"}}, policyTypes: [Ingress]`

# METADATA
# title: deleting the only policy that isolates some pods
# custom: {example: refused}
test_the_only_policy if {
	deny(remove(only_web), [only_web]) == found(
		"pods app=web lose their isolation for Ingress: no NetworkPolicy selects them any more",
		"spec.podSelector",
		create_web,
	)
}

# METADATA
# title: deleting a policy whose pods another one isolates
# custom: {example: admitted}
test_another_policy if deny(remove(only_web), [only_web, other({}, ["Ingress", "Egress"])]) == set()

test_every_direction if {
	deny(remove(selecting({}, ["Ingress", "Egress"])), []) == {
		{
			"msg": "all pods lose their isolation for Ingress: no NetworkPolicy selects them any more",
			"field": "spec.podSelector",
			"fix": "first create another with podSelector: {}, policyTypes: [Ingress]",
		},
		{
			"msg": "all pods lose their isolation for Egress: no NetworkPolicy selects them any more",
			"field": "spec.podSelector",
			"fix": "first create another with podSelector: {}, policyTypes: [Egress]",
		},
	}
}

test_some_of_all if {
	deny(remove(selecting({}, ["Ingress"])), [other(app("web"), ["Ingress"])]) == found(
		"some pods lose their isolation for Ingress, such as those without labels: no NetworkPolicy selects them any more",
		"spec.podSelector",
		"first create another with podSelector: {}, policyTypes: [Ingress]",
	)
}

test_some_of_the_pods if {
	deny(remove(only_web), [other({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}, ["Ingress"])]) == found(
		"some of the pods app=web lose their isolation for Ingress, such as those labelled app=web,tier=other: no NetworkPolicy selects them any more",
		"spec.podSelector",
		create_web,
	)
}

test_too_complicated if {
	loss := {
		"direction": "Ingress",
		"field": "spec.podSelector",
		"pods": "app=web",
		"partly": true,
		"witness": {},
		"uncertain": true,
	}
	found_by := isolation_lost.deny with input as remove(only_web) with isolation_lost.losses as [loss]
	found_by == found(
		"pods app=web may lose their isolation for Ingress: whether other NetworkPolicies select them is too complicated to tell",
		"spec.podSelector",
		create_web,
	)
}

test_long_selector if {
	long := {"matchExpressions": [{
		"key": "app",
		"operator": "In",
		"values": ["the-first-of-many-applications", "the-second-of-many-applications", "the-third"],
	}]}
	deny(remove(selecting(long, ["Ingress"])), []) == found(
		concat("", [
			"pods app in (the-first-of-many-applications,the-second-of-many-applications,the-third",
			" lose their isolation for Ingress: no NetworkPolicy selects them any more",
		]),
		"spec.podSelector",
		"first create another with the same podSelector, policyTypes: [Ingress]",
	)
}

test_direction_left_out if {
	old := selecting(app("web"), ["Ingress", "Egress"])
	deny(update(only_web, old), [old]) == found(
		"pods app=web lose their isolation for Egress: no NetworkPolicy selects them any more",
		"spec.policyTypes",
		"keep Egress in policyTypes, or first create another NetworkPolicy with it",
	)
}

# To list the direction again would not bring back the pods that are selected no more.
test_direction_left_out_for_other_pods if {
	old := selecting(app("web"), ["Ingress", "Egress"])
	deny(update(selecting(app("db"), ["Ingress"]), old), [old, other({}, ["Ingress"])]) == found(
		"pods app=web lose their isolation for Egress: no NetworkPolicy selects them any more",
		"spec.policyTypes",
		`first create another with podSelector: {"matchLabels":{"app":"web"}}, policyTypes: [Egress]`,
	)
}

test_other_pods if {
	deny(update(selecting(app("db"), ["Ingress"]), only_web), [only_web]) == found(
		"pods app=web lose their isolation for Ingress: no NetworkPolicy selects them any more",
		"spec.podSelector",
		create_web,
	)
}

test_more_pods if deny(update(selecting({}, ["Ingress"]), only_web), [only_web]) == set()

# Where the policy itself keeps its pods isolated, what cannot be read is not asked for.
test_asks_the_state_last if {
	isolation_lost.deny == set() with input as update(only_web, only_web)
		with sluice.state.list as ["what is no NetworkPolicy"]
}

test_no_spec if {
	bare := object.remove(only_web, ["spec"])
	deny(remove(bare), []) == found(
		"all pods lose their isolation for Ingress: no NetworkPolicy selects them any more",
		"spec.podSelector",
		"first create another with podSelector: {}, policyTypes: [Ingress]",
	)
}

# METADATA
# title: a namespace that is being deleted
# custom: {example: admitted}
test_namespace_is_being_deleted if {
	isolation_lost.deny == set() with input as remove(only_web)
		with sluice.state.list as [only_web]
		with sluice.state.get as ending
}

# What has no meaning can't keep a namespace from ending.
test_namespace_with_a_broken_policy_is_being_deleted if {
	isolation_lost.deny == set() with input as remove(selecting("what is no selector", ["Ingress"])) with sluice.state.get as ending
}

test_deletion_timestamp_of_null if {
	denied := isolation_lost.deny with input as remove(only_web)
		with sluice.state.list as [only_web]
		with sluice.state.get as object.union(shop, {"metadata": {"deletionTimestamp": null}})
	count(denied) == 1
}

test_unknown_namespace if {
	denied := isolation_lost.deny with input as remove(only_web) with sluice.state.list as [only_web]
	count(denied) == 1
}

leaving(review) := object.union(review, {"leaves": true})

test_labels_of_the_policy if {
	old := labelled(only_web, {"tier": "web"})
	deny(leaving(update(labelled(only_web, {"tier": "db"}), old)), [old]) == found(
		"pods app=web lose their isolation for Ingress: with these labels this policy protects the NetworkPolicy no more",
		"metadata.labels",
		"keep the labels tier=web",
	)
}

test_labels_of_the_policy_and_another if {
	old := labelled(only_web, {"tier": "web"})
	deny(leaving(update(only_web, old)), [old, other({}, ["Ingress"])]) == set()
}

test_no_labels_left if {
	deny(leaving(update(only_web, labelled(only_web, {"tier": "web"}))), []) == found(
		"pods app=web lose their isolation for Ingress: with these labels this policy protects the NetworkPolicy no more",
		"metadata",
		"keep the labels tier=web",
	)
}

relabelled(labels) := leaving(update(namespace("shop", labels), namespace("shop", {"env": "prod"})))

# METADATA
# title: a label that takes a namespace with isolated pods out of the policy's namespaceSelector
# custom: {example: refused}
test_namespace_leaves if {
	deny(relabelled({}), [only_web]) == found(
		"the labels take namespace shop out of this policy, while NetworkPolicy web isolates pods app=web for Ingress",
		"metadata.labels",
		"keep the labels env=prod",
	)
}

test_namespace_leaves_with_many if {
	deny(relabelled({"env": "test"}), [only_web, other({}, ["Ingress"])]) == found(
		"the labels take namespace shop out of this policy, while NetworkPolicy other isolates all pods for Ingress, beside 1 more",
		"metadata.labels",
		"keep the labels env=prod",
	)
}

test_namespace_leaves_by_a_new_label if {
	deny(relabelled({"env": "prod", "open": "yes"}), [only_web]) == found(
		"the labels take namespace shop out of this policy, while NetworkPolicy web isolates pods app=web for Ingress",
		"metadata.labels",
		"leave out the labels that the update adds",
	)
}

test_namespace_without_isolation_leaves if deny(relabelled({}), []) == set()

test_namespace_stays if deny(object.remove(relabelled({}), ["leaves"]), [only_web]) == set()

test_namespace_ends if {
	review := relabelled({})
	request := object.union(review.request, {"object": ending})
	deny(object.union(review, {"request": request}), [only_web]) == set()
}
