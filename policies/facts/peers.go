package facts

import (
	"errors"
	"fmt"

	networkingv1 "k8s.io/api/networking/v1"
)

// EveryPod is a peer, or the peers of one rule or of several together, that
// select every pod of every namespace.
type EveryPod struct {
	Direction string `json:"direction"` // "Ingress" or "Egress"
	// Field is the peer, spec.egress[0].to[1]; the list, spec.egress[0].to, if
	// only several peers together select every pod; or the rules, spec.egress,
	// if only several rules do.
	Field string `json:"field"`
	// HasPorts is whether the rule is limited to some ports. Entries that
	// together are every port of every protocol don't limit. Of several rules
	// it is whether one of them is limited, and false for ingress, where they
	// count only if they select every pod for every port.
	HasPorts bool `json:"hasPorts"`
	// Uncertain is set if the search whether several peers together select
	// every pod was given up. To be safe, take it for yes.
	Uncertain bool `json:"uncertain"`
}

// EveryPodPeers are the peers of np that select every pod of every namespace,
// by the labels that could exist. A podSelector alone selects in np's own
// namespace only. Rules that policyTypes switches off don't count. Several
// rules are judged together if none does it alone: those of ingress for every
// port, where a rule without from selects every pod, and those of egress for
// any one port. The error names the field of a selector, port or peer that has
// no meaning.
func EveryPodPeers(np *networkingv1.NetworkPolicy) ([]EveryPod, error) {
	var found []EveryPod
	var ingress, egress []podRule
	open := false // whether some ingress rule alone selects every pod on every port
	for _, r := range rulesOf(np) {
		alone, pods, err := r.everyPod(np.Namespace)
		if err != nil {
			return nil, err
		}
		found = append(found, alone...)
		switch {
		case r.direction == Ingress:
			open = open || len(alone) > 0 && !alone[0].HasPorts
			ingress = append(ingress, pods)
		case len(alone) == 0:
			egress = append(egress, pods)
		}
	}
	if !open {
		if verdict := everyPodComesIn(ingress); verdict != No {
			found = append(found, EveryPod{Direction: Ingress, Field: "spec.ingress", Uncertain: verdict == Unknown})
		}
	}
	if verdict, limited := everyPodIsReached(egress); verdict != No {
		found = append(found, EveryPod{Direction: Egress, Field: "spec.egress", HasPorts: limited, Uncertain: verdict == Unknown})
	}
	return found, nil
}

// everyPod are the peers of r that alone, or else together, select every pod,
// and what r is beside other rules.
func (r rule) everyPod(namespace string) ([]EveryPod, podRule, error) {
	ports, err := PortRanges(r.ports)
	if err != nil {
		return nil, podRule{}, fmt.Errorf("%s.%w", r.field(), err)
	}
	var found []EveryPod
	pods := podRule{rule: r, ports: ports}
	for i := range r.peers {
		box, ok, err := peerPods(&r.peers[i], namespace)
		if err != nil {
			return nil, podRule{}, fmt.Errorf("%s%w", r.peerField(i), err)
		}
		if !ok {
			continue
		}
		if box.MatchesEverything() {
			found = append(found, EveryPod{Direction: r.direction, Field: r.peerField(i), HasPorts: limitsPorts(r.ports, ports)})
		}
		pods.boxes = append(pods.boxes, box)
	}
	if len(found) > 0 || len(pods.boxes) < 2 {
		return found, pods, nil
	}
	if verdict, _ := everything(Namespaces).CoveredBy(pods.boxes); verdict != No {
		found = append(found, EveryPod{
			Direction: r.direction, Field: r.peersField(), HasPorts: limitsPorts(r.ports, ports), Uncertain: verdict == Unknown,
		})
	}
	return found, pods, nil
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

// OpenRule is an ingress rule, or several together, that lets in everyone on
// every port.
type OpenRule struct {
	// Field is the rule, spec.ingress[0]; its list of peers,
	// spec.ingress[0].from, if that names every address; or spec.ingress, if
	// only several rules together let in every address.
	Field string `json:"field"`
	// Uncertain is set if there are too many combinations of blocks and ports
	// of several rules to tell. To be safe, take it for yes.
	Uncertain bool `json:"uncertain"`
}

// OpenIngress are the ingress rules of np that are limited neither to peers nor
// to ports. IP blocks that together are every address of a family don't limit,
// and neither do ports that are all ports of all protocols. If no rule is open
// alone, all are judged together.
func OpenIngress(np *networkingv1.NetworkPolicy) ([]OpenRule, error) {
	var open []OpenRule
	var rules []rule
	for _, r := range rulesOf(np) {
		if r.direction != Ingress {
			continue
		}
		rules = append(rules, r)
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
	if len(open) > 0 {
		return open, nil
	}
	verdict, err := everyAddressComesIn(rules)
	if err != nil || verdict == No {
		return nil, err
	}
	return []OpenRule{{Field: "spec.ingress", Uncertain: verdict == Unknown}}, nil
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
