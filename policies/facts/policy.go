package facts

import (
	"fmt"
	"sync"

	networkingv1 "k8s.io/api/networking/v1"
)

// Policy is a NetworkPolicy that is asked about many times: what was computed
// of it is kept. It must not be changed, and is safe for concurrent use.
type Policy struct {
	*networkingv1.NetworkPolicy

	pods        func() (Selector, error)
	egressBound func() (Reach, error)
	meaning     func() (*meaning, error)
}

// NewPolicy makes a Policy of np, which must not be nil.
func NewPolicy(np *networkingv1.NetworkPolicy) *Policy {
	return &Policy{
		NetworkPolicy: np,
		pods:          sync.OnceValues(func() (Selector, error) { return podsOf(np) }),
		egressBound:   sync.OnceValues(func() (Reach, error) { return egressBound(np) }),
		meaning:       sync.OnceValues(func() (*meaning, error) { return meaningOf(np) }),
	}
}

// podsOf are the pods that np selects. The error names the field.
func podsOf(np *networkingv1.NetworkPolicy) (Selector, error) {
	pods, err := Compile(&np.Spec.PodSelector, Pods)
	if err != nil {
		return Selector{}, fmt.Errorf("spec.podSelector.%w", err)
	}
	return pods, nil
}

// areNeighbours reports whether a and b are two policies of one namespace, and
// not versions of one. A policy that has only a generateName yet is no version
// of any other.
func areNeighbours(a, b *networkingv1.NetworkPolicy) bool {
	return a.Namespace == b.Namespace && (a.Name != b.Name || a.Name == "")
}

// nameOf is the name of np, or its generateName and an ellipsis.
func nameOf(np *networkingv1.NetworkPolicy) string {
	if np.Name == "" && np.GenerateName != "" {
		return np.GenerateName + "…"
	}
	return np.Name
}
