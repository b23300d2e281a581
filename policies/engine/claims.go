package engine

import (
	"fmt"
	"reflect"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/types"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sluice-gate/sluice/policies/facts"
)

// ingressOutside compares what an Ingress claims with domains, which differ between policies.
func ingressOutside(ingress types.Type) function {
	one := conversion[networkingv1.Ingress, []facts.NameClaim]()
	many := conversion[[]string, bool]()
	return function{
		name: "sluice.ingress.outside",
		description: "The names that an Ingress claims outside of domains: hosts that it serves, as sluice.ingress.hosts has them, hosts in spec.tls, " +
			"and names that nginx's from-to-www-redirect and external-dns's hostname add.",
		args: []types.Type{ingress, argument("domains",
			"names such as shop.example.com, *.shop.example.com for one label more, **.shop.example.com for any number, ** for every name; any other text is an error",
			types.NewArray(nil, types.S))},
		result: typeOf(reflect.TypeFor[[]facts.NameClaim]()), resultDoc: "claims, each once; host is empty for every host",
		asks: []schema.GroupKind{ingressClassKind},
		call: func(bctx topdown.BuiltinContext, args []*ast.Term) (ast.Value, error) {
			i, err := one.in(bctx, args[0])
			if err != nil {
				return nil, fmt.Errorf("ingress: %w", err)
			}
			if err := checkHostBounds(i); err != nil {
				return nil, err
			}
			texts, err := many.in(bctx, args[1])
			if err != nil {
				return nil, fmt.Errorf("domains: %w", err)
			}
			domains, err := facts.NewDomains(*texts)
			if err != nil {
				return nil, err
			}
			controller, err := controllerOf(bctx, i)
			if err != nil {
				return nil, err
			}
			return one.out(facts.ClaimsOutside(i, controller, domains)), nil
		},
	}
}
