package facts

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

// egressWindows are 16 public addresses of each family.
var egressWindows = []netip.Prefix{netip.MustParsePrefix("20.0.0.0/28"), netip.MustParsePrefix("2600::/124")}

var egressLimits = Limits{IPv4Prefix: 29, IPv6Prefix: 125} // 8 addresses

func randomEgress(r *rand.Rand, name string) *networkingv1.NetworkPolicy {
	np := selecting(policy(name, nil), randomSelector(r, "a", "b"))
	np.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeEgress}
	for range r.IntN(4) {
		var rule networkingv1.NetworkPolicyEgressRule
		for range r.IntN(4) {
			p := port(pick(r, "", corev1.ProtocolTCP, corev1.ProtocolUDP), pick[any](r, nil, "name", 1, 2, 3, 4), 0)
			if p.Port != nil && p.Port.Type == 0 && r.IntN(2) == 0 {
				end := p.Port.IntVal + r.Int32N(3)
				p.EndPort = &end
			}
			rule.Ports = append(rule.Ports, p)
		}
		for range r.IntN(4) {
			window := pick(r, egressWindows...)
			b := ipBlock(randomPrefix(window, r.IntN).String())
			for range r.IntN(3) {
				b.IPBlock.Except = append(b.IPBlock.Except, randomPrefix(window, r.IntN).String())
			}
			rule.To = append(rule.To, b)
		}
		if len(rule.To) == 0 && r.IntN(3) > 0 { // often open rules would hide the rest
			rule.To = append(rule.To, peer{PodSelector: app("x")})
		}
		np.Spec.Egress = append(np.Spec.Egress, rule)
	}
	return np
}

// reaches are the addresses of the window that np reaches on a port, as bits;
// outside the window only open rules reach something, which is more than any
// limit: bit 16.
func reaches(np *networkingv1.NetworkPolicy, window netip.Prefix, protocol corev1.Protocol, number int32) uint32 {
	var set uint32
	for _, r := range np.Spec.Egress {
		applies := len(r.Ports) == 0
		for _, p := range r.Ports {
			same := p.Protocol == nil && protocol == "TCP" || p.Protocol != nil && *p.Protocol == protocol
			in := p.Port == nil || p.Port.Type == 1 || p.Port.IntVal == number || p.EndPort != nil && p.Port.IntVal <= number && number <= *p.EndPort
			applies = applies || same && in
		}
		if !applies {
			continue
		}
		if len(r.To) == 0 {
			set |= 1 << 16
		}
		i := 0
		for a := window.Addr(); window.Contains(a); a = a.Next() {
			for _, p := range r.To {
				if p.IPBlock == nil {
					continue
				}
				b := block{cidr: netip.MustParsePrefix(p.IPBlock.CIDR)}
				for _, e := range p.IPBlock.Except {
					b.except = append(b.except, netip.MustParsePrefix(e))
				}
				if b.has(a) {
					set |= 1 << i
				}
			}
			i++
		}
	}
	return set
}

func tooWide(set uint32) bool {
	n := 0
	for i := range 16 {
		n += int(set >> i & 1)
	}
	return n > 8 || set>>16 != 0
}

var allPods = allLabels([]string{"a", "b"}, testValues)

// podsIn says for each of allPods whether np selects it.
func podsIn(t *testing.T, np *networkingv1.NetworkPolicy) []bool {
	return labelsSelected(t, &np.Spec.PodSelector, allPods)
}

// expect is the verdict for one port: "" for none, "certain" or "overlap", by
// going through all pods. The first element of pods are np's, the others those
// of others.
func expect(np *networkingv1.NetworkPolicy, others []*networkingv1.NetworkPolicy, pods [][]bool, window netip.Prefix, protocol corev1.Protocol, number int32) string {
	own := reaches(np, window, protocol, number)
	if own == 0 || !slices.Contains(pods[0], true) {
		return ""
	}
	theirs := make([]uint32, len(others))
	var base uint32
	for i, o := range others {
		theirs[i] = reaches(o, window, protocol, number)
		all := true
		for pod := range allPods {
			all = all && (!pods[0][pod] || pods[i+1][pod])
		}
		if all {
			base |= theirs[i]
		}
	}
	switch {
	case tooWide(own):
		return "certain"
	case tooWide(base):
		return ""
	case tooWide(own | base):
		return "certain"
	}
	for pod := range allPods {
		var without uint32
		for i := range others {
			if pods[i+1][pod] {
				without |= theirs[i]
			}
		}
		if pods[0][pod] && tooWide(own|without) && !tooWide(without) {
			return "overlap"
		}
	}
	return ""
}

func TestWideEgressAgainstEnumeration(t *testing.T) {
	seen := map[string]int{}
	forSeeds(t, 6000, func(t *testing.T, r *rand.Rand) {
		np := randomEgress(r, "np")
		var others []*networkingv1.NetworkPolicy
		for i := range r.IntN(4) {
			others = append(others, randomEgress(r, fmt.Sprintf("o%d", i)))
		}
		pods := [][]bool{podsIn(t, np)}
		for _, o := range others {
			pods = append(pods, podsIn(t, o))
		}
		hits := map[string]string{}
		p := NewPolicy(np)
		found, err := WideEgressOf(p, together(others), egressLimits)
		if err != nil {
			t.Fatal(err)
		}
		if w, err := newWidth(p, adding(p, together(others)), egressLimits); err == nil && w != nil && len(np.Spec.Egress) > 0 {
			if err := w.sweep(); err != nil {
				t.Fatal(err)
			}
			if got := w.findings(); len(got) != len(found) {
				t.Fatalf("the early end changes the result: %+v, without it %+v", found, got)
			}
			hits = verdictsByPort(t, w, np, others)
		}
		for f, window := range egressWindows {
			family := []string{IPv4, IPv6}[f]
			for _, protocol := range protocols {
				for _, number := range []int32{1, 2, 3, 4, 5, 6, 7, 65535} {
					key := fmt.Sprint(family, protocol, number)
					want := expect(np, others, pods, window, protocol, number)
					if hits[key] != want {
						t.Errorf("%s %s %d: %q, want %q\n%+v\n%+v", family, protocol, number, hits[key], want, np.Spec, others)
					}
					seen[want]++
				}
			}
		}
		if len(found) > 0 != (len(hits) > 0) {
			t.Errorf("%d findings of %d hits", len(found), len(hits))
		}
	})
	if seen["certain"] < 1000 || seen["overlap"] < 300 || seen[""] < 1000 {
		t.Errorf("the generator says little: %v", seen)
	}
}

// verdictsByPort lists the hits of w, and checks their witnesses and names.
func verdictsByPort(t *testing.T, w *width, np *networkingv1.NetworkPolicy, others []*networkingv1.NetworkPolicy) map[string]string {
	t.Helper()
	verdicts := map[string]string{}
	for _, p := range w.hits {
		for _, h := range p.hits {
			verdict := "certain"
			if h.overlap {
				verdict = "overlap"
				for _, o := range append(slices.Clone(others), np) {
					selects := compile(t, &o.Spec.PodSelector, Pods).Matches(h.witness)
					if named := o == np || slices.Contains(h.with, o.Name); named && !selects {
						t.Errorf("%s does not select the witness %v", o.Name, h.witness)
					}
				}
			}
			if h.uncertain || h.field == "" {
				t.Errorf("uncertain or without field: %+v", h)
			}
			for n := p.ports.From; n <= p.ports.To; n++ {
				if n == 8 {
					n = 65535
				}
				if n < 8 || n == 65535 {
					verdicts[fmt.Sprint(h.family, p.ports.Protocol, n)] = verdict
				}
			}
		}
	}
	return verdicts
}

// TestWideEgressOfManyBlocks is as large as policies get: generated lists of a
// provider's networks, for several ports.
func TestWideEgressOfManyBlocks(t *testing.T) {
	list := func(name string, first int) *networkingv1.NetworkPolicy {
		np := policy(name, nil)
		for i := range 10 {
			rule := networkingv1.NetworkPolicyEgressRule{Ports: ports{port("", 8000+i, 0)}}
			for j := range 1000 {
				rule.To = append(rule.To, ipBlock(fmt.Sprintf("%d.%d.%d.0/24", first+j/100, j%100, i)))
			}
			np.Spec.Egress = append(np.Spec.Egress, rule)
		}
		return np
	}
	got, err := WideEgressOf(NewPolicy(list("p", 20)), together([]*networkingv1.NetworkPolicy{list("o", 60)}), Limits{IPv4Prefix: 14})
	if err != nil || len(got) != 10 {
		t.Errorf("%d findings, %v", len(got), err)
	}
}
