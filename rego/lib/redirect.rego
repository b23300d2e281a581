# METADATA
# title: How ingress controllers read the annotations that redirect to HTTPS
# description: >
#   Which controller serves an Ingress, and what its booleans and lists mean to it.
# related_resources:
#   - https://pkg.go.dev/strconv#ParseBool
#   - https://kubernetes.io/docs/concepts/services-networking/ingress/#ingress-class
#   - https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/main/pkg/ingress/model_build_listener.go
package sluice.lib.redirect

# true_words and false_words are the booleans of Go's strconv.ParseBool, which nginx, haproxy-ingress and GCE read. They
# take any other text for no answer at all.
true_words := {"1", "t", "T", "true", "True", "TRUE"}

false_words := {"0", "f", "F", "false", "False", "FALSE"}

# controller is nginx, haproxy, traefik, alb or gce, by the name of the Ingress's class or else by the IngressClass of that
# name in the state; empty for a class that is unset or unknown.
controller(ingress) := name if {
	name := sluice.ingress.controller(ingress)
	name != ""
} else := name if {
	class := sluice.ingress.class(ingress)
	class != ""
	implementation := sluice.state.get("networking.k8s.io/IngressClass", "", class).spec.controller
	some prefix, name in implementations
	startswith(implementation, prefix)
} else := ""

# implementations are the controllers by the beginning of IngressClass.spec.controller.
implementations := {
	"k8s.io/ingress-nginx": "nginx",
	"haproxy.org/ingress-controller": "haproxy",
	"haproxy-ingress.github.io/controller": "haproxy",
	"traefik.io/ingress-controller": "traefik",
	"ingress.k8s.aws/alb": "alb",
	"eks.amazonaws.com/alb": "alb",
	"k8s.io/ingress-gce": "gce",
}

# entry_points are the names that a Traefik list holds.
entry_points(text) := [name |
	some part in split(text, ",")
	name := trim_space(part)
	name != ""
]

# listen_ports are the pairs of protocol and port of an ALB's listen-ports; undefined where the controller can't read it.
listen_ports(text) := ports if {
	json.is_valid(text)
	entries := json.unmarshal(text)
	is_array(entries)
	every entry in entries {
		is_object(entry)
	}
	ports := {[protocol, port] |
		some entry in entries
		some protocol, port in entry
	}
	count(ports) > 0
	every pair in ports {
		pair[0] in {"HTTP", "HTTPS"}
		regex.match(`^[1-9][0-9]{0,4}$`, json.marshal(pair[1]))
		pair[1] <= 65535
	}
}
