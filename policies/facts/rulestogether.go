package facts

import (
	"fmt"
	"net/netip"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
)

// togetherWork bounds what one judgement of several rules together goes
// through, over all ports: selectors and steps of the search, or ranges of
// addresses in portions of rangesPerWork. A unit takes up to a microsecond or
// so (measured: TestRulesTogetherAreBounded).
const (
	togetherWork  = 1 << 16
	rangesPerWork = 32
)

// podRule is a rule by the pods that it selects.
type podRule struct {
	rule  rule
	ports []PortRange // of its entries
	boxes []Selector  // of its peers that aren't IP blocks
}

// mayComplete is false of a rule that with others like it never selects every
// pod: it selects none without labels in a namespace that has only a name, and
// one that no selector speaks of.
func (r podRule) mayComplete() bool {
	return len(r.rule.peers) == 0 || slices.ContainsFunc(r.boxes, Selector.selectsUnlabelled)
}

// everyPodComesIn reports whether ingress rules together select every pod of
// every namespace for every port. It is No if those without from do it alone:
// they are what OpenIngress is about.
func everyPodComesIn(rules []podRule) Verdict {
	if len(rules) < 2 || !slices.ContainsFunc(rules, podRule.mayComplete) {
		return No
	}
	var own []podRule
	var ports, anyone []PortRange
	for _, r := range rules {
		r.ports = surePorts(r.rule.ports, r.ports)
		if len(r.rule.peers) == 0 {
			r.boxes = []Selector{everything(Namespaces)}
			anyone = append(anyone, r.ports...)
		}
		if len(r.boxes) > 0 && len(r.ports) > 0 {
			own = append(own, r)
			ports = append(ports, r.ports...)
		}
	}
	if !IsAllPorts(ports) || IsAllPorts(anyone) {
		return No
	}
	verdict, work := Yes, togetherWork
	applying(portsOf(own), fewest, func(active []bool) bool {
		switch coversPods(own, active, &work) {
		case No:
			verdict = No
		case Unknown:
			verdict = Unknown
		}
		return verdict != No && work >= 0
	})
	return verdict
}

// everyPodIsReached reports whether for some port egress rules together select
// every pod of every namespace, and whether one of them is limited to ports.
func everyPodIsReached(rules []podRule) (verdict Verdict, limited bool) {
	rules = slices.DeleteFunc(rules, func(r podRule) bool { return len(r.boxes) == 0 })
	if len(rules) < 2 || !slices.ContainsFunc(rules, podRule.mayComplete) {
		return No, false
	}
	var boxes []Selector
	for _, r := range rules {
		boxes = append(boxes, r.boxes...)
	}
	if verdict, _ := everything(Namespaces).CoveredBy(boxes); verdict == No {
		return No, false
	}
	work := togetherWork
	verdict = No
	applying(portsOf(rules), most, func(active []bool) bool {
		found := coversPods(rules, active, &work)
		if found == No {
			return true
		}
		verdict, limited = found, false
		for i, applies := range active {
			limited = limited || applies && limitsPorts(rules[i].rule.ports, rules[i].ports)
		}
		return verdict != Yes && work >= 0
	})
	return verdict, limited
}

func portsOf(rules []podRule) [][]PortRange {
	ports := make([][]PortRange, len(rules))
	for i, r := range rules {
		ports[i] = mergePorts(r.ports)
	}
	return ports
}

// coversPods reports whether the active rules select every pod. It is Unknown
// if work has come to an end.
func coversPods(rules []podRule, active []bool, work *int) Verdict {
	var boxes []Selector
	for i, applies := range active {
		if applies {
			boxes = append(boxes, rules[i].boxes...)
		}
	}
	if *work -= len(boxes) + len(rules)/rangesPerWork; *work < 0 {
		return Unknown
	}
	if !slices.ContainsFunc(boxes, Selector.selectsUnlabelled) {
		return No
	}
	steps := min(coverSteps, *work)
	*work -= steps
	verdict, _ := everything(Namespaces).coveredWithin(boxes, &steps)
	*work += max(steps, 0)
	return verdict
}

// selectsUnlabelled reports whether s selects the pod of mayComplete.
func (s Selector) selectsUnlabelled() bool {
	return !slices.ContainsFunc(s.constraints, func(c constraint) bool {
		if c.key == namespaceNameLabel {
			return !c.admits.others
		}
		return !c.admits.absent
	})
}

// addressRange is a range of addresses of one family that a rule lets in.
type addressRange struct {
	rule     int
	from, to netip.Addr
}

// everyAddressComesIn reports whether ingress rules together let in every
// address of IPv4, or of IPv6, on every port.
func everyAddressComesIn(rules []rule) (Verdict, error) {
	if len(rules) < 2 {
		return No, nil
	}
	var own []rule
	var ports [][]PortRange
	for _, r := range rules {
		if len(r.peers) > 0 && !slices.ContainsFunc(r.peers, isBlock) {
			continue
		}
		ranges, err := PortRanges(r.ports)
		if err != nil {
			return No, fmt.Errorf("%s.%w", r.field(), err)
		}
		if sure := surePorts(r.ports, ranges); len(sure) > 0 {
			own, ports = append(own, r), append(ports, sure)
		}
	}
	if len(own) < 2 || !IsAllPorts(slices.Concat(ports...)) {
		return No, nil
	}
	for i := range ports {
		ports[i] = mergePorts(ports[i])
	}
	families, err := addressesByFamily(own)
	if err != nil {
		return No, err
	}
	verdict := No
	for i, ranges := range families {
		switch coversOnEveryPort(ranges, everyAddress[i].To(), ports) {
		case Yes:
			return Yes, nil
		case Unknown:
			verdict = Unknown
		}
	}
	return verdict, nil
}

func isBlock(p networkingv1.NetworkPolicyPeer) bool { return p.IPBlock != nil }

// addressesByFamily are what the rules let in, IPv4 and IPv6, sorted by from.
func addressesByFamily(rules []rule) ([2][]addressRange, error) {
	var families [2][]addressRange
	for i, r := range rules {
		ranges, err := r.addresses()
		if err != nil {
			return families, err
		}
		for _, have := range ranges {
			family := 0
			if have.From().Is6() {
				family = 1
			}
			families[family] = append(families[family], addressRange{i, have.From(), have.To()})
		}
	}
	for _, ranges := range families {
		slices.SortFunc(ranges, func(a, b addressRange) int { return a.from.Compare(b.from) })
	}
	return families, nil
}

// coversOnEveryPort reports whether for each port the ranges of the rules that
// apply to it are every address up to last.
func coversOnEveryPort(ranges []addressRange, last netip.Addr, ports [][]PortRange) Verdict {
	verdict, work := Yes, togetherWork
	applying(ports, fewest, func(active []bool) bool {
		if work -= (len(active) + len(ranges)) / rangesPerWork; work < 0 {
			verdict = Unknown
			return false
		}
		if !covers(ranges, last, active) {
			verdict = No
		}
		return verdict == Yes
	})
	return verdict
}

// covers reports whether the ranges of the active rules leave out no address up
// to last.
func covers(ranges []addressRange, last netip.Addr, active []bool) bool {
	next := netip.IPv4Unspecified()
	if last.Is6() {
		next = netip.IPv6Unspecified()
	}
	for _, r := range ranges {
		switch {
		case !active[r.rule] || r.to.Less(next):
		case next.Less(r.from):
			return false
		case r.to == last:
			return true
		default:
			next = r.to.Next()
		}
	}
	return false
}

// extreme says which sets of rules matter to applying.
type extreme bool

const (
	fewest extreme = false
	most   extreme = true
)

// applying goes up the ports of each protocol, and calls visit with the rules
// that apply to some port, until it returns false. Rules are given by their
// ports, merged. Of neighbouring ports where the rules of one contain those of
// the other, it visits only the one with most or with fewest rules.
func applying(ports [][]PortRange, which extreme, visit func(active []bool) bool) {
	active := make([]bool, len(ports))
	for _, protocol := range protocols {
		edges := edgesOf(protocol, len(ports), func(i int) []PortRange { return ports[i] })
		gained, lost := false, true // what the edges before the present ports did
		for i := 0; i < len(edges); {
			n, gains, loses := atFirstPort(edges[i:])
			matters := lost && (gains || i+n == len(edges))
			if which == most {
				matters = gained && loses
			}
			if i > 0 && matters && !visit(active) {
				return
			}
			for _, e := range edges[i : i+n] {
				active[e.source] = e.delta > 0
			}
			gained, lost = gains, loses || i == 0
			i += n
		}
	}
}

// atFirstPort is how many edges are at the port of the first one, and whether
// some rule begins or ends to apply there.
func atFirstPort(edges []edge) (n int, gains, loses bool) {
	for ; n < len(edges) && edges[n].port == edges[0].port; n++ {
		gains = gains || edges[n].delta > 0
		loses = loses || edges[n].delta < 0
	}
	return n, gains, loses
}
