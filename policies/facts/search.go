package facts

// searchWork bounds what one judgement of traffic takes, in looks at a box or
// at a selector's values: about 0.1 µs each (BenchmarkOpened), so this is half
// of the time that an evaluation has. regionWork bounds what one box of it
// takes, so that a box too complicated to judge leaves time for the others.
const (
	searchWork = 1 << 19
	regionWork = searchWork / 4
)

// search looks for traffic that is left of boxes when others are taken away.
type search struct {
	work   int // that may still be done
	region int // that may still be done for this box
}

func newSearch() *search { return &search{work: searchWork} }

func (s *search) spend(n int) bool {
	s.work -= n
	s.region -= n
	return s.work >= 0 && s.region >= 0
}

// begin is called before each box that is judged.
func (s *search) begin() { s.region = min(regionWork, s.work) }

// near are those of covers that take something away from b; covered is set if
// one of them leaves nothing.
func (s *search) near(b *box, covers []box) (near []box, covered bool) {
	s.spend(1 + len(covers)/4)
	for i := range covers {
		c := &covers[i]
		if !b.overlaps(c) {
			continue
		}
		if b.within(c) {
			return nil, true
		}
		near = append(near, *c)
	}
	return near, false
}

// left calls each with disjoint boxes that together are b but for covers, until
// it returns true. Yes means that each was given all and never did: nothing is
// left that it wants. No means that it did.
func (s *search) left(b box, covers []box, each func(box) bool) Verdict {
	for len(covers) > 0 && !b.overlaps(&covers[0]) {
		if !s.spend(1) {
			return Unknown
		}
		covers = covers[1:]
	}
	if len(covers) == 0 {
		if each(b) {
			return No
		}
		return Yes
	}
	if !s.spend(8 + b.size()) {
		return Unknown
	}
	for _, piece := range b.without(&covers[0]) {
		if verdict := s.left(piece, covers[1:], each); verdict != Yes {
			return verdict
		}
	}
	return Yes
}

// size grows with what it takes to copy b.
func (b *box) size() int {
	n := len(b.peers.addresses)
	for _, c := range b.pods.constraints {
		n += len(c.admits.listed)
	}
	for _, c := range b.peers.pods.constraints {
		n += len(c.admits.listed)
	}
	return n / 8
}

// first finds a box of what is left of b, all of whose pods some of the
// selectors select. Each of covers overlaps b.
func (s *search) first(b box, covers []box, isolated []Selector) (Verdict, box) {
	var found box
	all := Yes
	for _, pods := range isolated {
		part := b
		if part.pods = b.pods.And(pods); part.pods.MatchesNothing() {
			continue
		}
		verdict := s.firstFor(part, covers, &found)
		if verdict == No {
			return No, found
		}
		if verdict == Unknown {
			all = Unknown
		}
	}
	return all, box{}
}

// firstFor first asks for one plain pod, which leaves only peers and ports to
// reason about, and then for all.
func (s *search) firstFor(b box, covers []box, found *box) Verdict {
	labels := b.pods.Witness()
	plain := b
	plain.pods = Selector{}
	var theirs []box
	exact := true
	for i := range covers {
		c := covers[i]
		exact = exact && b.pods.Subset(c.pods)
		if c.pods.Matches(labels) {
			c.pods = Selector{}
			theirs = append(theirs, c)
		}
	}
	if !s.spend(len(covers)) {
		return Unknown
	}
	verdict := s.left(plain, theirs, func(left box) bool {
		*found = left
		found.pods = b.pods // whose witness is that pod
		return true
	})
	if verdict != Yes || exact {
		return verdict
	}
	return s.left(b, covers, func(left box) bool {
		*found = left
		return true
	})
}
