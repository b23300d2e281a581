package state

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sluice-gate/sluice/policies/engine"
)

// PolicyChange is an update or deletion of a NetworkPolicy, named by the object that it would change: an API server
// changes no other, but asks for admission anew.
type PolicyChange struct {
	Namespace, Name, UID, ResourceVersion string
	// SelectsAll tells whether it takes place in a policy that selects all pods.
	SelectsAll bool
}

// ChangeOf is a change of a NetworkPolicy.
func ChangeOf(namespace string, policy engine.Document) PolicyChange {
	metadata := policy.Get("metadata")
	return PolicyChange{Namespace: namespace, Name: metadata.Get("name").Text(), UID: metadata.Get("uid").Text(),
		ResourceVersion: metadata.Get("resourceVersion").Text(), SelectsAll: selectsAll(policy)}
}

// selectsAll tells whether a policy selects all pods. Any requirement leaves some out, so an update that keeps all pods isolated
// keeps this, too.
func selectsAll(policy engine.Document) bool {
	selector := policy.Get("spec", "podSelector")
	return selector.Get("matchLabels").Len() == 0 && selector.Get("matchExpressions").Len() == 0
}

// Pending tells whether the change may still come to a policy that is known in a version: that, or one that is older than what
// is to be changed.
func (c PolicyChange) Pending(uid, version string) bool {
	if c.UID != uid {
		return false
	}
	changed := ParseVersion(c.ResourceVersion)
	return changed == 0 || ParseVersion(version) <= changed
}

// LivePolicy is a NetworkPolicy as the API server has it, or had it.
type LivePolicy struct {
	Name, UID, ResourceVersion string
	SelectsAll                 bool

	read engine.NetworkPolicy
}

// NewLivePolicy reads a NetworkPolicy.
func NewLivePolicy(document engine.Document) (*LivePolicy, error) {
	read, err := engine.ReadNetworkPolicy(document)
	metadata := document.Get("metadata")
	return &LivePolicy{metadata.Get("name").Text(), metadata.Get("uid").Text(), metadata.Get("resourceVersion").Text(), selectsAll(document), read}, err
}

// NamespacePolicies are the NetworkPolicies of a namespace, sorted by name. They are immutable.
type NamespacePolicies struct {
	each  []*LivePolicy
	whole []*LivePolicy      // those of each that select all pods
	list  *engine.PolicyList // of each
}

// NewNamespacePolicies takes policies that are sorted by name.
func NewNamespacePolicies(each []*LivePolicy) *NamespacePolicies {
	return (&NamespacePolicies{list: &engine.PolicyList{}}).replace(0, 0, each, nil)
}

// replace puts others, which sort there, in place of those from i up to j. It looks at no more than these, and tells when the objects
// of all are read, unless reading is nil.
func (p *NamespacePolicies) replace(i, j int, with []*LivePolicy, reading func()) *NamespacePolicies {
	gone := func(one *LivePolicy) bool { return slices.Contains(p.each[i:j], one) }
	whole := slices.DeleteFunc(slices.Clone(p.whole), gone)
	for _, one := range with {
		if one.SelectsAll {
			whole = append(whole, one)
		}
	}
	slices.SortFunc(whole, byName)
	return &NamespacePolicies{slices.Concat(p.each[:i], with, p.each[j:]), whole, p.list.Replace(i, j, readOf(with), reading)}
}

func byName(a, b *LivePolicy) int { return cmp.Compare(a.Name, b.Name) }

func readOf(each []*LivePolicy) []engine.NetworkPolicy {
	read := make([]engine.NetworkPolicy, len(each))
	for i, p := range each {
		read[i] = p.read
	}
	return read
}

// SelectingAll are those that select all pods, but for one; nil if there is none.
func (p *NamespacePolicies) SelectingAll(but string) *engine.PolicyList {
	var out []*LivePolicy
	for _, each := range p.whole {
		if each.Name != but {
			out = append(out, each)
		}
	}
	if out == nil {
		return nil
	}
	return engine.NewPolicyList(readOf(out), nil)
}

// Remaining are the NetworkPolicies of a namespace that nobody is about to change.
type Remaining struct {
	Policies *engine.PolicyList
	// Pending are the names of those that somebody is about to change, sorted.
	Pending []string
}

// NewRemaining divides policies.
func NewRemaining(all *NamespacePolicies, pending func(*LivePolicy) bool) Remaining {
	if !slices.ContainsFunc(all.each, pending) {
		return Remaining{Policies: all.list}
	}
	var out Remaining
	var rest []*LivePolicy
	for _, p := range all.each {
		if pending(p) {
			out.Pending = append(out.Pending, p.Name)
		} else {
			rest = append(rest, p)
		}
	}
	out.Policies = engine.NewPolicyList(readOf(rest), nil)
	return out
}

// LivePolicies are the NetworkPolicies that the API server has at this moment in a namespace. What the state has in the same
// version isn't read again.
func (c *Cluster) LivePolicies(ctx context.Context, namespace string) (*NamespacePolicies, error) {
	var list networkingv1.NetworkPolicyList
	if err := c.live.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		return nil, fmt.Errorf("read the NetworkPolicies of namespace %s: %w", namespace, err)
	}
	out := make([]*LivePolicy, len(list.Items))
	for i := range list.Items {
		var err error
		if out[i], err = c.livePolicy(&list.Items[i]); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(out, byName)
	return NewNamespacePolicies(out), nil
}

// KnownPolicies are the NetworkPolicies of a namespace by the state. It is an error if that is too old.
func (c *Cluster) KnownPolicies(namespace string) (*NamespacePolicies, error) {
	if err := c.fresh(networkPolicyKind, "which NetworkPolicies there are"); err != nil {
		return nil, err
	}
	return c.namespacePolicies(namespace)
}

// PolicyChanged tells whether the state shows that a change was made, or that it can't be made any more.
func (c *Cluster) PolicyChanged(of PolicyChange) bool {
	if changed := ParseVersion(of.ResourceVersion); changed == 0 || c.Version(networkPolicyKind) < changed { // it may not be known yet
		return false
	}
	known := c.entry(networkPolicyKind, of.Namespace, of.Name)
	if known == nil {
		return true
	}
	p, err := known.livePolicy()
	return err == nil && !of.Pending(p.UID, p.ResourceVersion)
}

func (c *Cluster) livePolicy(np *networkingv1.NetworkPolicy) (*LivePolicy, error) {
	if known := c.entry(networkPolicyKind, np.Namespace, np.Name); known != nil {
		if p, err := known.livePolicy(); err == nil && p.UID == string(np.UID) && p.ResourceVersion == np.ResourceVersion {
			return p, nil
		}
	}
	np.APIVersion, np.Kind = networkingv1.SchemeGroupVersion.String(), networkPolicyKind.Kind
	document, err := engine.FromGo(np)
	if err != nil {
		return nil, err
	}
	return NewLivePolicy(document)
}

// Live are the namespaces as the API server has them at this moment: policies.Namespaces past the state.
type Live struct{ reader client.Reader }

// Live reads past the state.
func (c *Cluster) Live() Live { return Live{c.live} }

// Namespace implements policies.Namespaces.
func (l Live) Namespace(ctx context.Context, name string) (engine.Document, error) {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(schema.GroupVersionKind{Version: "v1", Kind: namespaceKind.Kind})
	if err := l.reader.Get(ctx, client.ObjectKey{Name: name}, object); err != nil {
		return engine.Document{}, fmt.Errorf("read namespace %s: %w", name, err)
	}
	return engine.FromGo(object.Object)
}
