package facts

import (
	"slices"
	"unique"
)

// Policies are policies of one namespace, with a label of each that its pods
// must have: who looks for those that concern some pods reads these in one
// sequence, and leaves most policies alone. The zero value is none.
type Policies struct {
	each []*Policy
	pins []pin // of each
}

// pin is a label with which all pods are that a selector selects. The zero
// value is for a selector without one.
type pin struct{ key, value unique.Handle[string] }

// apart reports whether no pod has both.
func (p pin) apart(q pin) bool { return p.key == q.key && p.value != q.value }

// NewPolicies takes policies, of which none may be nil.
func NewPolicies(each []*Policy) Policies { return Policies{}.Replace(0, 0, each) }

// Replace is like slices.Replace, but p stays as it is.
func (p Policies) Replace(i, j int, with []*Policy) Policies {
	pins := make([]pin, len(with))
	for k, policy := range with {
		pins[k] = policy.pin()
	}
	return Policies{slices.Concat(p.each[:i], with, p.each[j:]), slices.Concat(p.pins[:i], pins, p.pins[j:])}
}

// All are the policies in their order. They must not be changed.
func (p Policies) All() []*Policy { return p.each }

// meeting are those that may select some pods of one policy or another, which
// may be nil, and are neighbours of both.
func (p Policies) meeting(one, another *Policy) []*Policy {
	var found []*Policy
	here, there := one.pin(), another.pin()
	for i, pinned := range p.pins {
		if (one == nil || pinned.apart(here)) && (another == nil || pinned.apart(there)) {
			continue
		}
		if q := p.each[i]; q.mayMeet(one) || q.mayMeet(another) {
			found = append(found, q)
		}
	}
	return found
}

// pin is the first label, by its key, that has only one value in pods of p.
func (p *Policy) pin() pin {
	if p == nil {
		return pin{}
	}
	pods, err := p.pods()
	if err != nil {
		return pin{}
	}
	for _, c := range pods.constraints {
		if a := c.admits; !a.absent && !a.others && len(a.listed) == 1 {
			return pin{unique.Make(c.key), unique.Make(a.listed[0])}
		}
	}
	return pin{}
}
