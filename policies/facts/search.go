package facts

// searchWork bounds what one judgement of traffic takes. A unit is up to
// 0.2 µs (BenchmarkOpened/hard), so this is half of the time that an
// evaluation has. boxWork bounds what one box of it takes, so that one that is
// too complicated to judge leaves time for the others.
const (
	searchWork = 1 << 18
	boxWork    = searchWork / 8
)

// search looks for traffic that is left of boxes when others are taken away.
type search struct {
	work int // that may still be done
	box  int // that may still be done for this box
}

func newSearch() *search { return &search{work: searchWork} }

func (s *search) spend(n int) bool {
	s.work -= n
	s.box -= n
	return s.work >= 0 && s.box >= 0
}

// begin is called before each box that is judged. It is false if there is no
// time left for it.
func (s *search) begin() bool {
	s.box = min(boxWork, s.work)
	return s.work > 0
}

// near are those of covers that take something away from b; covered is set if
// one of them leaves nothing.
func (s *search) near(b *box, covers []*box) (near []*box, covered bool) {
	s.spend(1 + len(covers)/2)
	for _, c := range covers {
		if !b.overlaps(c) {
			continue
		}
		if b.within(c) {
			return nil, true
		}
		near = append(near, c)
	}
	return near, false
}

// left calls each with disjoint boxes that together are b but for covers, until
// it returns true. Yes means that each was given all and never did: nothing is
// left that it wants. No means that it did.
func (s *search) left(b box, covers []*box, each func(box) bool) Verdict {
	for len(covers) > 0 && !b.overlaps(covers[0]) {
		if !s.spend(2) {
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
	if !s.spend(16 + b.size()) {
		return Unknown
	}
	for _, piece := range b.without(covers[0]) {
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
func (s *search) first(b box, covers []*box, isolated []Selector) (Verdict, box) {
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
func (s *search) firstFor(b box, covers []*box, found *box) Verdict {
	labels := b.pods.Witness()
	plain := b
	plain.pods = Selector{}
	var theirs []*box
	exact := true
	for _, c := range covers {
		exact = exact && b.pods.Subset(c.pods)
		if c.pods.Matches(labels) {
			theirs = append(theirs, &box{Selector{}, c.peers, c.ports})
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
