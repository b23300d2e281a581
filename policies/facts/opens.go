package facts

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
)

// Opening is traffic that a change of NetworkPolicies opens.
type Opening struct {
	Namespace string `json:"namespace"`
	Policy    string `json:"policy"`    // the NetworkPolicy that opens it, or that closed it before
	Direction string `json:"direction"` // "Ingress" or "Egress"
	// Field is the peer in the policy as it is after the change,
	// spec.egress[0].to[1], or the rule, if that has no peers. Where pods are no
	// longer isolated it is what selected them: spec.podSelector,
	// spec.policyTypes, or metadata.name of a policy that is gone.
	Field string `json:"field"`
	// Unisolated is set if the pods are isolated by no policy any more, so that
	// everything is open.
	Unisolated bool `json:"unisolated"`
	// Pods are "pods app=web", or "every pod": those that the policy selects if
	// it opens the example to all of them, or else some, by their labels.
	Pods string `json:"pods"`
	// Peer is what the policy allows: "10.0.0.0/8 except 10.1.0.0/16", "pods
	// app=db in namespace data", "everything".
	Peer     string  `json:"peer"`
	Protocol string  `json:"protocol"` // "TCP", "TCP, UDP", or "any"
	Ports    string  `json:"ports"`    // "443", "80, 8000-8999, http", or "all"
	Example  Example `json:"example"`
	// Uncertain is set if the search for an example was given up: the traffic
	// may have been open before. To be safe, take it for opened.
	Uncertain bool `json:"uncertain"`
	// Text says it in a sentence: "pods app=web in shop may now reach
	// 8.8.8.8:443 (0.0.0.0/0 on TCP 443)".
	Text string `json:"text"`
	// Allowance is an entry of OpenOptions.Allowed, as YAML, with which this
	// would not be told; empty if Unisolated, or if it had more than a few ports.
	Allowance string `json:"allowance"`

	order [2]int // rule and peer
}

// Openings are what a change opens.
type Openings struct {
	// List is sorted by policy and place; it has at most as many as were asked
	// for.
	List []Opening `json:"list"`
	// More is set if there may be others.
	More bool `json:"more"`
}

// OpenOptions say what is looked for.
type OpenOptions struct {
	// Allowed is traffic that nobody has to be told of.
	Allowed []Allowance
	// Max is how many openings are listed; 0 is all.
	Max int
	// Closing tells that before and after are swapped: Text speaks of what is
	// closed.
	Closing bool
}

// OpenedBy is the traffic that a change of one policy opens. old is nil if it
// is created, updated nil if it is deleted. Of others, policies of other
// namespaces, those for other pods, and the stored copy of the policy itself
// are skipped.
func OpenedBy(old, updated *Policy, others Policies, o OpenOptions) (Openings, error) {
	one := updated
	if one == nil {
		one = old
	}
	if one == nil || old != nil && updated != nil && reflect.DeepEqual(old.Spec, updated.Spec) {
		return Openings{}, nil
	}
	before := others.meeting(old, updated)
	after := before
	if old != nil {
		before = append(slices.Clip(before), old)
	}
	if updated != nil {
		after = append(slices.Clip(after), updated)
	}
	c := change{namespace: one.Namespace, before: before, after: after, search: newSearch(), options: o}
	if updated != nil {
		c.added = []*Policy{updated}
	}
	if old != nil {
		c.removed = []*Policy{old}
	}
	return c.openings()
}

// Opened is the traffic that one namespace's policies open after a change.
// Policies of one name are the same, changed if their specs differ.
func Opened(before, after []*Policy, o OpenOptions) (Openings, error) {
	c := change{before: before, after: after, search: newSearch(), options: o}
	c.removed, c.added = changed(before, after), changed(after, before)
	for _, p := range slices.Concat(c.removed, c.added) {
		c.namespace = p.Namespace
	}
	return c.openings()
}

// changed are the policies that others lack or have with another spec.
func changed(policies, others []*Policy) []*Policy {
	named := make(map[string]*Policy, len(others))
	for _, p := range others {
		named[p.Name] = p
	}
	var list []*Policy
	for _, p := range policies {
		if q := named[p.Name]; q == nil || q != p && !reflect.DeepEqual(p.Spec, q.Spec) {
			list = append(list, p)
		}
	}
	slices.SortFunc(list, func(a, b *Policy) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// change is the state of one judgement.
type change struct {
	namespace      string
	before, after  []*Policy // those that are changed included
	removed, added []*Policy // those that are changed, as they were and as they are
	search         *search
	options        OpenOptions
	allowed        []allowance // for the direction under judgement
	found          Openings
}

func (c *change) openings() (Openings, error) {
	if len(c.added)+len(c.removed) == 0 {
		return Openings{}, nil
	}
	for _, direction := range []string{Ingress, Egress} {
		var err error
		if c.allowed, err = allowances(c.options.Allowed, c.namespace, direction); err != nil {
			return Openings{}, err
		}
		for _, p := range c.added {
			if err := c.opensBy(p, direction); err != nil {
				return Openings{}, err
			}
		}
		for i, p := range c.removed {
			if err := c.unisolates(p, c.removed[:i], direction); err != nil {
				return Openings{}, err
			}
		}
	}
	slices.SortStableFunc(c.found.List, Opening.compare)
	return c.found, nil
}

// full reports whether as many openings were found as were asked for, so that
// others are not looked for.
func (c *change) full() bool {
	if c.options.Max > 0 && len(c.found.List) >= c.options.Max {
		c.found.More = true
	}
	return c.found.More
}

// opensBy finds what the rules of an added policy open, for pods that were
// isolated: what is open already can't be opened.
func (c *change) opensBy(p *Policy, direction string) error {
	m, err := meaningNamed(p)
	if err != nil || !m.isolates[way(direction)] || len(m.boxes[way(direction)]) == 0 || m.pods.MatchesNothing() {
		return err
	}
	isolated, covers, err := c.isolatedBefore(m.pods, direction)
	if err != nil || len(isolated) == 0 {
		return err
	}
	for i := range m.rules {
		g := &m.rules[i]
		if g.rule.direction != direction {
			continue
		}
		for j := range g.peers {
			if c.full() {
				return nil
			}
			t := target{policy: p, pods: m.pods, isolated: isolated, direction: direction, order: [2]int{i, j}}
			t.field, t.peerText = g.peerText(j, p.Namespace)
			if index := g.peers[j].index; index >= 0 {
				t.peer = &g.rule.peers[index]
			}
			c.judge(&t, g.peers[j].sets, g.ports, covers)
		}
	}
	return nil
}

// isolatedBefore are selectors of pods that were isolated and the traffic that
// was open to them, each as far as it concerns the pods. If one policy
// isolated all of them, it is the only selector.
func (c *change) isolatedBefore(pods Selector, direction string) ([]Selector, []*box, error) {
	var isolated []Selector
	var covers []*box
	all := false
	for _, p := range c.before {
		m, err := meaningNamed(p)
		if err != nil {
			return nil, nil, err
		}
		if !m.isolates[way(direction)] || !pods.Overlap(m.pods) {
			continue
		}
		switch {
		case all:
		case pods.Subset(m.pods):
			isolated, all = append(isolated[:0], m.pods), true
		default:
			isolated = append(isolated, m.pods)
		}
		covers = append(covers, m.boxes[way(direction)]...)
	}
	return isolated, covers, nil
}

// unisolates finds whether pods that a removed policy isolated are isolated no
// more. What happened to the pods of those in done has been said.
func (c *change) unisolates(p *Policy, done []*Policy, direction string) error {
	m, err := meaningNamed(p)
	if err != nil || !m.isolates[way(direction)] || m.pods.MatchesNothing() || c.full() {
		return err
	}
	var closed []Selector // pods that are isolated, or have been looked at
	for _, list := range [][]*Policy{c.after, done} {
		for _, q := range list {
			theirs, err := meaningNamed(q)
			if err != nil {
				return err
			}
			if !theirs.isolates[way(direction)] || !m.pods.Overlap(theirs.pods) {
				continue
			}
			if m.pods.Subset(theirs.pods) {
				return nil
			}
			closed = append(closed, theirs.pods)
		}
	}
	_, open, err := c.isolatedBefore(m.pods, direction)
	if err != nil {
		return err
	}
	t := target{policy: p, pods: m.pods, isolated: []Selector{{}}, direction: direction, order: [2]int{-1, -1}, unisolated: true}
	t.field, t.peerText = c.selecting(p, direction), "everything"
	c.judgeUnisolated(&t, closed, open)
	return nil
}

// selecting is the field that no longer isolates.
func (c *change) selecting(p *Policy, direction string) string {
	for _, q := range c.added {
		if q.Name != p.Name {
			continue
		}
		if !slices.Contains(PolicyTypes(q.NetworkPolicy), direction) {
			return "spec.policyTypes"
		}
		return "spec.podSelector"
	}
	return "metadata.name"
}

func meaningNamed(p *Policy) (*meaning, error) {
	m, err := p.meaning()
	if err != nil {
		return nil, fmt.Errorf("NetworkPolicy %q: %w", p.Name, err)
	}
	return m, nil
}
