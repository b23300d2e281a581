package facts

// Verdict is an answer that a bounded search may fail to find. Its zero value
// is Unknown.
type Verdict uint8

// The answers. A caller that protects something takes Unknown for the answer
// that refuses: selectors that may not cover don't, selectors that may select
// everything do.
const (
	Unknown Verdict = iota
	Yes
	No
)

// String is "yes", "no" or "unknown".
func (v Verdict) String() string {
	switch v {
	case Yes:
		return "yes"
	case No:
		return "no"
	}
	return "unknown"
}

// coverSteps bounds the search of CoveredBy and of the witnesses for
// overlapping policies. The problem is NP-hard (it contains tautology of
// formulas in disjunctive form); what people write takes about as many steps
// as there are selectors. A step is well under a microsecond for selectors of
// a few keys, so a search that gives up has taken a few milliseconds.
const coverSteps = 5000

// Subset reports whether every object that s selects is selected by b. It is
// exact. Both must be of one domain.
func (s Selector) Subset(b Selector) bool {
	if s.MatchesNothing() {
		return true
	}
	for _, c := range b.constraints {
		if !s.admits(c.key).subset(c.admits) {
			return false
		}
	}
	return true
}

// Overlap reports whether some labels that could exist satisfy both. It is
// exact. Both must be of one domain.
func (s Selector) Overlap(b Selector) bool {
	if s.MatchesNothing() || b.MatchesNothing() {
		return false
	}
	for _, c := range b.constraints {
		if !s.admits(c.key).overlaps(c.admits) {
			return false
		}
	}
	return true
}

// And selects what both s and b select.
func (s Selector) And(b Selector) Selector {
	for _, c := range b.constraints {
		s = s.with(c.key, s.admits(c.key).and(c.admits))
	}
	return s
}

// without returns disjoint selectors that together select what s selects and b
// does not; at most one per key of b.
func (s Selector) without(b Selector) []Selector {
	if !s.Overlap(b) {
		return []Selector{s}
	}
	var pieces []Selector
	for _, c := range b.constraints {
		have := s.admits(c.key)
		if outside := have.and(c.admits.not()); !outside.isEmpty() {
			pieces = append(pieces, s.with(c.key, outside))
			s = s.with(c.key, have.and(c.admits))
		}
	}
	return pieces
}

// CoveredBy reports whether every object that s selects is selected by at least
// one of bs. With No, the labels are an example that none of bs selects. A
// search that would take too long ends with Unknown. All must be of one domain.
func (s Selector) CoveredBy(bs []Selector) (Verdict, map[string]string) {
	steps := coverSteps
	verdict, left := s.coveredWithin(bs, &steps)
	if verdict != No {
		return verdict, nil
	}
	return No, left.Witness()
}

// coveredWithin is CoveredBy with a bound of its own. With No, the selector is
// a part of s that none of bs selects.
func (s Selector) coveredWithin(bs []Selector, steps *int) (Verdict, Selector) {
	if s.MatchesNothing() {
		return Yes, Selector{}
	}
	near := make([]Selector, 0, len(bs))
	for _, b := range bs {
		if s.Subset(b) {
			return Yes, Selector{}
		}
		if s.Overlap(b) {
			near = append(near, b)
		}
	}
	return s.subtractAll(s.merged(near), steps)
}

// subtractAll searches what s selects for something that none of bs selects.
// It goes depth first, so that an answer of No is usually found on the first
// way down.
func (s Selector) subtractAll(bs []Selector, steps *int) (Verdict, Selector) {
	for len(bs) > 0 && !s.Overlap(bs[0]) {
		bs = bs[1:]
		*steps--
	}
	if len(bs) == 0 {
		return No, s
	}
	if *steps--; *steps < 0 {
		return Unknown, Selector{}
	}
	for _, piece := range s.without(bs[0]) {
		if verdict, left := piece.subtractAll(bs[1:], steps); verdict != Yes {
			return verdict, left
		}
	}
	return Yes, Selector{}
}
