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

func egressBlocks(policy types.Type) function {
	endpoints := argument("endpoints", "addresses, and ports of TCP", types.A)
	return policyFact("sluice.networkpolicy.egress_blocks",
		"The egress ipBlocks of a NetworkPolicy that contain one of some addresses after their own excepts, in rules whose ports include one of some ports.",
		policy, endpoints, "blocks, each with the first address and port that it contains", facts.EgressBlocks)
}

func policyTraits(policy types.Type) function {
	cluster := argument("cluster", "clusterCIDRs: the networks of pods and nodes; none if they are not known", types.A)
	return policyFact("sluice.networkpolicy.traits",
		"What a NetworkPolicy says that not every dataplane understands: names and ranges of ports, SCTP, blocks and their families and spellings, the number of entries of ports.",
		policy, cluster, "traits", facts.Traits)
}

// policyFact is a function of a NetworkPolicy and of what else has to be known.
func policyFact[P, R any](name, description string, policy, known types.Type, resultDoc string, say func(*networkingv1.NetworkPolicy, P) (R, error)) function {
	np := conversion[networkingv1.NetworkPolicy, R]()
	more := conversion[P, bool]()
	return function{
		name: name, description: description, args: []types.Type{policy, known}, result: typeOf(reflect.TypeFor[R]()), resultDoc: resultDoc,
		call: func(bctx topdown.BuiltinContext, args []*ast.Term) (ast.Value, error) {
			object, err := np.in(bctx, args[0])
			if err != nil {
				return nil, fmt.Errorf("policy: %w", err)
			}
			given, err := more.in(bctx, args[1])
			if err != nil {
				return nil, fmt.Errorf("second operand: %w", err)
			}
			result, err := say(object, *given)
			if err != nil {
				return nil, err
			}
			return np.out(result), nil
		},
	}
}
