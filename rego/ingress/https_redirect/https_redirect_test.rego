package sluice.ingress.https_redirect_test

import data.sluice.ingress.https_redirect

parameters := {"acmeSolvers": ["system:serviceaccount:cert-manager:cert-manager"]}

ingress(class, annotations) := {
	"metadata": {"annotations": annotations},
	"spec": {"ingressClassName": class, "rules": [{"host": "shop.example.com"}]},
}

# outcome is what the rule says of an Ingress.
outcome(object) := {"deny": denied, "warn": warned} if {
	denied := https_redirect.deny with input.request.object as object
		with input.parameters as parameters
	warned := https_redirect.warn with input.request.object as object
		with input.parameters as parameters
}

nothing := {"deny": set(), "warn": set()}

refused(msg, annotation, fix) := {
	"deny": {{"msg": msg, "field": sprintf("metadata.annotations[%s]", [annotation]), "fix": fix}},
	"warn": set(),
}

warned(msg, annotation, fix) := {
	"deny": set(),
	"warn": {{"msg": msg, "field": sprintf("metadata.annotations[%s]", [annotation]), "fix": fix}},
}

nginx := "nginx.ingress.kubernetes.io/ssl-redirect"

# METADATA
# title: nginx is told not to redirect
# custom: {example: refused}
test_nginx if {
	every value in ["false", "False", "FALSE", "f", "F", "0"] {
		outcome(ingress("nginx", {nginx: value})) == refused(
			sprintf("ssl-redirect is %q: nginx serves plaintext HTTP beside HTTPS", [value]),
			nginx,
			`nginx.ingress.kubernetes.io/ssl-redirect: "true"`,
		)
	}
}

# What nginx can't read is its default, which redirects.
# METADATA
# title: nginx redirects
# custom: {example: admitted}
test_nginx_redirects if {
	every value in ["true", "1", "T", "off", "no", " false", ""] {
		outcome(ingress("nginx", {nginx: value})) == nothing
	}
	outcome(ingress("nginx", {})) == nothing
	outcome(ingress("nginx", null)) == nothing
	outcome({"spec": {"ingressClassName": "nginx"}}) == nothing
}

test_nginx_forced if {
	every value in ["true", "1"] {
		outcome(ingress("nginx", {nginx: "false", "nginx.ingress.kubernetes.io/force-ssl-redirect": value})) == nothing
	}
	every value in ["false", "yes"] {
		outcome(ingress("nginx", {
			nginx: "false",
			"nginx.ingress.kubernetes.io/force-ssl-redirect": value,
		})) == outcome(ingress("nginx", {nginx: "false"}))
	}
}

test_nginx_without_class if {
	outcome({"metadata": {"annotations": {nginx: "false"}}, "spec": {}}) == outcome(ingress("nginx", {nginx: "false"}))
}

test_nginx_with_unknown_class if {
	outcome(ingress("edge", {nginx: "false"})) == outcome(ingress("nginx", {nginx: "false"}))
}

test_nginx_annotation_of_another_class if outcome(ingress("haproxy", {nginx: "false"})) == nothing

test_class_resolved_by_the_state if {
	object := ingress("edge", {nginx: "false"})
	https_redirect.deny == set() with input.request.object as object
		with input.parameters as parameters
		with sluice.ingress.controller as "haproxy"
	https_redirect.deny == outcome(object).deny with input.request.object as object
		with input.parameters as parameters
		with sluice.ingress.controller as "nginx"
}

test_haproxy if {
	every name, values in {
		"haproxy.org/ssl-redirect": ["false", "0", "off", "Disabled", "no"],
		"haproxy.com/ssl-redirect": ["false", "OFF"],
		"haproxy-ingress.github.io/ssl-redirect": ["false", "F"],
		"ingress.kubernetes.io/ssl-redirect": ["false"],
	} {
		every value in values {
			outcome(ingress("haproxy", {name: value})) == refused(
				sprintf("ssl-redirect is %q: HAProxy serves plaintext HTTP beside HTTPS", [value]),
				name,
				sprintf(`%s: "true"`, [name]),
			)
		}
	}
}

test_haproxy_redirects if {
	every name, values in {
		"haproxy.org/ssl-redirect": ["true", "1", "on", "Enabled", ""],
		"haproxy-ingress.github.io/ssl-redirect": ["true", "off", "no", ""],
		"haproxy.org/ssl-redirect-code": ["0"],
	} {
		every value in values {
			outcome(ingress("haproxy", {name: value})) == nothing
		}
	}
}

test_haproxy_annotations_of_another_class if {
	outcome(ingress("nginx", {
		"haproxy.org/ssl-redirect": "false",
		"haproxy-ingress.github.io/ssl-redirect": "false",
	})) == nothing
}

traefik := "traefik.ingress.kubernetes.io/router.entrypoints"

test_traefik if {
	every value in ["web", "web,websecure", " websecure , web "] {
		outcome(ingress("traefik", {traefik: value})) == refused(
			sprintf("router.entrypoints is %q: Traefik serves plaintext HTTP on web", [value]),
			traefik,
			"traefik.ingress.kubernetes.io/router.entrypoints: websecure",
		)
	}
}

test_another_annotation_with_such_a_value if {
	outcome(ingress("nginx", {"example.com/x": "web", "example.com/y": `[{"HTTP": 80}]`})) == nothing
	outcome(ingress("traefik", {traefik: "websecure", "example.com/x": "web"})) == nothing
	outcome(ingress("alb", {ports: `[{"HTTPS": 443}]`, "example.com/y": `[{"HTTP": 80}]`})) == nothing
}

test_traefik_secure if {
	outcome(ingress("traefik", {traefik: "websecure, internal-web"})) == nothing
}

test_traefik_default if {
	every annotations in [{}, {traefik: " , "}, null] {
		outcome(ingress("traefik", annotations)) == warned(
			"router.entrypoints is missing: Traefik serves plaintext HTTP on its default entry points",
			traefik,
			"traefik.ingress.kubernetes.io/router.entrypoints: websecure",
		)
	}
}

test_traefik_annotation_of_another_class if outcome(ingress("nginx", {traefik: "web"})) == nothing

ports := "alb.ingress.kubernetes.io/listen-ports"

port := "alb.ingress.kubernetes.io/ssl-redirect"

test_alb if {
	every value in ["", "false"] {
		outcome(ingress("alb", {
			ports: `[{"HTTP": 80}, {"HTTPS": 8443}, {"HTTPS": 443}]`,
			port: value,
		})) == refused(
			"listen-ports opens HTTP on port 80 and ssl-redirect names no port: the load balancer serves plaintext",
			ports,
			`alb.ingress.kubernetes.io/ssl-redirect: "443"`,
		)
	}
}

test_alb_without_https if {
	outcome(ingress("alb", {ports: `[{"HTTP":8080}]`})) == refused(
		"listen-ports opens HTTP on port 8080 and ssl-redirect names no port: the load balancer serves plaintext",
		ports,
		`alb.ingress.kubernetes.io/listen-ports: '[{"HTTPS": 443}]'`,
	)
}

test_alb_redirects if {
	outcome(ingress("alb", {ports: `[{"HTTP": 80}, {"HTTPS":443}]`, port: "443"})) == nothing
}

test_alb_without_http if outcome(ingress("alb", {ports: `[{"HTTPS":443}]`})) == nothing

test_alb_unreadable if {
	outcome(ingress("alb", {ports: "80,443"})) == refused(
		`listen-ports is "80,443", which can't be read: whether HTTP is open is unknown`,
		ports,
		`alb.ingress.kubernetes.io/listen-ports: '[{"HTTPS": 443}]'`,
	)
}

test_alb_unreadable_text_is_cut if {
	outcome(ingress("alb", {ports: concat("", [x | some _ in numbers.range(1, 9999); x := "x"])})) == refused(
		sprintf("listen-ports is %q, which can't be read: whether HTTP is open is unknown", [concat("", [x |
			some _ in numbers.range(1, 80)
			x := "x"
		])]),
		ports,
		`alb.ingress.kubernetes.io/listen-ports: '[{"HTTPS": 443}]'`,
	)
}

test_alb_default if {
	outcome(ingress("alb", {})) == warned(
		"listen-ports is missing: the load balancer serves plaintext HTTP on port 80",
		ports,
		`alb.ingress.kubernetes.io/listen-ports: '[{"HTTPS": 443}]'`,
	)
}

test_alb_default_with_certificate_left_blank if {
	every blank in ["", " , "] {
		outcome(ingress("alb", {"alb.ingress.kubernetes.io/certificate-arn": blank})) == outcome(ingress("alb", {}))
	}
}

# With a certificate named, the default is HTTPS on port 443 alone.
test_alb_default_with_certificate if {
	outcome(ingress("alb", {"alb.ingress.kubernetes.io/certificate-arn": "arn:aws:acm:eu-west-1:1:certificate/1"})) == nothing
}

test_alb_annotations_of_another_class if {
	outcome(ingress("nginx", {ports: `[{"HTTP": 80}]`})) == nothing
	outcome(ingress("nginx", {ports: "?"})) == nothing
}

gce := "kubernetes.io/ingress.allow-http"

test_gce if {
	every value in ["true", "1", "no", "off", ""] {
		outcome(ingress("gce", {gce: value})) == refused(
			sprintf("ingress.allow-http is %q: the GCE load balancer serves plaintext HTTP", [value]),
			gce,
			`kubernetes.io/ingress.allow-http: "false"`,
		)
	}
}

test_gce_default if {
	every class in ["gce", "gce-internal"] {
		outcome(ingress(class, {})) == refused(
			"ingress.allow-http is missing, which means true: the GCE load balancer serves plaintext HTTP",
			gce,
			`kubernetes.io/ingress.allow-http: "false"`,
		)
	}
}

test_gce_switched_off if {
	every value in ["false", "0", "F"] {
		outcome(ingress("gce", {gce: value})) == nothing
	}
}

test_gce_annotation_of_another_class if outcome(ingress("nginx", {gce: "true"})) == nothing

test_gce_annotation_without_class if {
	outcome({"metadata": {"annotations": {gce: "true"}}, "spec": {}}) == outcome(ingress("gce", {gce: "true"}))
}

# Nobody needs an annotation while it is open which controller serves the Ingress.
test_nothing_missing_without_class if {
	outcome({"metadata": {}, "spec": {}}) == nothing
	outcome(ingress("edge", {})) == nothing
}

solver(class) := {
	"metadata": {
		"labels": {"acme.cert-manager.io/http01-solver": "true"},
		"annotations": {"kubernetes.io/ingress.class": class},
	},
	"spec": {"rules": [{
		"host": "shop.example.com",
		"http": {"paths": [{"path": "/.well-known/acme-challenge/token", "pathType": "Exact"}]},
	}]},
}

test_solver if {
	every class in ["gce", "traefik", "alb"] {
		request := {
			"userInfo": {"username": "system:serviceaccount:cert-manager:cert-manager"},
			"object": solver(class),
		}
		https_redirect.deny == set() with input.request as request
			with input.parameters as parameters
		https_redirect.warn == set() with input.request as request
			with input.parameters as parameters
	}
}

test_solver_by_another_user if {
	https_redirect.deny == outcome(ingress("gce", {})).deny with input.request as {
		"userInfo": {"username": "ann"},
		"object": solver("gce"),
	}
		with input.parameters as parameters
}
