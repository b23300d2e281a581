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

	selected computed[Selector]
	reach    computed[Reach]
	means    computed[*meaning]
}

// NewPolicy makes a Policy of np, which must not be nil.
func NewPolicy(np *networkingv1.NetworkPolicy) *Policy { return &Policy{NetworkPolicy: np} }

func (p *Policy) pods() (Selector, error)     { return p.selected.of(p.NetworkPolicy, podsOf) }
func (p *Policy) egressBound() (Reach, error) { return p.reach.of(p.NetworkPolicy, egressBound) }
func (p *Policy) meaning() (*meaning, error)  { return p.means.of(p.NetworkPolicy, meaningOf) }

// mayMeet reports whether p and its neighbour q, which may be nil, select some
// pods both, as far as their selectors have a meaning.
func (p *Policy) mayMeet(q *Policy) bool {
	if q == nil || !areNeighbours(p.NetworkPolicy, q.NetworkPolicy) {
		return false
	}
	ours, err := p.pods()
	if err != nil {
		return true
	}
	theirs, err := q.pods()
	return err != nil || theirs.Overlap(ours)
}

// computed is what is computed of a policy when it is first asked for, as by
// sync.OnceValues. It lies within the Policy, so that who looks at all policies
// of a namespace reads little memory.
type computed[T any] struct {
	once  sync.Once
	done  bool
	value T
	err   error
}

func (c *computed[T]) of(np *networkingv1.NetworkPolicy, compute func(*networkingv1.NetworkPolicy) (T, error)) (T, error) {
	c.once.Do(func() {
		c.value, c.err = compute(np)
		c.done = true
	})
	if !c.done {
		panic("what a NetworkPolicy means can't be told: it panicked before")
	}
	return c.value, c.err
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
