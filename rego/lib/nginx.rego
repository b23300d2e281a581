# METADATA
# title: Ingresses that nginx may serve
# description: >
#   Annotations and paths become nginx configuration only where an nginx controller serves the Ingress. One whose class is
#   unset or unknown may be served by any. Where spec.ingressClassName and the annotation kubernetes.io/ingress.class name
#   two classes, ingress-nginx goes by the annotation and others by the field, so that either counts.
# related_resources:
#   - https://github.com/kubernetes/ingress-nginx/blob/main/internal/ingress/controller/store/store.go
#   - https://kubernetes.io/docs/concepts/services-networking/ingress/#ingress-class
package sluice.lib.nginx

# may_serve holds unless every class that an Ingress names is another controller's.
may_serve(ingress) if sluice.ingress.controller(ingress) in {"nginx", ""}

may_serve(ingress) if {
	class := ingress.metadata.annotations["kubernetes.io/ingress.class"]
	sluice.ingress.controller({"metadata": {"annotations": {"kubernetes.io/ingress.class": class}}}) in {"nginx", ""}
}
