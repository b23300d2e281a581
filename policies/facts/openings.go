package facts

import (
	"cmp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

// target is a peer of a rule under judgement, or pods that are isolated no
// more.
type target struct {
	policy     *Policy
	pods       Selector
	isolated   []Selector
	direction  string
	field      string
	peer       *networkingv1.NetworkPolicyPeer // nil if there is none, which is everyone
	peerText   string
	order      [2]int
	unisolated bool
}

// opened is a span on which a target opens something.
type opened struct {
	ports     span
	point     point
	everyPod  bool // all pods of the target get that
	uncertain bool
}

// mostCuts is how many places one span is cut at to say exactly which ports
// are opened.
const mostCuts = 16

// judge finds what a target opens beside covers, and lists it.
func (c *change) judge(t *target, sets []peers, ports []span, covers []*box) {
	var found []opened
	for _, set := range sets {
		beside := c.withAllowed(covers, set)
		for _, s := range ports {
			b := box{t.pods, set, s}
			if b.isEmpty() {
				continue
			}
			if !c.search.begin() {
				found = append(found, opened{ports: s, uncertain: true})
				continue
			}
			near, covered := c.search.near(&b, beside)
			if covered {
				continue
			}
			for _, s := range cut(s, near) {
				b.ports = s
				if o, is := c.opens(t, b, near); is {
					found = append(found, o)
				}
			}
		}
	}
	if len(found) > 0 {
		c.list(t, found, len(sets) > 1)
	}
}

// judgeUnisolated finds whether what a target opens, which is everything but
// for closed pods, was open before, and lists an example. It looks at a plain
// pod first: that there are pods that nobody isolates is mostly plain to see.
func (c *change) judgeUnisolated(t *target, closed []Selector, open []*box) {
	labels := t.pods.Witness()
	isPlain := func(pods Selector) bool { return pods.Matches(labels) }
	var plain []*box
	for _, b := range open {
		if isPlain(b.pods) {
			plain = append(plain, &box{Selector{}, b.peers, b.ports})
		}
	}
	var found []opened
	if !slices.ContainsFunc(closed, isPlain) {
		one := *t
		one.pods = Selector{}
		found = c.unisolated(&one, plain, nil)
		for i := range found {
			if o := &found[i]; !o.uncertain {
				o.point.pod = labels
				o.everyPod = len(closed) == 0 && !slices.ContainsFunc(open, func(b *box) bool { return b.opens(&o.point) })
			}
		}
	}
	if len(found) == 0 {
		found = c.unisolated(t, open, closed)
	}
	if len(found) > 0 {
		c.tell(t, found[:1], false, "any", "all")
	}
}

// unisolated is the first that is opened beside covers to pods that are not
// closed; what is uncertain only if nothing is certain.
func (c *change) unisolated(t *target, covers []*box, closed []Selector) []opened {
	var perhaps []opened
	for _, set := range everyone {
		beside := c.withAllowed(covers, set)
		for _, s := range everyPort {
			all := make([]*box, 0, len(closed)+len(beside))
			for _, pods := range closed {
				all = append(all, &box{pods, set, s})
			}
			if !c.search.begin() {
				return []opened{{ports: s, uncertain: true}}
			}
			if o, is := c.opens(t, box{t.pods, set, s}, append(all, beside...)); is && !o.uncertain {
				return []opened{o}
			} else if is {
				perhaps = append(perhaps, o)
			}
		}
	}
	return perhaps
}

// withAllowed are covers and what may be opened to peers like those of set.
func (c *change) withAllowed(covers []*box, set peers) []*box {
	covers = slices.Clip(covers)
	for i := range c.allowed {
		covers = append(covers, c.allowed[i].covers(set)...)
	}
	return covers
}

// opens judges one box.
func (c *change) opens(t *target, b box, covers []*box) (opened, bool) {
	near, covered := c.search.near(&b, covers)
	if covered {
		return opened{}, false
	}
	verdict, left := c.search.first(b, near, t.isolated)
	switch verdict {
	case Yes:
		return opened{}, false
	case Unknown:
		return opened{ports: b.ports, uncertain: true}, true
	}
	o := opened{ports: b.ports, point: left.point()}
	o.everyPod = len(t.isolated) == 1 && b.pods.Subset(t.isolated[0]) &&
		!slices.ContainsFunc(near, func(c *box) bool { return c.opens(&o.point) })
	return o, true
}

// cut divides a span where covers begin and end.
func cut(s span, covers []*box) []span {
	var cuts []int32 // where parts begin
	for _, c := range covers {
		for _, at := range [...]int32{c.ports.From, c.ports.To + 1} {
			if s.From < at && at <= s.To && !slices.Contains(cuts, at) {
				cuts = append(cuts, at)
			}
		}
		if len(cuts) > mostCuts {
			return []span{s}
		}
	}
	if s.name != "" || len(cuts) == 0 {
		return []span{s}
	}
	slices.Sort(cuts)
	parts := make([]span, 0, len(cuts)+1)
	for _, at := range cuts {
		part := s
		part.To = at - 1
		parts = append(parts, part)
		s.From = at
	}
	return append(parts, s)
}

// list adds an opening for each list of ports: protocols with the same ports
// share one.
func (c *change) list(t *target, found []opened, anyone bool) {
	for _, uncertain := range []bool{false, true} {
		byProtocol := map[corev1.Protocol][]opened{}
		for _, o := range found {
			if o.uncertain == uncertain {
				byProtocol[o.ports.Protocol] = append(byProtocol[o.ports.Protocol], o)
			}
		}
		var texts []string
		sharing := map[string][]corev1.Protocol{}
		for _, p := range protocols {
			if len(byProtocol[p]) == 0 {
				continue
			}
			text := spansText(byProtocol[p])
			if sharing[text] == nil {
				texts = append(texts, text)
			}
			sharing[text] = append(sharing[text], p)
		}
		for _, text := range texts {
			var same []opened
			for _, p := range sharing[text] {
				same = append(same, byProtocol[p]...)
			}
			c.tell(t, same, anyone, protocolsText(sharing[text]), text)
		}
	}
}

// tell lists what is opened on ports.
func (c *change) tell(t *target, found []opened, anyone bool, protocol, ports string) {
	o := c.add(t, found, anyone)
	o.Protocol, o.Ports = protocol, ports
	o.Text = o.sentence(best(found).point, c.options.Closing)
	if !t.unisolated {
		o.Allowance = allowanceText(t, found, protocol == "any" && ports == "all")
	}
}

// add lists what is opened, but for its ports.
func (c *change) add(t *target, found []opened, anyone bool) *Opening {
	c.found.List = append(c.found.List, Opening{
		Namespace: c.namespace, Policy: t.policy.Name, Direction: t.direction, Field: t.field, Unisolated: t.unisolated,
		Pods: selectorText(&t.policy.Spec.PodSelector), Peer: t.peerText, Uncertain: found[0].uncertain, order: t.order,
		Example: Example{Pod: map[string]string{}, Peer: map[string]string{}, Namespace: map[string]string{}},
	})
	o := &c.found.List[len(c.found.List)-1]
	if o.Uncertain {
		return o
	}
	b := best(found)
	o.Example = b.point.example()
	if !b.everyPod {
		o.Pods = labelsText(o.Example.Pod)
	}
	pods := slices.ContainsFunc(found, func(f opened) bool { return !f.point.address.IsValid() })
	switch {
	case anyone && !pods:
		o.Peer = "every address"
	case anyone && !b.point.address.IsValid():
		o.Peer = "every pod of every namespace"
	}
	return o
}

// best is the one with the example that says most to a reader: an address, and
// a port that everybody knows.
func best(found []opened) *opened {
	rank := func(o *opened) int {
		n := slices.Index(knownPorts[:], o.point.port.From)
		if n < 0 || o.point.port.name != "" {
			n = len(knownPorts)
		}
		if !o.point.address.IsValid() {
			n += len(knownPorts) + 1
		}
		return n
	}
	b := &found[0]
	for i := range found {
		if rank(&found[i]) < rank(b) {
			b = &found[i]
		}
	}
	return b
}

func (o Opening) compare(p Opening) int {
	return cmp.Or(strings.Compare(o.Policy, p.Policy), strings.Compare(o.Direction, p.Direction)*-1,
		slices.Compare(o.order[:], p.order[:]))
}
