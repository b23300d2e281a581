package engine

import (
	"errors"
	"fmt"
	"reflect"
	"sync"

	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/types"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sluice-gate/sluice/policies/facts"
)

// HostIndex is a State that finds Ingresses by what they serve, in time that grows with what it finds.
type HostIndex interface {
	// HostConflicts finds, for each host of an Ingress, those of other namespaces in the same class, or where one
	// of the two has no class, that serve it too. Hosts without any are left out. controller names what serves
	// a class.
	HostConflicts(of facts.HostClaims, controller func(class string) (string, error)) ([]facts.HostConflict, error)
}

var ingressKind = schema.GroupKind{Group: "networking.k8s.io", Kind: "Ingress"}

// ingressDecoder reads Ingresses as facts do.
var ingressDecoder = sync.OnceValue(func() decoder { return decoderOf(reflect.TypeFor[networkingv1.Ingress]()) })

func decodeIngress(object Document) (*networkingv1.Ingress, error) {
	if !object.IsObject() {
		return nil, errors.New("decode Ingress: there is no document")
	}
	ingress := &networkingv1.Ingress{}
	if err := ingressDecoder()(object.value, reflect.ValueOf(ingress).Elem()); err != nil {
		return nil, fmt.Errorf("decode Ingress: %w", err)
	}
	return ingress, nil
}

// ServedHosts are the class of an Ingress and the hosts that it serves if its controller is one that knows
// every way to name hosts. HostClaims says what it is.
func ServedHosts(object Document) (facts.HostClaims, error) {
	ingress, err := decodeIngress(object)
	if err != nil {
		return facts.HostClaims{}, err
	}
	return claimsBy(ingress, facts.ControllerUnknown), nil
}

// HostClaims are the class of an Ingress and the hosts that it serves there, with the controller that the state
// knows for the class.
func HostClaims(state State, object Document) (facts.HostClaims, error) {
	if state == nil {
		return facts.HostClaims{}, errNoState
	}
	ingress, err := decodeIngress(object)
	if err != nil {
		return facts.HostClaims{}, err
	}
	if err := checkHostBounds(ingress); err != nil {
		return facts.HostClaims{}, err
	}
	controller, err := ControllerOf(state, facts.IngressClass(ingress))
	if err != nil {
		return facts.HostClaims{}, err
	}
	return claimsBy(ingress, controller), nil
}

func claimsBy(ingress *networkingv1.Ingress, controller string) facts.HostClaims {
	return facts.HostClaims{Namespace: ingress.Namespace, Name: ingress.Name, Class: facts.IngressClass(ingress),
		Hosts: facts.ClaimedHosts(facts.ServedHostsBy(ingress, controller))}
}

func checkHostBounds(ingress *networkingv1.Ingress) error {
	if n := len(ingress.Spec.Rules); n > maxHosts {
		return fmt.Errorf("%d rules are too many to judge, more than %d", n, maxHosts)
	}
	if n := len(ingress.Annotations[aliasAnnotation]); n > maxAliasText {
		return fmt.Errorf("server-alias has %d bytes, too many to judge, more than %d", n, maxAliasText)
	}
	return nil
}

// ControllerOf is the controller that serves a class, one of the constants of facts: the IngressClass in the
// state decides, or else the name of the class.
func ControllerOf(state State, class string) (string, error) {
	if class == "" {
		return facts.ControllerUnknown, nil
	}
	found, _, err := state.Get(ingressClassKind, "", class)
	if err != nil {
		return "", err
	}
	return facts.ControllerOf(class, found.Get("spec", "controller").Text()), nil
}

func ingressConflicts(ingress types.Type) function {
	return function{
		name: "sluice.ingress.conflicts",
		description: "The hosts of an Ingress that Ingresses of other namespaces serve too, in the same class or where one of the two has no class. " +
			"Wildcards overlap with the names that they match, a rule without host with every host, and a default backend with what nobody names.",
		args: []types.Type{ingress}, result: typeOf(reflect.TypeFor[[]facts.HostConflict]()),
		resultDoc: "conflicts, one for each host: with the first of the other Ingresses, and how many more there are",
		asks:      []schema.GroupKind{ingressKind, ingressClassKind}, reserves: ReservedHosts,
		call: aboutHosts(func(bctx topdown.BuiltinContext, i *networkingv1.Ingress, controller string) ([]facts.HostConflict, error) {
			state, err := stateFrom(bctx.Context)
			if err != nil {
				return nil, err
			}
			index, ok := state.(HostIndex)
			if !ok {
				return nil, errors.New("this state can't look up hosts")
			}
			return index.HostConflicts(claimsBy(i, controller), func(class string) (string, error) { return ControllerOf(state, class) })
		}),
	}
}
