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
#   judges:
#     - spec
#     - metadata.annotations["kubernetes.io/ingress.class"]
#     - metadata.annotations["kubernetes.io/ingress.allow-http"]
#     - metadata.annotations["nginx.ingress.kubernetes.io/ssl-redirect"]
#     - metadata.annotations["nginx.ingress.kubernetes.io/force-ssl-redirect"]
#     - metadata.annotations["haproxy.org/ssl-redirect"]
#     - metadata.annotations["haproxy.com/ssl-redirect"]
#     - metadata.annotations["haproxy-ingress.github.io/ssl-redirect"]
#     - metadata.annotations["ingress.kubernetes.io/ssl-redirect"]
#     - metadata.annotations["traefik.ingress.kubernetes.io/router.entrypoints"]
#     - metadata.annotations["alb.ingress.kubernetes.io/listen-ports"]
#     - metadata.annotations["alb.ingress.kubernetes.io/ssl-redirect"]
#     - metadata.annotations["alb.ingress.kubernetes.io/certificate-arn"]
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
	some name, value in annotations
	some found in plaintext(name, value)
	not solver
	field := sprintf("metadata.annotations[%s]", [name])
}

deny contains {"msg": msg, "field": field, "fix": fix} if {
	controller == "gce"
	not annotations["kubernetes.io/ingress.allow-http"]
	not solver
	msg := "ingress.allow-http is missing, which means true: the GCE load balancer serves plaintext HTTP"
	field := "metadata.annotations[kubernetes.io/ingress.allow-http]"
	fix := `kubernetes.io/ingress.allow-http: "false"`
}

warn contains {"msg": msg, "field": field, "fix": fix} if {
	controller == "traefik"
	not names_entry_point
	not solver
	msg := "router.entrypoints is missing: Traefik serves plaintext HTTP on its default entry points"
	field := "metadata.annotations[traefik.ingress.kubernetes.io/router.entrypoints]"
	fix := "traefik.ingress.kubernetes.io/router.entrypoints: websecure"
}

warn contains {"msg": msg, "field": field, "fix": fix} if {
	controller == "alb"
	not annotations["alb.ingress.kubernetes.io/listen-ports"]
	not names_certificate
	not solver
	msg := "listen-ports is missing: the load balancer serves plaintext HTTP on port 80"
	field := "metadata.annotations[alb.ingress.kubernetes.io/listen-ports]"
	fix := `alb.ingress.kubernetes.io/listen-ports: '[{"HTTPS": 443}]'`
}

# plaintext is how an annotation keeps HTTP open, by its name, so that all others cost one look-up.
plaintext("nginx.ingress.kubernetes.io/ssl-redirect", value) := {{"msg": msg, "fix": fix}} if {
	value in redirect.false_words
	serves("nginx")
	not forced
	msg := sprintf("ssl-redirect is %q: nginx serves plaintext HTTP beside HTTPS", [value])
	fix := `nginx.ingress.kubernetes.io/ssl-redirect: "true"`
}

plaintext("haproxy-ingress.github.io/ssl-redirect", value) := haproxy("haproxy-ingress.github.io", value) if {
	value in redirect.false_words
}

plaintext("ingress.kubernetes.io/ssl-redirect", value) := haproxy("ingress.kubernetes.io", value) if {
	value in redirect.false_words
}

plaintext("haproxy.org/ssl-redirect", value) := haproxy("haproxy.org", value) if haproxytech_false(value)

plaintext("haproxy.com/ssl-redirect", value) := haproxy("haproxy.com", value) if haproxytech_false(value)

plaintext("traefik.ingress.kubernetes.io/router.entrypoints", value) := {{"msg": msg, "fix": fix}} if {
	"web" in redirect.entry_points(value)
	serves("traefik")
	msg := sprintf("router.entrypoints is %.80q: Traefik serves plaintext HTTP on web", [value])
	fix := "traefik.ingress.kubernetes.io/router.entrypoints: websecure"
}

plaintext("alb.ingress.kubernetes.io/listen-ports", value) := found if {
	ports := redirect.listen_ports(value)
	serves("alb")
	not redirects
	found := {{"msg": msg, "fix": alb_fix} |
		some ["HTTP", port] in ports
		msg := sprintf("listen-ports opens HTTP on port %d and ssl-redirect names no port: the load balancer serves plaintext", [port])
	}
}

plaintext("alb.ingress.kubernetes.io/listen-ports", value) := {{"msg": msg, "fix": fix}} if {
	not redirect.listen_ports(value)
	serves("alb")
	msg := sprintf("listen-ports is %.80q, which can't be read: whether HTTP is open is unknown", [value])
	fix := `alb.ingress.kubernetes.io/listen-ports: '[{"HTTPS": 443}]'`
}

plaintext("kubernetes.io/ingress.allow-http", value) := {{"msg": msg, "fix": fix}} if {
	not value in redirect.false_words
	serves("gce")
	msg := sprintf("ingress.allow-http is %.80q: the GCE load balancer serves plaintext HTTP", [value])
	fix := `kubernetes.io/ingress.allow-http: "false"`
}

haproxy(prefix, value) := {{"msg": msg, "fix": fix}} if {
	serves("haproxy")
	msg := sprintf("ssl-redirect is %.80q: HAProxy serves plaintext HTTP beside HTTPS", [value])
	fix := sprintf(`%s/ssl-redirect: "true"`, [prefix])
}

# haproxytech_false is what HAProxy Technologies' controller takes for false: all that isn't true, but for nothing.
haproxytech_false(value) if {
	value != ""
	not value in redirect.true_words
	not lower(value) in {"on", "enabled"}
}

annotations := input.request.object.metadata.annotations

controller := sluice.ingress.controller(input.request.object)

# serves tells whether the annotations of a controller count.
serves(name) if controller in {name, ""}

# forced redirects whatever nginx's ssl-redirect says.
forced if annotations["nginx.ingress.kubernetes.io/force-ssl-redirect"] in redirect.true_words

# redirects names the port to which ALB redirects.
redirects if regex.match(`^[0-9]+$`, annotations["alb.ingress.kubernetes.io/ssl-redirect"])

# names_certificate holds for an ALB whose default is HTTPS.
names_certificate if regex.match(`[^\s,]`, annotations["alb.ingress.kubernetes.io/certificate-arn"])

names_entry_point if {
	redirect.entry_points(annotations["traefik.ingress.kubernetes.io/router.entrypoints"]) != []
}

solver if acme.sends_solver(input.request, input.parameters.acmeSolvers)

# alb_fix redirects to a port that speaks HTTPS, or leaves HTTP out where there is none.
alb_fix := sprintf(`alb.ingress.kubernetes.io/ssl-redirect: "%d"`, [port]) if {
	port := min({p | some ["HTTPS", p] in redirect.listen_ports(annotations["alb.ingress.kubernetes.io/listen-ports"])})
} else := `alb.ingress.kubernetes.io/listen-ports: '[{"HTTPS": 443}]'`
