package engine

import (
	"fmt"
	"reflect"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/types"
	corev1 "k8s.io/api/core/v1"

	"github.com/sluice-gate/sluice/policies/facts"
)

func serviceOperand() types.Type { return argument("service", "a Service", types.A) }

func serviceSources() function {
	return pairFact(function{
		name: "sluice.service.sources",
		description: "What the source ranges of a Service of type LoadBalancer let in: those of spec.loadBalancerSourceRanges or, if there are none, " +
			"of the annotation service.beta.kubernetes.io/load-balancer-source-ranges. No ranges let everything in.",
		args: []types.Type{serviceOperand(),
			argument("limits", "ipv4Prefix and ipv6Prefix: as many public addresses as a prefix of this length holds are allowed; 8 and 32 by default", types.A)},
		resultDoc: "wide, the families above the limit; unlisted, the families of the Service of which there is no range though there are others",
	}.reading(facts.SourceRangesAnnotation), func(s *corev1.Service, limits *facts.Limits) (facts.Sources, error) {
		if ranges, field := facts.SourceRanges(s); len(ranges) > maxAddresses {
			return facts.Sources{}, tooMany(field, len(ranges))
		}
		return facts.LoadBalancerSources(s, *limits)
	})
}

func serviceClaims() function {
	return pairFact(function{
		name: "sluice.service.claims",
		description: "The addresses from outside of the cluster that a Service has or asks for and that lie in none of the prefixes: external IPs, " +
			"those in its status and, for a LoadBalancer, loadBalancerIP and the annotations by which controllers are asked.",
		args: []types.Type{serviceOperand(),
			argument("prefixes", "canonical CIDRs; any other is an error", types.NewArray(nil, types.S))},
		resultDoc: "requests, how many addresses the controller is asked for; outside, the addresses in none of the prefixes",
	}.reading(facts.AddressAnnotations()...), func(s *corev1.Service, prefixes *[]string) (facts.Claims, error) {
		if len(*prefixes) > maxAddresses {
			return facts.Claims{}, tooMany("prefixes", len(*prefixes))
		}
		claims, err := facts.ServiceClaims(s, *prefixes)
		if n := len(claims.Outside); n > maxAddresses {
			return facts.Claims{}, tooMany("addresses", n)
		}
		return claims, err
	})
}

func externalTarget() function {
	return pairFact(function{
		name:        "sluice.service.external_target",
		description: "What a name in spec.externalName leads to, in every spelling that resolvers take for the same.",
		args: []types.Type{argument("name", "a DNS name or an address", types.S),
			argument("domains", "the cluster's own domains", types.NewArray(nil, types.S))},
		resultDoc: "inside, what the name stands for inside of the cluster, empty if the name does not tell; " +
			"service and namespace, the Service that a resolver with the cluster's search path takes it for if it exists",
	}, func(name *string, domains *[]string) (facts.ExternalTarget, error) {
		return facts.ExternalTargetOf(*name, *domains), nil
	})
}

// maxAddresses bounds the ranges, prefixes and addresses of one Service, in memory and time.
const maxAddresses = 5000

func tooMany(what string, n int) error {
	return fmt.Errorf("%s: %d are too many to judge, more than %d", what, n, maxAddresses)
}

// pairFact completes a function of two operands.
func pairFact[A, B, R any](f function, say func(*A, *B) (R, error)) function {
	first, second := conversion[A, R](), conversion[B, bool]()
	f.result = typeOf(reflect.TypeFor[R]())
	f.call = func(bctx topdown.BuiltinContext, args []*ast.Term) (ast.Value, error) {
		a, err := first.in(bctx, args[0])
		if err != nil {
			return nil, err
		}
		b, err := second.in(bctx, args[1])
		if err != nil {
			return nil, err
		}
		result, err := say(a, b)
		if err != nil {
			return nil, err
		}
		return first.out(result), nil
	}
	return f
}
