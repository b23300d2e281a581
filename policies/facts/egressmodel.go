package facts

import (
	"fmt"

	"go4.org/netipx"
	networkingv1 "k8s.io/api/networking/v1"
)

// width is the state of one WideEgressOf that did not end early.
type width struct {
	np       *networkingv1.NetworkPolicy
	limits   Limits
	policies []egressPolicy // the first is np
	sources  []source       // their egress rules that reach public addresses
	cells    []cell         // see findCells
	gaveUp   bool           // cells are incomplete
	work     int            // address ranges that may still be looked at
	memo     map[string][]hit
	hits     []portHits
}

// egressPolicy is a policy that selects some of the pods that np selects.
type egressPolicy struct {
	name string
	pods Selector
	all  bool // selects every pod that np selects
}

// source is an egress rule.
type source struct {
	policy int // index in width.policies
	rule   rule
	ports  []PortRange
	ranges []netipx.IPRange // its addresses, sorted and disjoint
	reach  Reach
}

// egressWork bounds the address ranges that one judgement goes through. A range
// takes up to half a microsecond (measured: TestWideEgressIsBounded), so this
// is about 0.1 s, the time of an evaluation. A policy with a thousand blocks
// on ten different ports takes a sixth of it.
const egressWork = 1 << 18

// newWidth is nil if p selects no pod. The others are those that may add to it.
func newWidth(p *Policy, others []*Policy, limits Limits) (*width, error) {
	pods, err := p.pods()
	if err != nil {
		return nil, err
	}
	if pods.MatchesNothing() {
		return nil, nil
	}
	w := &width{np: p.NetworkPolicy, limits: limits, work: egressWork, memo: map[string][]hit{}}
	if err := w.add(p.NetworkPolicy, pods, true); err != nil {
		return nil, err
	}
	for _, o := range others {
		theirs, err := o.pods()
		if err != nil {
			return nil, fmt.Errorf("NetworkPolicy %q: %w", o.Name, err)
		}
		if !pods.Overlap(theirs) {
			continue
		}
		if err := w.add(o.NetworkPolicy, theirs, pods.Subset(theirs)); err != nil {
			return nil, fmt.Errorf("NetworkPolicy %q: %w", o.Name, err)
		}
	}
	w.findCells()
	return w, nil
}

// add takes in the rules of a policy that reach public addresses, and the
// policy if it has such rules.
func (w *width) add(np *networkingv1.NetworkPolicy, pods Selector, all bool) error {
	index, before := len(w.policies), len(w.sources)
	for i := range np.Spec.Egress {
		s := source{policy: index, rule: rule{Egress, i, np.Spec.Egress[i].To, np.Spec.Egress[i].Ports}}
		var err error
		if s.ports, err = PortRanges(s.rule.ports); err != nil {
			return fmt.Errorf("%s.%w", s.rule.field(), err)
		}
		if s.ranges, err = s.rule.addresses(); err != nil {
			return err
		}
		w.work -= len(s.ranges)
		if s.reach = publicReach(s.ranges); !s.reach.isZero() {
			w.sources = append(w.sources, s)
		}
	}
	if index == 0 || len(w.sources) > before {
		w.policies = append(w.policies, egressPolicy{name: nameOf(np), pods: pods, all: all})
	}
	return nil
}

// addresses are those that the IP blocks of an egress rule reach, sorted and
// disjoint; all if the rule has no peers.
func (r rule) addresses() ([]netipx.IPRange, error) {
	if len(r.peers) == 0 {
		return everyAddress, nil
	}
	var set BlockSet
	for i := range r.peers {
		p := &r.peers[i]
		if p.IPBlock == nil {
			if p.PodSelector == nil && p.NamespaceSelector == nil {
				return nil, fmt.Errorf("%s%w", r.peerField(i), errEmptyPeer)
			}
			continue
		}
		if err := set.Add(p.IPBlock.CIDR, p.IPBlock.Except); err != nil {
			return nil, fmt.Errorf("%s.ipBlock.%w", r.peerField(i), err)
		}
	}
	return set.ranges(), nil
}

// union are the addresses of the sources, sorted and disjoint.
func (w *width) union(sources []int) []netipx.IPRange {
	switch len(sources) {
	case 0:
		return nil
	case 1:
		return w.sources[sources[0]].ranges
	}
	var set BlockSet
	for _, i := range sources {
		w.work -= len(w.sources[i].ranges)
		set.addRanges(w.sources[i].ranges)
	}
	return set.ranges()
}

// widest is np's rule or peer, among own, that adds most addresses of the
// family to base: its field, and its rule's and its own index for sorting.
func (w *width) widest(own []int, base []netipx.IPRange, family string) (field string, order [2]int, err error) {
	most := Count{}
	for _, i := range own {
		r := w.sources[i].rule
		if len(r.peers) == 0 {
			return r.field(), [2]int{r.index, -1}, nil
		}
		for j := range r.peers {
			b := r.peers[j].IPBlock
			if b == nil {
				continue
			}
			ranges, err := blockRanges(b.CIDR, b.Except)
			if err != nil {
				return "", order, fmt.Errorf("%s.ipBlock.%w", r.peerField(j), err)
			}
			w.work -= 1 + len(ranges) + len(base)/64 // most of base is skipped by halving
			if w.work < 0 {
				return "", order, ErrTooLarge
			}
			added := publicReach(ranges).family(family).minus(publicOverlap(ranges, base).family(family))
			if field == "" || added.Cmp(most) > 0 {
				field, order, most = r.peerField(j)+".ipBlock.cidr", [2]int{r.index, j}, added
			}
		}
	}
	return field, order, nil
}
