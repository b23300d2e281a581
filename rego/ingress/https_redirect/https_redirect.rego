# METADATA
# title: An Ingress does not keep plaintext HTTP open
# description: >
#   A certificate does not help whoever still arrives over HTTP. Controllers redirect such requests or don't listen for
#   them, unless an annotation says otherwise; a few need an annotation to do so. An annotation counts if its controller
#   serves the class of the Ingress, or the class is unset or unknown. It is read as the controller reads it: Go's
#   strconv.ParseBool, and for haproxy.org also on, off, enabled, disabled and whatever else, which is false. An ALB without
#   listen-ports and a Traefik router without entry points are warned about, because their defaults serve HTTP; an ALB with
#   certificate-arn is not, because its default is HTTPS. The Ingress of an HTTP-01 solver is excused if cert-manager sends
#   it.
# related_resources:
#   - https://kubernetes.github.io/ingress-nginx/user-guide/tls/#server-side-https-enforcement-through-redirect
#   - https://github.com/haproxytech/kubernetes-ingress/blob/master/pkg/annotations/ingress/httpsRedirect.go
#   - https://github.com/jcmoraisjr/haproxy-ingress/blob/master/pkg/converters/ingress/annotations/validator.go
#   - https://doc.traefik.io/traefik/routing/providers/kubernetes-ingress/
#   - https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/annotations/#listen-ports
#   - https://github.com/kubernetes/ingress-gce/blob/master/pkg/annotations/ingress.go
# custom:
#   severity: medium
#   kinds: [networking.k8s.io/Ingress]
#   state: [networking.k8s.io/IngressClass]
#   parameters:
#     type: object
#     properties:
#       acmeSolvers:
#         description: users whose HTTP-01 solver Ingresses may be reached over plaintext
#         type: array
#         items: {type: string}
#         default: ["system:serviceaccount:cert-manager:cert-manager"]
#     additionalProperties: false
package sluice.ingress.https_redirect

import data.sluice.lib.acme
import data.sluice.lib.redirect

deny contains {"msg": found.msg, "field": field, "fix": found.fix} if {
	some found in plaintext
	not solver
	field := sprintf("metadata.annotations[%s]", [found.annotation])
}

warn contains {"msg": found.msg, "field": field, "fix": found.fix} if {
	some found in defaults
	not solver
	field := sprintf("metadata.annotations[%s]", [found.annotation])
}

# plaintext are the annotations that keep HTTP open, by the controller that reads them.
plaintext contains {"annotation": name, "msg": msg, "fix": fix} if {
	name := "nginx.ingress.kubernetes.io/ssl-redirect"
	value := annotations[name]
	value in redirect.false_words
	not forced
	serves.nginx
	msg := sprintf("ssl-redirect is %q: nginx serves plaintext HTTP beside HTTPS", [value])
	fix := sprintf(`%s: "true"`, [name])
}

plaintext contains {"annotation": name, "msg": msg, "fix": fix} if {
	some name in {"haproxy-ingress.github.io/ssl-redirect", "ingress.kubernetes.io/ssl-redirect"}
	value := annotations[name]
	value in redirect.false_words
	serves.haproxy
	msg := haproxy_message(value)
	fix := sprintf(`%s: "true"`, [name])
}

plaintext contains {"annotation": name, "msg": msg, "fix": fix} if {
	some name in {"haproxy.org/ssl-redirect", "haproxy.com/ssl-redirect"}
	value := annotations[name]
	value != ""
	not value in redirect.true_words
	not lower(value) in {"on", "enabled"}
	serves.haproxy
	msg := haproxy_message(value)
	fix := sprintf(`%s: "true"`, [name])
}

plaintext contains {"annotation": name, "msg": msg, "fix": fix} if {
	name := "traefik.ingress.kubernetes.io/router.entrypoints"
	points := redirect.entry_points(annotations[name])
	"web" in points
	serves.traefik
	msg := sprintf("router.entrypoints is %.80q: Traefik serves plaintext HTTP on web", [annotations[name]])
	fix := sprintf("%s: websecure", [name])
}

plaintext contains {"annotation": name, "msg": msg, "fix": fix} if {
	name := "alb.ingress.kubernetes.io/listen-ports"
	some [protocol, port] in redirect.listen_ports(annotations[name])
	protocol == "HTTP"
	not redirects
	serves.alb
	msg := sprintf("listen-ports opens HTTP on port %d and ssl-redirect names no port: the load balancer serves plaintext", [port])
	fix := alb_fix
}

plaintext contains {"annotation": name, "msg": msg, "fix": fix} if {
	name := "alb.ingress.kubernetes.io/listen-ports"
	value := annotations[name]
	not redirect.listen_ports(value)
	serves.alb
	msg := sprintf("listen-ports is %.80q, which can't be read: whether HTTP is open is unknown", [value])
	fix := sprintf(`%s: '[{"HTTPS": 443}]'`, [name])
}

plaintext contains {"annotation": name, "msg": msg, "fix": fix} if {
	name := "kubernetes.io/ingress.allow-http"
	value := annotations[name]
	not value in redirect.false_words
	serves.gce
	msg := sprintf("ingress.allow-http is %.80q: the GCE load balancer serves plaintext HTTP", [value])
	fix := sprintf(`%s: "false"`, [name])
}

plaintext contains {"annotation": name, "msg": msg, "fix": fix} if {
	name := "kubernetes.io/ingress.allow-http"
	controller == "gce"
	not annotations[name]
	msg := "ingress.allow-http is missing, which means true: the GCE load balancer serves plaintext HTTP"
	fix := sprintf(`%s: "false"`, [name])
}

# defaults are the annotations that are missing where the controller's default serves HTTP.
defaults contains {"annotation": name, "msg": msg, "fix": fix} if {
	controller == "traefik"
	name := "traefik.ingress.kubernetes.io/router.entrypoints"
	not names_entry_point
	msg := "router.entrypoints is missing: Traefik serves plaintext HTTP on its default entry points"
	fix := sprintf("%s: websecure", [name])
}

defaults contains {"annotation": name, "msg": msg, "fix": fix} if {
	controller == "alb"
	name := "alb.ingress.kubernetes.io/listen-ports"
	not annotations[name]
	not annotations["alb.ingress.kubernetes.io/certificate-arn"]
	msg := "listen-ports is missing: the load balancer serves plaintext HTTP on port 80"
	fix := sprintf(`%s: '[{"HTTPS": 443}]'`, [name])
}

annotations := input.request.object.metadata.annotations

controller := redirect.controller(input.request.object)

# serves are the controllers whose annotations count.
serves[name] if {
	some name in {"nginx", "haproxy", "traefik", "alb", "gce"}
	controller in {name, ""}
}

# forced redirects whatever nginx's ssl-redirect says.
forced if annotations["nginx.ingress.kubernetes.io/force-ssl-redirect"] in redirect.true_words

# redirects names the port to which ALB redirects.
redirects if regex.match(`^[0-9]+$`, annotations["alb.ingress.kubernetes.io/ssl-redirect"])

names_entry_point if {
	redirect.entry_points(annotations["traefik.ingress.kubernetes.io/router.entrypoints"]) != []
}

solver if acme.sends_solver(input.request, input.parameters.acmeSolvers)

haproxy_message(value) := sprintf("ssl-redirect is %.80q: HAProxy serves plaintext HTTP beside HTTPS", [value])

# alb_fix redirects to a port that speaks HTTPS, or leaves HTTP out where there is none.
alb_fix := sprintf(`alb.ingress.kubernetes.io/ssl-redirect: "%d"`, [port]) if {
	port := min({p | some ["HTTPS", p] in redirect.listen_ports(annotations["alb.ingress.kubernetes.io/listen-ports"])})
} else := `alb.ingress.kubernetes.io/listen-ports: '[{"HTTPS": 443}]'`
