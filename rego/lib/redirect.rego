# METADATA
# title: How ingress controllers read the annotations that redirect to HTTPS
# description: >
#   What the booleans and lists in annotations mean to the controllers that read them.
# related_resources:
#   - https://pkg.go.dev/strconv#ParseBool
#   - https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/main/pkg/ingress/model_build_listener.go
package sluice.lib.redirect

# true_words and false_words are the booleans of Go's strconv.ParseBool, which nginx, haproxy-ingress and GCE read. They
# take any other text for no answer at all.
true_words := {"1", "t", "T", "true", "True", "TRUE"}

false_words := {"0", "f", "F", "false", "False", "FALSE"}

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
