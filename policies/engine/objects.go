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

// objectFunctions are the facts about objects. Operands are typed any: a rule passes parts of the request,
// which may lack any field.
func objectFunctions() []function {
	const class = "kubernetes.io/ingress.class"
	ingress := argument("ingress", "an Ingress (networking.k8s.io/v1)", types.A)
	policy := argument("policy", "a NetworkPolicy (networking.k8s.io/v1)", types.A)
	return []function{
		fact("sluice.ingress.class", "The class of an Ingress: spec.ingressClassName, else the annotation kubernetes.io/ingress.class, else empty.",
			ingress, "the class", infallible(facts.IngressClass)).reading(class),
		ingressController(ingress).reading(class),
		ingressHosts(ingress).reading(class, aliasAnnotation),
		ingressConflicts(ingress).reading(class, aliasAnnotation),
		ingressOutside(ingress).reading(append(facts.ClaimAnnotations(), class)...),
		fact("sluice.networkpolicy.types", "The directions that a NetworkPolicy isolates, after the API server's defaulting.",
			policy, "Ingress, Egress", infallible(facts.PolicyTypes)),
		fact("sluice.networkpolicy.ignored_rules", "The directions whose rules have no effect because policyTypes leaves them out.",
			policy, "ignored rules", infallible(facts.IgnoredRules)),
		fact("sluice.networkpolicy.every_pod", "The peers that select every pod of every namespace, of one rule or of several together.",
			policy, "peers", facts.EveryPodPeers),
		wideEgress(policy),
		policyOpens(),
		serviceSources(), serviceClaims(), externalTarget(),
		fact("sluice.networkpolicy.open_ingress", "The ingress rules, or all together, that let in everyone on every port: they have neither peers nor ports that limit.",
			policy, "open rules", facts.OpenIngress),
		egressBlocks(policy),
		policyTraits(policy),
		isolationLost(policy),
		isolationBy(),
		fact("sluice.cidr.canonical", "A CIDR in the form that every reader understands alike, and the problem if it was not written in such a form.",
			argument("cidr", "a CIDR", types.S), "canonical form and problem; the problem is empty if there is none",
			func(s *string) (facts.CIDR, error) { return facts.Canonical(*s) }),
	}
}

// ingressController asks for the IngressClass, so that every rule reads a class as the cluster does.
func ingressController(ingress types.Type) function {
	c := conversion[networkingv1.Ingress, string]()
	return function{
		name: "sluice.ingress.controller",
		description: "The controller that serves an Ingress: nginx, haproxy, traefik, alb or gce; empty for any other and for none. " +
			"The IngressClass's spec.controller decides, or else the name of the class.",
		args: []types.Type{ingress}, result: types.S, resultDoc: "the controller", asks: []schema.GroupKind{ingressClassKind},
		call: func(bctx topdown.BuiltinContext, args []*ast.Term) (ast.Value, error) {
			i, err := c.in(bctx, args[0])
			if err != nil {
				return nil, err
			}
			controller, err := controllerOf(bctx, i)
			return ast.String(controller), err
		},
	}
}

func ingressHosts(ingress types.Type) function {
	return function{
		name: "sluice.ingress.hosts",
		description: "The hosts that an Ingress serves, in rules, default backend and nginx's server-alias: lower-cased, empty for every host; " +
			"whether a TLS entry with a Secret covers it; whether it claims names that aren't listed.",
		args: []types.Type{ingress}, result: typeOf(reflect.TypeFor[[]facts.Host]()), resultDoc: "hosts", asks: []schema.GroupKind{ingressClassKind},
		call: aboutHosts(func(_ topdown.BuiltinContext, i *networkingv1.Ingress, controller string) ([]facts.Host, error) {
			return facts.ServedHostsBy(i, controller), nil
		}),
	}
}

// aboutHosts is the call of a function of an Ingress, within the bounds, and of the controller that serves it.
func aboutHosts[R any](say func(topdown.BuiltinContext, *networkingv1.Ingress, string) (R, error),
) func(topdown.BuiltinContext, []*ast.Term) (ast.Value, error) {
	c := conversion[networkingv1.Ingress, R]()
	return func(bctx topdown.BuiltinContext, args []*ast.Term) (ast.Value, error) {
		i, err := c.in(bctx, args[0])
		if err != nil {
			return nil, err
		}
		if err := checkHostBounds(i); err != nil {
			return nil, err
		}
		controller, err := controllerOf(bctx, i)
		if err != nil {
			return nil, err
		}
		result, err := say(bctx, i, controller)
		if err != nil {
			return nil, err
		}
		return c.out(result), nil
	}
}

// Bounds of an Ingress that is judged host by host, in memory and time.
const (
	maxHosts     = 5000     // rules
	maxAliasText = 64 << 10 // bytes of names
)

// aliasAnnotation holds further hosts of an Ingress of nginx.
const aliasAnnotation = "nginx.ingress.kubernetes.io/server-alias"

var ingressClassKind = schema.GroupKind{Group: "networking.k8s.io", Kind: "IngressClass"}

// controllerOf resolves the class of an Ingress through the state.
func controllerOf(bctx topdown.BuiltinContext, ingress *networkingv1.Ingress) (string, error) {
	class := facts.IngressClass(ingress)
	if class == "" {
		return facts.ControllerUnknown, nil
	}
	state, err := stateFrom(bctx.Context)
	if err != nil {
		return "", err
	}
	return ControllerOf(state, class)
}

// wideEgress takes the judged policy, the other policies of its namespace and the limits.
func wideEgress(policy types.Type) function {
	one := conversion[networkingv1.NetworkPolicy, []facts.WideEgress]()
	limits := conversion[facts.Limits, bool]()
	return function{
		name: "sluice.networkpolicy.wide_egress",
		description: "The ports on which pods reach more public addresses than the limits allow because of a NetworkPolicy, over its peers, its rules and the other policies of its namespace that select the same pods. " +
			"The stored copy of the policy itself may be among the others.",
		args: []types.Type{policy,
			argument("others", "NetworkPolicies, as sluice.state.list gives them", types.NewArray(nil, types.A)),
			argument("limits", "ipv4Prefix and ipv6Prefix: as many public addresses as a prefix of this length holds are allowed; 8 and 32 by default", types.A)},
		result:    typeOf(reflect.TypeFor[[]facts.WideEgress]()),
		resultDoc: "excesses; with names the other policies that add to it",
		call: func(bctx topdown.BuiltinContext, args []*ast.Term) (ast.Value, error) {
			np, err := one.in(bctx, args[0])
			if err != nil {
				return nil, fmt.Errorf("policy: %w", err)
			}
			others, err := policiesIn(bctx, args[1])
			if err != nil {
				return nil, fmt.Errorf("others: %w", err)
			}
			allowed, err := limits.in(bctx, args[2])
			if err != nil {
				return nil, fmt.Errorf("limits: %w", err)
			}
			wide, err := facts.WideEgressOf(policyOf(bctx, np), others, *allowed)
			if err != nil {
				return nil, err
			}
			return one.out(wide), nil
		},
	}
}
