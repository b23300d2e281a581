package engine

import (
	"fmt"
	"reflect"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sluice-gate/sluice/policies/facts"
)

// PolicyIndex is a State that keeps NetworkPolicies as facts read them, so that a review of one doesn't read all of
// its namespace anew.
type PolicyIndex interface {
	// NetworkPolicies are those of a namespace, in the order of List.
	NetworkPolicies(namespace string) (*PolicyList, error)
}

// PolicyList is a list of NetworkPolicies, for Rego and for facts. It is immutable.
type PolicyList struct {
	array    *ast.Array
	policies []*facts.Policy
}

// NetworkPolicy is a NetworkPolicy as Rego and as facts read it.
type NetworkPolicy struct {
	object *ast.Term
	policy *facts.Policy
}

// ReadNetworkPolicy reads a NetworkPolicy.
func ReadNetworkPolicy(object Document) (NetworkPolicy, error) {
	policy, err := readPolicy(object)
	return NetworkPolicy{ast.NewTerm(object.value), policy}, err
}

// NewPolicyList makes a list of NetworkPolicies.
func NewPolicyList(all []NetworkPolicy) *PolicyList {
	objects, policies := make([]*ast.Term, len(all)), make([]*facts.Policy, len(all))
	for i, p := range all {
		objects[i], policies[i] = p.object, p.policy
	}
	return &PolicyList{array: ast.NewArray(objects...), policies: policies}
}

// Policies are the list as facts read it. It must not be changed.
func (l *PolicyList) Policies() []*facts.Policy { return l.policies }

// Objects are the list as Rego reads it.
func (l *PolicyList) Objects() []Document { return Document{l.array}.Elements() }

var networkPolicyKind = schema.GroupKind{Group: "networking.k8s.io", Kind: "NetworkPolicy"}

var networkPolicyDecoder = sync.OnceValue(func() decoder { return decoderOf(reflect.TypeFor[networkingv1.NetworkPolicy]()) })

// readPolicy reads a NetworkPolicy as facts do.
func readPolicy(object Document) (*facts.Policy, error) {
	np := &networkingv1.NetworkPolicy{}
	if err := networkPolicyDecoder()(object.value, reflect.ValueOf(np).Elem()); err != nil {
		return nil, fmt.Errorf("decode NetworkPolicy: %w", err)
	}
	return facts.NewPolicy(np), nil
}

// policyKey is the cache key of a NetworkPolicy that was read of an operand.
type policyKey struct{ np *networkingv1.NetworkPolicy }

// policyOf keeps what facts compute of an operand.
func policyOf(bctx topdown.BuiltinContext, np *networkingv1.NetworkPolicy) *facts.Policy {
	if kept, ok := bctx.Cache.Get(policyKey{np}); ok {
		return kept.(*facts.Policy)
	}
	policy := facts.NewPolicy(np)
	bctx.Cache.Put(policyKey{np}, policy)
	return policy
}

// listPolicies lists the NetworkPolicies of a namespace, and remembers how facts read them. It is nil if the state
// doesn't keep them, or can't read them: then whoever asks a fact learns why.
func listPolicies(bctx topdown.BuiltinContext, state State, namespace string) ast.Value {
	index, ok := state.(PolicyIndex)
	if !ok || bctx.Cache == nil {
		return nil
	}
	list, err := index.NetworkPolicies(namespace)
	if err != nil {
		return nil
	}
	bctx.Cache.Put(policiesKey{list.array}, list.policies)
	return list.array
}

// policiesKey is the cache key of a list of NetworkPolicies.
type policiesKey struct{ array *ast.Array }

// policiesIn reads an operand that is a list of NetworkPolicies, as sluice.state.list gives them or as a test does.
func policiesIn(bctx topdown.BuiltinContext, term *ast.Term) ([]*facts.Policy, error) {
	array, ok := term.Value.(*ast.Array)
	if !ok {
		return nil, wrongType("an array", term.Value)
	}
	if bctx.Cache != nil {
		if kept, ok := bctx.Cache.Get(policiesKey{array}); ok {
			return kept.([]*facts.Policy), nil
		}
	}
	out := make([]*facts.Policy, array.Len())
	for i := range out {
		var err error
		if out[i], err = readPolicy(Document{array.Elem(i).Value}); err != nil {
			return nil, fmt.Errorf("%d: %w", i, err)
		}
	}
	if bctx.Cache != nil {
		bctx.Cache.Put(policiesKey{array}, out)
	}
	return out, nil
}
