package diff

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/sluice-gate/sluice/policies/facts"
)

// relabelled is a Namespace that both sides have, with other labels. Selectors are otherwise judged by the labels that
// could exist, so that no Namespace that comes or goes changes what a policy means; but when one that exists gets other
// labels, its pods become peers of other policies.
type relabelled struct {
	name    string
	was, is labels.Set
}

func relabellings(before, after *side) []relabelled {
	var list []relabelled
	for _, name := range slices.Sorted(maps.Keys(after.labels)) {
		if was, is := before.labels[name], after.labels[name]; was != nil && !maps.Equal(was, is) {
			list = append(list, relabelled{name, was, is})
		}
	}
	return list
}

// seen are policies with no peers but the pods of the namespace, as its labels were and as they are; differ tells
// whether the labels make a difference to any.
func (r relabelled) seen(before, after []*facts.Policy) (was, is []*facts.Policy, differ bool) {
	for _, list := range [][]*facts.Policy{before, after} {
		differ = differ || slices.ContainsFunc(list, r.concerns)
	}
	if !differ {
		return nil, nil, false
	}
	for _, p := range before {
		was = append(was, r.restricted(p, r.was))
	}
	for _, p := range after {
		is = append(is, r.restricted(p, r.is))
	}
	return was, is, true
}

func (r relabelled) concerns(p *facts.Policy) bool {
	concerns := func(peers []networkingv1.NetworkPolicyPeer) bool {
		return slices.ContainsFunc(peers, func(p networkingv1.NetworkPolicyPeer) bool {
			return p.NamespaceSelector != nil && selects(p.NamespaceSelector, r.was) != selects(p.NamespaceSelector, r.is)
		})
	}
	return slices.ContainsFunc(p.Spec.Ingress, func(r networkingv1.NetworkPolicyIngressRule) bool { return concerns(r.From) }) ||
		slices.ContainsFunc(p.Spec.Egress, func(r networkingv1.NetworkPolicyEgressRule) bool { return concerns(r.To) })
}

func selects(s *metav1.LabelSelector, set labels.Set) bool {
	selector, err := metav1.LabelSelectorAsSelector(s)
	return err == nil && selector.Matches(set)
}

// restricted is p with its peers in the namespace only. Peers and rules keep their places.
func (r relabelled) restricted(p *facts.Policy, set labels.Set) *facts.Policy {
	np := p.NetworkPolicy.DeepCopy()
	for i := range np.Spec.Ingress {
		np.Spec.Ingress[i].From = r.peers(np.Spec.Ingress[i].From, np.Namespace, set)
	}
	for i := range np.Spec.Egress {
		np.Spec.Egress[i].To = r.peers(np.Spec.Egress[i].To, np.Namespace, set)
	}
	return facts.NewPolicy(np)
}

func (r relabelled) peers(list []networkingv1.NetworkPolicyPeer, own string, set labels.Set) []networkingv1.NetworkPolicyPeer {
	here := &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: r.name}}
	if len(list) == 0 {
		return []networkingv1.NetworkPolicyPeer{{NamespaceSelector: here}}
	}
	nowhere := here.DeepCopy()
	nowhere.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: corev1.LabelMetadataName, Operator: metav1.LabelSelectorOpDoesNotExist}}
	out := make([]networkingv1.NetworkPolicyPeer, len(list))
	for i, p := range list {
		out[i] = networkingv1.NetworkPolicyPeer{PodSelector: p.PodSelector, NamespaceSelector: nowhere}
		if p.IPBlock == nil && (p.NamespaceSelector == nil && own == r.name || p.NamespaceSelector != nil && selects(p.NamespaceSelector, set)) {
			out[i].NamespaceSelector = here
		}
	}
	return out
}
