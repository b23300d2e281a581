package facts

import "fmt"

// Traffic is a set of what pods of one namespace may reach, or be reached by:
// for pods by their labels, peers that are addresses or pods, a protocol and
// ports. The zero value is empty.
type Traffic struct{ boxes []*box }

// Allowed is the traffic in a direction that the rules of the policies of one
// namespace allow together. Pods that none of them isolates are not in it:
// whatever they do is open. The error names the policy and the field that has
// no meaning.
func Allowed(policies []*Policy, direction string) (Traffic, error) {
	var t Traffic
	for _, p := range policies {
		m, err := p.meaning()
		if err != nil {
			return Traffic{}, fmt.Errorf("NetworkPolicy %q: %w", p.Name, err)
		}
		t.boxes = append(t.boxes, m.boxes[way(direction)]...)
	}
	return t, nil
}

// Union is the traffic in t or u.
func (t Traffic) Union(u Traffic) Traffic {
	return Traffic{append(append(make([]*box, 0, len(t.boxes)+len(u.boxes)), t.boxes...), u.boxes...)}
}

// IsEmpty reports whether there is no traffic in t.
func (t Traffic) IsEmpty() bool {
	_, found := t.Witness()
	return !found
}

// Minus is the traffic in t and not in u; false if there are too many pieces
// to tell, in which case the traffic is more than that.
func (t Traffic) Minus(u Traffic) (Traffic, bool) {
	var left Traffic
	s := newSearch()
	complete := true
	for _, b := range t.boxes {
		if b.isEmpty() {
			continue
		}
		s.begin()
		before := len(left.boxes)
		near, covered := s.near(b, u.boxes)
		if covered {
			continue
		}
		if s.left(*b, near, func(piece box) bool {
			left.boxes = append(left.boxes, &piece)
			return false
		}) == Unknown {
			left.boxes = append(left.boxes[:before], b)
			complete = false
		}
	}
	return left, complete
}

// Subset reports whether all of t is in u. With No there is an example that
// isn't.
func (t Traffic) Subset(u Traffic) (Verdict, Example) {
	s := newSearch()
	verdict := Yes
	for _, b := range t.boxes {
		if b.isEmpty() {
			continue
		}
		s.begin()
		near, covered := s.near(b, u.boxes)
		if covered {
			continue
		}
		switch v, left := s.first(*b, near, []Selector{{}}); v {
		case No:
			return No, left.point().example()
		case Unknown:
			verdict = Unknown
		}
	}
	return verdict, Example{}
}

// Witness is an example of the traffic in t, if there is any.
func (t Traffic) Witness() (Example, bool) {
	for _, b := range t.boxes {
		if !b.isEmpty() {
			return b.point().example(), true
		}
	}
	return Example{}, false
}
