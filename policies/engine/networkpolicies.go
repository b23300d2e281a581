package engine

import (
	"fmt"
	"reflect"
	"slices"
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
	policies facts.Policies
	objects  []func() (Document, error)
	term     func() (*ast.Term, error) // the array as Rego reads it, which is made once it is asked for
}

// NetworkPolicy is a NetworkPolicy as facts read it, and Object is what Rego reads. That is larger, and most rules only hand it to
// facts.
type NetworkPolicy struct {
	policy *facts.Policy
	Object func() (Document, error)
}

// ReadNetworkPolicy reads a NetworkPolicy. Its Object is kept.
func ReadNetworkPolicy(object Document) (NetworkPolicy, error) {
	policy, err := readPolicy(object)
	return NetworkPolicy{policy, func() (Document, error) { return object, nil }}, err
}

// NewPolicyList makes a list of NetworkPolicies. It tells when their objects are read, and from then on kept with it; nil to tell
// nobody.
func NewPolicyList(all []NetworkPolicy, reading func()) *PolicyList {
	return (&PolicyList{}).Replace(0, 0, all, reading)
}

// Replace makes a list with others in place of those from i up to j, as slices.Replace does. What it has in common with l isn't
// looked at.
func (l *PolicyList) Replace(i, j int, with []NetworkPolicy, reading func()) *PolicyList {
	policies, objects := make([]*facts.Policy, len(with)), make([]func() (Document, error), len(with))
	for k, p := range with {
		policies[k], objects[k] = p.policy, p.Object
	}
	out := &PolicyList{policies: l.policies.Replace(i, j, policies), objects: slices.Concat(l.objects[:i], objects, l.objects[j:])}
	out.term = sync.OnceValues(func() (*ast.Term, error) {
		if reading != nil {
			reading()
		}
		return arrayOf(out.objects)
	})
	return out
}

func arrayOf(objects []func() (Document, error)) (*ast.Term, error) {
	terms := make([]*ast.Term, len(objects))
	for i, read := range objects {
		object, err := read()
		if err != nil {
			return nil, err
		}
		terms[i] = ast.NewTerm(object.Settled().value)
	}
	return ast.ArrayTerm(terms...), nil
}

// Policies are the list as facts read it.
func (l *PolicyList) Policies() facts.Policies { return l.policies }

// Objects are the list as Rego reads it.
func (l *PolicyList) Objects() ([]Document, error) {
	term, err := l.term()
	if err != nil {
		return nil, err
	}
	return Document{term.Value}.Elements(), nil
}

var networkPolicyKind = schema.GroupKind{Group: "networking.k8s.io", Kind: "NetworkPolicy"}

var networkPolicyDecoder = sync.OnceValue(func() decoder { return decoderOf(reflect.TypeFor[networkingv1.NetworkPolicy]()) })

// readPolicy reads a NetworkPolicy as facts do.
func readPolicy(object Document) (*facts.Policy, error) {
	np := &networkingv1.NetworkPolicy{}
	if err := networkPolicyDecoder()(object.value, reflect.ValueOf(np).Elem()); err != nil {
		return nil, fmt.Errorf("decode NetworkPolicy: %w", err)
	}
	np.Labels, np.Annotations, np.OwnerReferences, np.ManagedFields = nil, nil, nil, nil // no fact asks for them
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
	return unread{list}
}

// policiesKey is the cache key of a list of NetworkPolicies.
type policiesKey struct{ array *ast.Array }

// policiesIn reads an operand that is a list of NetworkPolicies, as sluice.state.list gives them or as a test does.
func policiesIn(bctx topdown.BuiltinContext, term *ast.Term) (facts.Policies, error) {
	if list, ok := term.Value.(unread); ok {
		return list.policies, nil
	}
	array, ok := term.Value.(*ast.Array)
	if !ok {
		return facts.Policies{}, wrongType("an array", term.Value)
	}
	if bctx.Cache != nil {
		if kept, ok := bctx.Cache.Get(policiesKey{array}); ok {
			return kept.(facts.Policies), nil
		}
	}
	each := make([]*facts.Policy, array.Len())
	for i := range each {
		var err error
		if each[i], err = readPolicy(Document{array.Elem(i).Value}); err != nil {
			return facts.Policies{}, fmt.Errorf("%d: %w", i, err)
		}
	}
	out := facts.NewPolicies(each)
	if bctx.Cache != nil {
		bctx.Cache.Put(policiesKey{array}, out)
	}
	return out, nil
}
