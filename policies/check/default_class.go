package check

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/state"
)

// defaultClassAnnotation marks the IngressClass that the API server's admission plugin DefaultIngressClass
// gives to a new Ingress without class (k8s.io/api/networking/v1, AnnotationIsDefaultIngressClass).
const defaultClassAnnotation = "ingressclass.kubernetes.io/is-default-class"

// WithDefaultClass is a new Ingress as that plugin leaves it, where these objects exist: of several default classes
// the newest counts, then the first by name. Any other object stays as it is.
func WithDefaultClass(object engine.Document, existing state.Files) (engine.Document, error) {
	const networking = "networking.k8s.io"
	spec := object.Get("spec")
	if identityOf(object).kind != (schema.GroupKind{Group: networking, Kind: "Ingress"}) || spec.Get("ingressClassName").Exists() ||
		object.Get("metadata", "annotations", "kubernetes.io/ingress.class").Exists() {
		return object, nil
	}
	classes, err := existing.List(schema.GroupKind{Group: networking, Kind: "IngressClass"}, "")
	if err != nil {
		return object, err
	}
	classes = slices.DeleteFunc(classes, func(class engine.Document) bool {
		return class.Get("metadata", "annotations", defaultClassAnnotation).Text() != "true"
	})
	if len(classes) == 0 {
		return object, nil
	}
	newest := slices.MaxFunc(classes, func(a, b engine.Document) int {
		return cmp.Or(cmp.Compare(a.Get("metadata", "creationTimestamp").Text(), b.Get("metadata", "creationTimestamp").Text()),
			cmp.Compare(b.Get("metadata", "name").Text(), a.Get("metadata", "name").Text()))
	})
	return object.With("spec", spec.With("ingressClassName", newest.Get("metadata", "name"))), nil
}
