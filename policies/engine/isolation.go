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

// isolationLost takes a policy before and after a change, and the other policies of its namespace.
func isolationLost(policy types.Type) function {
	c := conversion[networkingv1.NetworkPolicy, []facts.LostIsolation]()
	return function{
		name: "sluice.networkpolicy.isolation_lost",
		description: "The directions for which pods that a NetworkPolicy selected are selected neither by what becomes of it nor by the other policies of its namespace, " +
			"of which those that are being deleted don't count. The stored copy of the policy itself may be among the others.",
		args: []types.Type{policy,
			argument("changed", "the policy after the change; null if it is deleted", types.A),
			argument("others", "NetworkPolicies, as sluice.state.list gives them", types.NewArray(nil, types.A))},
		result:    typeOf(reflect.TypeFor[[]facts.LostIsolation]()),
		resultDoc: "the pods of each direction, by selector, and labels of one that no policy selects any more",
		reserves:  ReservedIsolation, byOperands: true,
		call: func(bctx topdown.BuiltinContext, args []*ast.Term) (ast.Value, error) {
			old, err := c.in(bctx, args[0])
			if err != nil {
				return nil, fmt.Errorf("policy: %w", err)
			}
			var changed *facts.Policy
			if !isNull(args[1].Value) {
				np, err := c.in(bctx, args[1])
				if err != nil {
					return nil, fmt.Errorf("changed: %w", err)
				}
				changed = policyOf(bctx, np)
			}
			others, err := policiesIn(bctx, args[2])
			if err != nil {
				return nil, fmt.Errorf("others: %w", err)
			}
			lost, err := facts.IsolationLost(policyOf(bctx, old), changed, others)
			if err != nil {
				return nil, err
			}
			return c.out(lost), nil
		},
	}
}

// isolationBy takes the policies of a namespace.
func isolationBy() function {
	encode := encoderOf(reflect.TypeFor[[]facts.Isolation]())
	return function{
		name:        "sluice.networkpolicy.isolation",
		description: "The directions for which NetworkPolicies isolate any pods. Those that select none, and those that are being deleted, don't count.",
		args:        []types.Type{argument("policies", "the NetworkPolicies of a namespace, as sluice.state.list gives them", types.NewArray(nil, types.A))},
		result:      typeOf(reflect.TypeFor[[]facts.Isolation]()),
		resultDoc:   "one policy of each direction, its pods by selector, and how many more there are",
		call: func(bctx topdown.BuiltinContext, args []*ast.Term) (ast.Value, error) {
			policies, err := policiesIn(bctx, args[0])
			if err != nil {
				return nil, err
			}
			found, err := facts.IsolationBy(policies.All())
			if err != nil {
				return nil, err
			}
			return encode(reflect.ValueOf(&found).Elem()), nil
		},
	}
}
