package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/open-policy-agent/opa/v1/storage"
)

// Policy is a rule with parameters under a name of its own.
type Policy struct {
	Name       string
	Rule       *Rule
	Parameters map[string]any
}

// Program is an immutable set of compiled policies. Each stands in a package of its own with its
// parameters bound, so that policies never see each other, whatever their modules are called.
type Program struct {
	policies []Policy
	seats    []seat // of policies
	units    []*unit
	budget   Budget
}

// seat is where a policy is compiled.
type seat struct {
	unit  *unit
	index int // in the unit's policies
}

// A PolicyError is a policy that can't be part of a program.
type PolicyError struct {
	Policy string
	Err    error
}

// Error implements error.
func (e *PolicyError) Error() string { return fmt.Sprintf("policy %q: %v", e.Policy, e.Err) }

// Unwrap implements errors.Unwrap.
func (e *PolicyError) Unwrap() error { return e.Err }

// Compile builds a program. What previous, which may be nil, has compiled of unchanged policies is taken over: a
// policy is unchanged if name, rule and parameters are. The error joins a *PolicyError for every policy that is
// refused; the others would compile without them.
func Compile(policies []Policy, budget Budget, previous *Program) (*Program, error) {
	return compileProgram(policies, budget, previous, true)
}

// Try is Compile for a program that is asked little and soon dropped: it compiles no unchanged policy anew for the sake of
// being asked together.
func Try(policies []Policy, budget Budget, previous *Program) (*Program, error) {
	return compileProgram(policies, budget, previous, false)
}

func compileProgram(policies []Policy, budget Budget, previous *Program, compact bool) (*Program, error) {
	p := &Program{policies: policies, seats: make([]seat, len(policies)), budget: budget}
	indexes := make(map[string]int, len(policies))
	var errs []error
	for i, policy := range policies {
		if _, taken := indexes[policy.Name]; taken {
			errs = append(errs, &PolicyError{policy.Name, errors.New("another policy has the same name")})
		}
		indexes[policy.Name] = i
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	kept, changed := allot(policies, indexes, previous, compact)
	p.units = kept
	for _, group := range changed {
		units, refused := compileUnits(group)
		p.units, errs = append(p.units, units...), append(errs, refused...)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	for _, u := range p.units {
		for i, policy := range u.policies {
			p.seats[indexes[policy.Name]] = seat{u, i}
		}
	}
	return p, nil
}

// Policies are the program's policies, in the order in which Compile got them.
func (p *Program) Policies() []Policy { return p.policies }

// CompleteParameters checks parameters against the rule's schema and fills in defaults. The error names the
// path of each value that is refused.
func (r *Rule) CompleteParameters(given map[string]any) (map[string]any, error) {
	return r.parameters.complete(given)
}

// noData is the evaluator's store: rules read the request, and ask for other objects by function.
type noData struct {
	storage.PolicyNotSupported
	storage.TriggersNotSupported
	storage.WritesNotSupported
}

func (noData) NewTransaction(context.Context, ...storage.TransactionParams) (storage.Transaction, error) {
	return nil, nil
}

func (noData) Read(context.Context, storage.Transaction, storage.Path) (any, error) {
	return nil, &storage.Error{Code: storage.NotFoundErr, Message: "there is no data"}
}

func (noData) Commit(context.Context, storage.Transaction) error { return nil }
func (noData) Abort(context.Context, storage.Transaction)        {}
func (noData) Truncate(context.Context, storage.Transaction, storage.TransactionParams, storage.Iterator) error {
	return nil
}
