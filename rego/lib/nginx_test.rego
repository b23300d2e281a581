package sluice.lib.nginx_test

import data.sluice.lib.nginx

# served tells whether nginx may serve an Ingress whose class is named by the field, by the annotation or by both.
served(field, annotation) if {
	nginx.may_serve({
		"metadata": {"annotations": {name: value | some name, value in {"kubernetes.io/ingress.class": annotation}; value != ""}},
		"spec": {name: value | some name, value in {"ingressClassName": field}; value != ""},
	})
}

test_class if {
	served("nginx", "")
	served("", "nginx")
	not served("haproxy", "")
	not served("", "haproxy")
}

test_unset_or_unknown if {
	served("", "")
	served("edge", "")
	nginx.may_serve({"metadata": {"annotations": null}, "spec": {}})
	nginx.may_serve({})
}

test_two_classes if {
	served("haproxy", "nginx")
	served("haproxy", "edge")
	served("nginx", "haproxy")
	not served("haproxy", "traefik")
}
