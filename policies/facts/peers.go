package facts

import (
	"errors"
	"fmt"

	networkingv1 "k8s.io/api/networking/v1"
)

// EveryPod is a peer, or the peers of one rule together, that select every pod
// of every namespace.
type EveryPod struct {
	Direction string `json:"direction"` // "Ingress" or "Egress"
	// Field is the peer, spec.egress[0].to[1], or the list, spec.egress[0].to,
	// if only several peers together select every pod.
	Field string `json:"field"`
	// HasPorts is whether the rule is limited to some ports. Entries that
	// together are every port of every protocol don't limit.
	HasPorts bool `json:"hasPorts"`
	// Uncertain is set if the search whether several peers together select
	// every pod was given up. To be safe, take it for yes.
	Uncertain bool `json:"uncertain"`
}

// EveryPodPeers are the peers of np that select every pod of every namespace,
// by the labels that could exist. A podSelector alone selects in np's own
// namespace only. Rules that policyTypes switches off don't count. The error
// names the field of a selector, port or peer that has no meaning.
func EveryPodPeers(np *networkingv1.NetworkPolicy) ([]EveryPod, error) {
	var found []EveryPod
	for _, r := range rulesOf(np) {
		ports, err := PortRanges(r.ports)
		if err != nil {
			return nil, fmt.Errorf("%s.%w", r.field(), err)
		}
		var boxes []Selector
		single := false
		for i := range r.peers {
			box, ok, err := peerPods(&r.peers[i], np.Namespace)
			if err != nil {
				return nil, fmt.Errorf("%s%w", r.peerField(i), err)
			}
			if !ok {
				continue
			}
			if box.MatchesEverything() {
				single = true
				found = append(found, EveryPod{Direction: r.direction, Field: r.peerField(i), HasPorts: limitsPorts(r.ports, ports)})
			}
			boxes = append(boxes, box)
		}
		if single || len(boxes) < 2 {
			continue
		}
		if verdict, _ := everything(Namespaces).CoveredBy(boxes); verdict != No {
			found = append(found, EveryPod{
				Direction: r.direction, Field: r.peersField(), HasPorts: limitsPorts(r.ports, ports), Uncertain: verdict == Unknown,
			})
		}
	}
	return found, nil
}

var errEmptyPeer = errors.New(": expected an ipBlock, a namespaceSelector or a podSelector")

// podKeys goes before the keys of pod labels where a Selector speaks of a pod
// and its namespace at once. It sorts after every valid key.
const podKeys = "~pod/"

// peerPods are the pods that a peer selects, as labels of their namespace and,
// behind podKeys, their own; false for an ipBlock. The error begins with the
// rest of the field path.
func peerPods(p *networkingv1.NetworkPolicyPeer, namespace string) (Selector, bool, error) {
	switch {
	case p.IPBlock != nil:
		return Selector{}, false, nil
	case p.NamespaceSelector == nil && p.PodSelector == nil:
		return Selector{}, false, errEmptyPeer
	}
	box := everything(Namespaces)
	if p.NamespaceSelector != nil {
		var err error
		if box, err = Compile(p.NamespaceSelector, Namespaces); err != nil {
			return Selector{}, false, fmt.Errorf(".namespaceSelector.%w", err)
		}
	} else {
		box.constraints = []constraint{{namespaceNameLabel, values{listed: []string{namespace}}}}
	}
	if p.PodSelector == nil {
		return box, true, nil
	}
	pods, err := Compile(p.PodSelector, Pods)
	if err != nil {
		return Selector{}, false, fmt.Errorf(".podSelector.%w", err)
	}
	if len(pods.constraints) == 0 {
		return box, true, nil
	}
	joined := make([]constraint, 0, len(box.constraints)+len(pods.constraints))
	joined = append(joined, box.constraints...)
	for _, c := range pods.constraints {
		joined = append(joined, constraint{podKeys + c.key, c.admits})
	}
	return Selector{domain: Namespaces, constraints: joined}, true, nil
}

// OpenRule is an ingress rule that lets in everyone on every port.
type OpenRule struct {
	// Field is the rule, spec.ingress[0], or its list of peers,
	// spec.ingress[0].from, if that names every address.
	Field string `json:"field"`
}

// OpenIngress are the ingress rules of np that are limited neither to peers nor
// to ports. IP blocks that together are every address of a family don't limit,
// and neither do ports that are all ports of all protocols.
func OpenIngress(np *networkingv1.NetworkPolicy) ([]OpenRule, error) {
	var open []OpenRule
	for _, r := range rulesOf(np) {
		if r.direction != Ingress {
			continue
		}
		ports, err := PortRanges(r.ports)
		if err != nil {
			return nil, fmt.Errorf("%s.%w", r.field(), err)
		}
		if limitsPorts(r.ports, ports) {
			continue
		}
		if len(r.peers) == 0 {
			open = append(open, OpenRule{Field: r.field()})
			continue
		}
		whole, err := r.coversFamily()
		if err != nil {
			return nil, err
		}
		if whole {
			open = append(open, OpenRule{Field: r.peersField()})
		}
	}
	return open, nil
}

// coversFamily reports whether the IP blocks of r are every address of IPv4 or
// of IPv6.
func (r rule) coversFamily() (bool, error) {
	var set BlockSet
	for i := range r.peers {
		if b := r.peers[i].IPBlock; b != nil {
			if err := set.Add(b.CIDR, b.Except); err != nil {
				return false, fmt.Errorf("%s.ipBlock.%w", r.peerField(i), err)
			}
		}
	}
	for _, have := range set.ranges() {
		if have == everyAddress[0] || have == everyAddress[1] {
			return true, nil
		}
	}
	return false, nil
}
