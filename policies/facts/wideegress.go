package facts

import (
	"errors"
	"fmt"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
)

// WideEgress is egress of a policy that reaches more public addresses than the
// limit, for the ports named.
type WideEgress struct {
	// Field is the peer of the judged policy that contributes most,
	// spec.egress[0].to[1].ipBlock.cidr, or the rule, spec.egress[0], if it
	// has no peers and so reaches everything.
	Field    string `json:"field"`
	Protocol string `json:"protocol"` // "TCP", "TCP, UDP", or "any"
	Ports    string `json:"ports"`    // "443", "80, 8000-8999", or "all"
	Family   string `json:"family"`   // "IPv4" or "IPv6"
	// Reach is the widest of what the ports reach: "16,777,472 public
	// addresses" or "the whole IPv4 internet".
	Reach string `json:"reach"`
	// With names the other policies without which the limit would hold,
	// sorted; empty if the policy exceeds it alone.
	With []string `json:"with"`
	// Overlap is set if the policies in With don't all select every pod that
	// the judged one selects, but some pod is selected by all of them. Witness
	// are the labels of such a pod; empty otherwise.
	Overlap bool              `json:"overlap"`
	Witness map[string]string `json:"witness"`
	// Uncertain is set if the search for such a pod was given up: the limit is
	// exceeded if the policies in With select some pod together.
	Uncertain bool `json:"uncertain"`
}

// ErrTooLarge is the error for policies whose combinations of ports and blocks
// are too many to judge within the time of a request.
var ErrTooLarge = errors.New("too many combinations of ports and blocks to judge")

// WideEgressOf judges for every port and protocol how many public addresses
// pods reach because of p, over its peers and rules and over others: policies
// that select the same pods add up. Of others, those of another namespace or
// of p's own name (its stored copy) are skipped. p must have its namespace.
//
// Pods that reach too much without p are not p's finding, unless p exceeds
// the limit alone. A policy that does not isolate Egress, or selects no pod,
// opens nothing.
//
// Results are sorted by field, family and ports; there is one per field and
// family, more only if the ports of the protocols differ. The error names a
// field that has no meaning, and the policy if it isn't p's.
func WideEgressOf(p *Policy, others Policies, limits Limits) ([]WideEgress, error) {
	if !isolates(p.NetworkPolicy, networkingv1.PolicyTypeEgress) {
		return nil, nil
	}
	total, err := p.egressBound()
	if err != nil {
		return nil, err
	}
	if total.isZero() {
		return nil, nil
	}
	near := adding(p, others)
	for _, o := range near {
		bound, err := o.egressBound()
		if err != nil { // counts only if it selects the same pods
			bound = wholeInternet
		}
		total = total.plus(bound)
	}
	if over4, over6 := limits.Exceeds(total); !over4 && !over6 {
		return nil, nil
	}
	w, err := newWidth(p, near, limits)
	if err != nil || w == nil {
		return nil, err
	}
	if err := w.sweep(); err != nil {
		return nil, err
	}
	return w.findings(), nil
}

// adding are those of others that may add to what p opens.
func adding(p *Policy, others Policies) []*Policy {
	return slices.DeleteFunc(others.meeting(p, nil), func(o *Policy) bool { return !isolates(o.NetworkPolicy, networkingv1.PolicyTypeEgress) })
}

// egressBound is at least the number of public addresses that np reaches on
// any port. It allocates nothing unless a block is IPv4-mapped, and it checks
// every port and CIDR.
func egressBound(np *networkingv1.NetworkPolicy) (Reach, error) {
	var total Reach
	for i := range np.Spec.Egress {
		r := rule{Egress, i, np.Spec.Egress[i].To, np.Spec.Egress[i].Ports}
		for j := range r.ports {
			if _, err := portRange(&r.ports[j]); err != nil {
				return Reach{}, fmt.Errorf("%s.ports[%d].%w", r.field(), j, err)
			}
		}
		if len(r.peers) == 0 {
			total = total.plus(wholeInternet)
		}
		for j := range r.peers {
			bound, err := peerBound(&r.peers[j])
			if err != nil {
				return Reach{}, fmt.Errorf("%s%w", r.peerField(j), err)
			}
			total = total.plus(bound)
		}
	}
	return total, nil
}

// peerBound counts the public addresses of a peer without its excepts. The
// error begins with the rest of the field path.
func peerBound(p *networkingv1.NetworkPolicyPeer) (Reach, error) {
	b := p.IPBlock
	if b == nil {
		if p.PodSelector == nil && p.NamespaceSelector == nil {
			return Reach{}, errEmptyPeer
		}
		return Reach{}, nil
	}
	n, err := parseNetwork(b.CIDR)
	if err != nil {
		return Reach{}, fmt.Errorf(".ipBlock.cidr: %w", err)
	}
	for i, e := range b.Except {
		if _, err := ParseCIDR(e); err != nil {
			return Reach{}, fmt.Errorf(".ipBlock.except[%d]: %w", i, err)
		}
	}
	return n.publicBound(), nil
}
