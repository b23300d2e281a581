package facts

import (
	"fmt"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
)

// meaning is what a NetworkPolicy selects and allows.
type meaning struct {
	pods     Selector
	isolates [2]bool // by way
	rules    []grants
	boxes    [2][]*box // what the rules allow, by way
}

// way is the index of a direction.
func way(direction string) int {
	if direction == Egress {
		return 1
	}
	return 0
}

// grants are what one rule allows: each of the peers on each of the ports.
type grants struct {
	rule  rule
	peers []grant
	ports []span
}

// grant is a peer of a rule. A rule without peers has one, which is all
// addresses and all pods.
type grant struct {
	index int // in the rule's peers; -1 if it has none
	sets  []peers
}

// meaningOf is what np means. The error names a field that has no meaning.
func meaningOf(np *networkingv1.NetworkPolicy) (*meaning, error) {
	m := &meaning{isolates: [2]bool{
		isolates(np, networkingv1.PolicyTypeIngress), isolates(np, networkingv1.PolicyTypeEgress),
	}}
	var err error
	if m.pods, err = podsOf(np); err != nil {
		return nil, err
	}
	for _, r := range rulesOf(np) {
		g, err := grantsOf(r, np.Namespace)
		if err != nil {
			return nil, err
		}
		m.rules = append(m.rules, g)
		boxes := &m.boxes[way(r.direction)]
		*boxes = g.appendBoxes(*boxes, m.pods)
	}
	return m, nil
}

func grantsOf(r rule, namespace string) (grants, error) {
	g := grants{rule: r}
	var err error
	if g.ports, err = spansOf(r.ports); err != nil {
		return g, fmt.Errorf("%s.%w", r.field(), err)
	}
	if len(r.peers) == 0 {
		g.peers = []grant{{index: -1, sets: everyone[:]}}
		return g, nil
	}
	g.peers = make([]grant, 0, len(r.peers))
	for i := range r.peers {
		set, err := peersOf(&r.peers[i], namespace)
		if err != nil {
			return g, fmt.Errorf("%s%w", r.peerField(i), err)
		}
		g.peers = append(g.peers, grant{index: i, sets: []peers{set}})
	}
	return g, nil
}

// peersOf is the meaning of one peer. The error begins with the rest of the
// field path.
func peersOf(p *networkingv1.NetworkPolicyPeer, namespace string) (peers, error) {
	if b := p.IPBlock; b != nil {
		ranges, err := blockRanges(b.CIDR, b.Except)
		if err != nil {
			return peers{}, fmt.Errorf(".ipBlock.%w", err)
		}
		return peers{addresses: ranges}, nil
	}
	selector, _, err := peerPods(p, namespace)
	return peers{pods: selector, arePods: true}, err
}

// appendBoxes adds what the rule allows to pods, with the IP blocks as one
// set: as what is open already they count together.
func (g *grants) appendBoxes(boxes []*box, pods Selector) []*box {
	var addresses peers
	var blocks BlockSet
	count := 0
	for _, p := range g.peers {
		for _, set := range p.sets {
			if !set.arePods {
				blocks.addRanges(set.addresses)
				addresses, count = set, count+1
			}
		}
	}
	if count > 1 {
		addresses.addresses = blocks.ranges()
	}
	for _, s := range g.ports {
		if count > 0 {
			boxes = append(boxes, &box{pods, addresses, s})
		}
		for _, p := range g.peers {
			for _, set := range p.sets {
				if set.arePods {
					boxes = append(boxes, &box{pods, set, s})
				}
			}
		}
	}
	return boxes
}

// spansOf are the ports of a rule: its numbers as the fewest ranges, then its
// names.
func spansOf(ports []networkingv1.NetworkPolicyPort) ([]span, error) {
	if len(ports) == 0 {
		return everyPort[:], nil
	}
	ranges := make([]PortRange, 0, len(ports))
	var names []span
	for i := range ports {
		r, err := portRange(&ports[i])
		if err != nil {
			return nil, fmt.Errorf("ports[%d].%w", i, err)
		}
		if name := portName(&ports[i]); name == "" {
			ranges = append(ranges, r)
		} else if s := (span{r, name}); !slices.Contains(names, s) {
			names = append(names, s)
		}
	}
	spans := make([]span, 0, len(ranges)+len(names))
	for _, r := range mergePorts(ranges) {
		spans = append(spans, span{PortRange: r})
	}
	return append(spans, names...), nil
}

func portName(p *networkingv1.NetworkPolicyPort) string {
	if p.Port == nil {
		return ""
	}
	return p.Port.StrVal
}
