package engine

import (
	"math/rand/v2"
	"strings"
	"sync/atomic"

	"github.com/open-policy-agent/opa/v1/ast"
)

// ReviewReader reads AdmissionReviews. Who writes, in which way and to which kind is the same in one review as in many before it,
// byte for byte, and a third of what there is to read: it is read once. It is safe for concurrent use.
type ReviewReader struct {
	known map[string]*[repetitions]atomic.Pointer[repetition] // by key of the request
}

const (
	repetitions    = 16   // of each key
	longRepetition = 2048 // bytes; what is longer is read each time
)

// repetition is an object that reviews repeat.
type repetition struct {
	text   string // a whole object: what begins with it has no more of it
	value  ast.Value
	values int
}

// NewReviewReader is a ReviewReader that has read nothing.
func NewReviewReader() *ReviewReader {
	r := &ReviewReader{known: map[string]*[repetitions]atomic.Pointer[repetition]{}}
	for _, key := range []string{"kind", "resource", "requestKind", "requestResource", "userInfo", "options"} {
		r.known[key] = new([repetitions]atomic.Pointer[repetition])
	}
	return r
}

// Read is ParseJSON.
func (r *ReviewReader) Read(data []byte) (Document, error) {
	s := newScanner(data)
	s.reviews = r
	return s.document()
}

// repeated reads the value of a key of a review's request.
func (s *scanner) repeated(key string, depth int) (ast.Value, error) {
	known := s.reviews.known[key]
	if known == nil {
		return s.value(depth, inOther.child(key))
	}
	s.space()
	for i := range known {
		if r := known[i].Load(); r != nil && strings.HasPrefix(s.text[s.pos:], r.text) && s.values+r.values <= maxValues {
			s.pos += len(r.text)
			s.values += r.values
			return r.value, nil
		}
	}
	start := s.pos
	value, err := s.value(depth, inOther.child(key))
	if text := s.text[start:s.pos]; err == nil && text[0] == '{' && len(text) <= longRepetition {
		known[rand.IntN(repetitions)].Store(newRepetition(text, depth)) //nolint:gosec // any place will do
	}
	return value, err
}

// newRepetition reads an object once more: it outlives the review that it was read of.
func newRepetition(text string, depth int) *repetition {
	s := newScanner([]byte(text))
	value, err := s.value(depth, inOther)
	if err != nil {
		panic(err) // it was read a moment ago
	}
	return &repetition{s.text, Document{value}.Settled().value, s.values}
}
