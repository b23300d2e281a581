package sluice.ingress.enforce_redirect_test

import data.sluice.ingress.enforce_redirect
import data.sluice.ingress.https_redirect

ingress(class, annotations) := {
	"metadata": {"annotations": annotations},
	"spec": {
		"ingressClassName": class,
		"tls": [{"hosts": ["shop.example.com"], "secretName": "shop-tls"}],
		"rules": [{"host": "shop.example.com"}],
	},
}

patched(object) := ops if {
	ops := enforce_redirect.patch with input.request.object as object
}

add(name, value) := {"op": "add", "path": sprintf("/metadata/annotations/%s", [name]), "value": value}

test_gce if {
	every class in ["gce", "gce-internal"] {
		patched(ingress(class, {})) == {add("kubernetes.io~1ingress.allow-http", "false")}
	}
}

test_gce_written if {
	every value in ["false", "true", ""] {
		patched(ingress("gce", {"kubernetes.io/ingress.allow-http": value})) == set()
	}
}

entry_points := add("traefik.ingress.kubernetes.io~1router.entrypoints", "websecure")

# METADATA
# title: Traefik would serve HTTP
# custom: {example: patched}
test_traefik if {
	patched(ingress("traefik", {})) == {entry_points}
	patched(ingress("traefik", null)) == {entry_points}
}

test_traefik_written if patched(ingress("traefik", {"traefik.ingress.kubernetes.io/router.entrypoints": "web"})) == set()

ports := "alb.ingress.kubernetes.io/listen-ports"

test_alb if {
	patched(ingress("alb", {ports: `[{"HTTP":80},{"HTTPS":8443},{"HTTPS":9443}]`})) == {add(
		"alb.ingress.kubernetes.io~1ssl-redirect",
		"8443",
	)}
}

test_alb_without_http if patched(ingress("alb", {ports: `[{"HTTPS":443}]`})) == set()

test_alb_without_https if patched(ingress("alb", {ports: `[{"HTTP":80}]`})) == set()

test_alb_unreadable if patched(ingress("alb", {ports: "80"})) == set()

test_alb_written if {
	patched(ingress("alb", {
		ports: `[{"HTTP":80},{"HTTPS":443}]`,
		"alb.ingress.kubernetes.io/ssl-redirect": "8443",
	})) == set()
}

test_alb_default if {
	patched(ingress("alb", {})) == {
		add("alb.ingress.kubernetes.io~1listen-ports", `[{"HTTP": 80}, {"HTTPS": 443}]`),
		add("alb.ingress.kubernetes.io~1ssl-redirect", "443"),
	}
}

test_alb_default_with_certificate if {
	patched(ingress("alb", {"alb.ingress.kubernetes.io/certificate-arn": "arn:aws:acm:eu-west-1:1:certificate/1"})) == set()
}

test_alb_default_with_certificate_left_blank if {
	patched(ingress("alb", {"alb.ingress.kubernetes.io/certificate-arn": ""})) == patched(ingress("alb", {}))
}

test_alb_default_with_redirect if {
	patched(ingress("alb", {"alb.ingress.kubernetes.io/ssl-redirect": "8443"})) == set()
}

test_alb_group if {
	patched(ingress("alb", {"alb.ingress.kubernetes.io/group.name": "shared"})) == set()
	patched(ingress("alb", {
		ports: `[{"HTTP":80},{"HTTPS":443}]`,
		"alb.ingress.kubernetes.io/group.name": "shared",
	})) == set()
}

test_redirects_by_default if {
	patched(ingress("nginx", {})) == set()
	patched(ingress("haproxy", {})) == set()
}

test_unknown_class if patched(ingress("edge", {})) == set()

test_class_resolved_by_the_state if {
	enforce_redirect.patch == {entry_points} with input.request.object as ingress("edge", {})
		with sluice.ingress.controller as "traefik"
}

test_host_without_certificate if {
	patched(json.patch(
		ingress("gce", {}),
		[{"op": "add", "path": "/spec/rules/-", "value": {"host": "www.example.com"}}],
	)) == set()
}

test_challenges_in_place if {
	patched(ingress("gce", {"acme.cert-manager.io/http01-edit-in-place": "true"})) == set()
	patched(ingress("traefik", {"acme.cert-manager.io/http01-edit-in-place": "false"})) == {entry_points}
}

# The second time changes nothing, and leaves ingress-https-redirect nothing to say.
test_twice_is_once if {
	every object in [
		ingress("gce", {}), ingress("traefik", {}), ingress("alb", {}),
		ingress("alb", {ports: `[{"HTTP":80},{"HTTPS":443}]`}),
	] {
		result := json.patch(object, [op | some op in patched(object)])
		result != object
		patched(result) == set()
		https_redirect.deny == set() with input.request.object as result
		https_redirect.warn == set() with input.request.object as result
	}
}
