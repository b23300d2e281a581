package sluice.lib.redirect_test

import data.sluice.lib.redirect

class(_, _, _) := {"spec": {"controller": "traefik.io/ingress-controller"}}

other_class(_, _, _) := {"spec": {"controller": "example.com/own"}}

no_class(_, _, _) := {} if false

test_by_name if {
	redirect.controller({"spec": {"ingressClassName": "haproxy"}}) == "haproxy" with sluice.state.get as no_class
}

test_by_ingress_class if {
	redirect.controller({"spec": {"ingressClassName": "edge"}}) == "traefik" with sluice.state.get as class
}

test_every_implementation if {
	every prefix, name in {
		"k8s.io/ingress-nginx": "nginx",
		"haproxy.org/ingress-controller/edge": "haproxy",
		"haproxy-ingress.github.io/controller": "haproxy",
		"traefik.io/ingress-controller": "traefik",
		"ingress.k8s.aws/alb": "alb",
		"eks.amazonaws.com/alb": "alb",
		"k8s.io/ingress-gce": "gce",
		"nginx.org/ingress-controller": "",
	} {
		redirect.controller({"spec": {"ingressClassName": "edge"}}) == name with sluice.state.get as {"spec": {"controller": prefix}}
	}
}

test_unknown_implementation if {
	redirect.controller({"spec": {"ingressClassName": "edge"}}) == "" with sluice.state.get as other_class
}

test_unknown_class if {
	redirect.controller({"spec": {"ingressClassName": "edge"}}) == "" with sluice.state.get as no_class
}

test_no_class_asks_nobody if redirect.controller({"spec": {}}) == "" with sluice.state.get as class

test_entry_points if {
	redirect.entry_points(" web , websecure,,web") == ["web", "websecure", "web"]
	redirect.entry_points(" , ") == []
}

test_listen_ports if {
	redirect.listen_ports(`[{"HTTP": 80}, {"HTTPS": 443, "HTTP": 8080}]`) == {["HTTP", 80], ["HTTP", 8080], ["HTTPS", 443]}
}

test_unreadable_listen_ports if {
	every text in [
		"", "80", "null", "[]", "[{}]", "[null]", `{"HTTP": 80}`, `{"a": {"HTTP": 80}}`, `[["HTTP", 80]]`, `[{"HTTP": 80}`, `[{"http": 80}]`,
		`[{"HTTP": "80"}]`, `[{"HTTP": 80.5}]`, `[{"HTTP": 0}]`, `[{"HTTP": 65536}]`, `[{"HTTP": 80}, {"TCP": 81}]`,
	] {
		not redirect.listen_ports(text)
	}
}
