package engine

import (
	"fmt"
	"reflect"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/types"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/sluice-gate/sluice/policies/facts"
)

// mostOpenings is how many openings one review lists: more than anybody reads.
const mostOpenings = 20

// policyOpens takes a policy before and after the request, the policies of its namespace, and what may be opened.
func policyOpens() function {
	one := conversion[networkingv1.NetworkPolicy, facts.Openings]()
	limits := conversion[struct {
		Allowed []facts.Allowance `json:"allowed"`
	}, bool]()
	return function{
		name: "sluice.networkpolicy.opens",
		description: "The traffic that a change of a NetworkPolicy opens: what some pod may do after it and could not before, by all policies of the namespace. " +
			"The stored copy of the policy itself may be among the others.",
		args: []types.Type{
			argument("old", "the NetworkPolicy before the change, null if it is created", types.A),
			argument("new", "the NetworkPolicy after the change, null if it is deleted", types.A),
			argument("others", "NetworkPolicies, as sluice.state.list gives them", types.NewArray(nil, types.A)),
			argument("limits", "allowed: traffic that nobody has to be told of, a list of {direction, namespaces, peers: {cidrs, namespaces, ownNamespace}, ports}", types.A),
		},
		result: typeOf(reflect.TypeFor[facts.Openings]()),
		resultDoc: fmt.Sprintf("list has at most %d openings, each with an example; more is true if there may be others; uncertain tells that the search for an example was given up",
			mostOpenings),
		byOperands: true,
		call: func(bctx topdown.BuiltinContext, args []*ast.Term) (ast.Value, error) {
			var sides [2]*facts.Policy
			for i, name := range []string{"old", "new"} {
				if isNull(args[i].Value) {
					continue
				}
				np, err := one.in(bctx, args[i])
				if err != nil {
					return nil, fmt.Errorf("%s: %w", name, err)
				}
				sides[i] = policyOf(bctx, np)
			}
			others, err := policiesIn(bctx, args[2])
			if err != nil {
				return nil, fmt.Errorf("others: %w", err)
			}
			allowed, err := limits.in(bctx, args[3])
			if err != nil {
				return nil, fmt.Errorf("limits: %w", err)
			}
			found, err := facts.OpenedBy(sides[0], sides[1], others, facts.OpenOptions{Allowed: allowed.Allowed, Max: mostOpenings})
			if err != nil {
				return nil, err
			}
			return one.out(found), nil
		},
	}
}
