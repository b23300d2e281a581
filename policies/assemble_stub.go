package policies

import "github.com/sluice-gate/sluice/policies/v1alpha1"

// Rejected is STUB.
type Rejected struct {
	Kind string
	Name string
	Err  error
}

// Kinds.
const (
	KindPolicy    = "GatePolicy"
	KindException = "GateException"
)

// Assemble is STUB.
func Assemble(o Options) (*Gate, []Rejected) {
	var good []v1alpha1.GatePolicy
	var out []Rejected
	for _, p := range o.Policies {
		if _, _, err := newPolicy(o.Library, &p); err != nil {
			out = append(out, Rejected{KindPolicy, p.Name, err})
			continue
		}
		good = append(good, p)
	}
	o.Policies = good
	ex := o.Exceptions
	o.Exceptions = nil
	g, err := NewGate(o)
	if err != nil {
		panic(err)
	}
	for _, e := range ex {
		var errs []error
		g.exceptions, errs = newExceptions([]v1alpha1.GateException{e}, g.policies, nil)
		if len(errs) > 0 {
			out = append(out, Rejected{KindException, e.Name, errs[0]})
		}
	}
	return g, out
}
