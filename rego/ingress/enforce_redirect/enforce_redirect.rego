# METADATA
# title: HTTP is redirected or switched off where the controller needs an annotation for that
# description: >
#   nginx and HAProxy redirect a host with a certificate on their own; GCE, Traefik and ALB serve HTTP until an annotation
#   says otherwise. This adds the missing annotation: allow-http "false" for GCE, the entry point websecure for Traefik, and
#   for ALB ssl-redirect to the lowest HTTPS port of listen-ports, or both where listen-ports is missing and there is no
#   certificate-arn, with which the default is HTTPS. What someone wrote stays as it is. Only an Ingress whose every host is
#   covered by a certificate is changed, since the others, HTTP-01 solvers among them, have nothing to redirect to; also not
#   one where cert-manager solves its challenges in place, nor a member of an ALB group, whose members must agree on a port.
# related_resources:
#   - https://kubernetes.github.io/ingress-nginx/user-guide/tls/#server-side-https-enforcement-through-redirect
#   - https://github.com/haproxytech/kubernetes-ingress/blob/master/pkg/annotations/ingress/httpsRedirect.go
#   - https://github.com/kubernetes/ingress-gce/blob/master/pkg/annotations/ingress.go
#   - https://doc.traefik.io/traefik/routing/providers/kubernetes-ingress/
#   - https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/annotations/#ssl-redirect
#   - https://cert-manager.io/docs/usage/ingress/#supported-annotations
# custom:
#   severity: medium
#   kinds: [networking.k8s.io/Ingress]
#   judges:
#     - spec
#     - metadata.annotations["kubernetes.io/ingress.class"]
#     - metadata.annotations["kubernetes.io/ingress.allow-http"]
#     - metadata.annotations["traefik.ingress.kubernetes.io/router.entrypoints"]
#     - metadata.annotations["alb.ingress.kubernetes.io/listen-ports"]
#     - metadata.annotations["alb.ingress.kubernetes.io/ssl-redirect"]
#     - metadata.annotations["alb.ingress.kubernetes.io/certificate-arn"]
#     - metadata.annotations["alb.ingress.kubernetes.io/group.name"]
#     - metadata.annotations["acme.cert-manager.io/http01-edit-in-place"]
#     - metadata.annotations["nginx.ingress.kubernetes.io/server-alias"]
package sluice.ingress.enforce_redirect

import data.sluice.lib.redirect

# The controllers are named first, because an Ingress of any other is done with then.
patch contains {"op": "add", "path": path, "value": value} if {
	controller in {"gce", "traefik", "alb"}
	some name, value in missing
	not uncovered
	not edited_in_place
	path := sprintf("/metadata/annotations/%s", [replace(name, "/", "~1")])
}

# missing are the annotations to add, by name.
missing["kubernetes.io/ingress.allow-http"] := "false" if {
	controller == "gce"
	not annotations["kubernetes.io/ingress.allow-http"]
}

missing["traefik.ingress.kubernetes.io/router.entrypoints"] := "websecure" if {
	controller == "traefik"
	not annotations["traefik.ingress.kubernetes.io/router.entrypoints"]
}

missing["alb.ingress.kubernetes.io/ssl-redirect"] := sprintf("%d", [port]) if {
	alone_on_alb
	not annotations["alb.ingress.kubernetes.io/ssl-redirect"]
	ports := redirect.listen_ports(annotations["alb.ingress.kubernetes.io/listen-ports"])
	some ["HTTP", _] in ports
	port := min({p | some ["HTTPS", p] in ports})
}

missing["alb.ingress.kubernetes.io/ssl-redirect"] := "443" if alb_default_is_http

missing["alb.ingress.kubernetes.io/listen-ports"] := `[{"HTTP": 80}, {"HTTPS": 443}]` if alb_default_is_http

alb_default_is_http if {
	alone_on_alb
	not annotations["alb.ingress.kubernetes.io/listen-ports"]
	not annotations["alb.ingress.kubernetes.io/ssl-redirect"]
	not names_certificate
}

names_certificate if regex.match(`[^\s,]`, annotations["alb.ingress.kubernetes.io/certificate-arn"])

alone_on_alb if {
	controller == "alb"
	not annotations["alb.ingress.kubernetes.io/group.name"]
}

annotations := input.request.object.metadata.annotations

controller := sluice.ingress.controller(input.request.object)

edited_in_place if annotations["acme.cert-manager.io/http01-edit-in-place"] == "true"

uncovered if {
	some host in sluice.ingress.hosts(input.request.object)
	not host.covered
}
