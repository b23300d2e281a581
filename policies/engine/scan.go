package engine

import (
	"fmt"
	"slices"
	"unsafe"

	"github.com/open-policy-agent/opa/v1/ast"
)

// maxDepth bounds the nesting of a document. Kubernetes objects nest below 40 levels; encoding/json
// stops at 10,000.
const maxDepth = 256

// maxValues bounds a document: in memory a value takes some hundred bytes, in the text perhaps three. An object
// of etcd's limit, 1.5 MiB, that says something has fewer.
const maxValues = 100_000

// A SyntaxError says where a JSON text stops being one.
type SyntaxError struct {
	Offset int // in bytes, from 0
	Reason string
	// TooLarge tells that the text may well be JSON, of more values than are read.
	TooLarge bool
}

// Error implements error.
func (e *SyntaxError) Error() string { return fmt.Sprintf("offset %d: %s", e.Offset, e.Reason) }

// ParseJSON reads one JSON text (RFC 8259) the way encoding/json does, but refuses duplicate keys,
// more than 256 levels of nesting, more than 100,000 values, and numbers of more than 400 digits. Two things that no rule judges are left out on the way:
// metadata.managedFields and kubectl's last-applied annotation; in them keys may repeat. The Document
// refers to data, which must not be changed afterwards.
func ParseJSON(data []byte) (Document, error) {
	s := newScanner(data)
	return s.document()
}

// ParseTrimmed is ParseJSON, and the text for who keeps it: with 0 in place of what ParseJSON leaves out, which makes the same of it.
func ParseTrimmed(data []byte) (Document, []byte, error) {
	s := newScanner(data)
	s.trims = true
	document, err := s.document()
	if err != nil || len(s.leftOut) == 0 {
		return document, data, err
	}
	size, from := len(data), 0
	for _, span := range s.leftOut {
		size -= span[1] - span[0] - 1
	}
	trimmed := make([]byte, 0, size)
	for _, span := range s.leftOut {
		trimmed = append(append(trimmed, data[from:span[0]]...), '0')
		from = span[1]
	}
	return document, append(trimmed, data[from:]...), nil
}

func newScanner(data []byte) *scanner {
	return &scanner{data: data, text: unsafe.String(unsafe.SliceData(data), len(data)), pairs: make([][2]*ast.Term, 0, 64)}
}

func (s *scanner) document() (Document, error) {
	value, err := s.value(0, inOther)
	if err != nil {
		return Document{}, err
	}
	if s.space(); s.pos < len(s.data) {
		return Document{}, s.fail("unexpected text after the end of the document")
	}
	return Document{value}, nil
}

// scanner reads JSON by recursive descent into the evaluator's terms.
type scanner struct {
	data []byte
	text string // the same bytes: strings without escapes are slices of it
	pos  int

	skipping bool           // what is being read is left out: it is checked, and its value is nil
	trims    bool           // leftOut is wanted
	reviews  *ReviewReader  // of a review, else nil
	leftOut  [][2]int       // where what is left out begins and ends
	pairs    [][2]*ast.Term // of the objects that are being read, the innermost last
	items    []*ast.Term    // of the arrays that are being read, the innermost last
	spare    []ast.Term     // allocated, not yet used
	values   int            // read so far
}

func (s *scanner) fail(format string, args ...any) error {
	return &SyntaxError{Offset: s.pos, Reason: fmt.Sprintf(format, args...)}
}

func (s *scanner) space() {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

func (s *scanner) value(depth int, where place) (ast.Value, error) {
	s.space()
	if s.pos >= len(s.data) {
		return nil, s.fail("unexpected end of the document")
	}
	if s.values++; s.values > maxValues {
		return nil, &SyntaxError{Offset: s.pos, Reason: fmt.Sprintf("more than %d values: too large to judge", maxValues), TooLarge: true}
	}
	switch c := s.data[s.pos]; {
	case c == '{':
		return s.object(depth+1, where)
	case c == '[':
		return s.array(depth + 1)
	case c == '"':
		text, err := s.str()
		if s.skipping {
			return nil, err
		}
		return ast.String(text), err
	case c == '-' || c >= '0' && c <= '9':
		return s.number()
	default:
		return s.literal()
	}
}

func (s *scanner) literal() (ast.Value, error) {
	rest := s.text[s.pos:]
	switch {
	case len(rest) >= 4 && rest[:4] == "true":
		s.pos += 4
		return ast.InternedValue(true), nil
	case len(rest) >= 5 && rest[:5] == "false":
		s.pos += 5
		return ast.InternedValue(false), nil
	case len(rest) >= 4 && rest[:4] == "null":
		s.pos += 4
		return ast.InternedNullValue, nil
	}
	return nil, s.fail("unexpected %q, expected a JSON value", rest[:1])
}

func (s *scanner) object(depth int, where place) (ast.Value, error) {
	if depth > maxDepth {
		return nil, s.fail("nested deeper than %d levels", maxDepth)
	}
	s.pos++ // {
	keys := keySet{base: len(s.pairs)}
	for s.space(); s.pos < len(s.data); s.space() {
		if s.data[s.pos] == '}' { // of an empty object: next refuses it after a comma
			s.pos++
			return s.newObject(keys.base), nil
		}
		start := s.pos
		if s.data[s.pos] != '"' {
			return nil, s.fail("expected a key in quotes")
		}
		key, err := s.str()
		if err != nil {
			return nil, err
		}
		if keys.has(s.pairs, key) {
			s.pos = start
			return nil, s.fail("duplicate key %q", key)
		}
		if s.space(); s.pos >= len(s.data) || s.data[s.pos] != ':' {
			return nil, s.fail("expected ':' after the key %q", key)
		}
		s.pos++
		if err := s.member(key, depth, where); err != nil {
			return nil, err
		}
		done, err := s.next('}')
		if done || err != nil {
			return s.newObject(keys.base), err
		}
	}
	return nil, s.fail("unexpected end of the document in an object")
}

// newObject pops the pairs from base on.
func (s *scanner) newObject(base int) ast.Value {
	if s.skipping {
		return nil
	}
	object := ast.NewObject(s.pairs[base:]...)
	s.pairs = s.pairs[:base]
	return object
}

func (s *scanner) array(depth int) (ast.Value, error) {
	if depth > maxDepth {
		return nil, s.fail("nested deeper than %d levels", maxDepth)
	}
	s.pos++ // [
	base := len(s.items)
	if s.space(); s.pos < len(s.data) && s.data[s.pos] == ']' {
		s.pos++
		return s.newArray(base), nil
	}
	for {
		value, err := s.value(depth, inOther)
		if err != nil {
			return nil, err
		}
		if !s.skipping {
			s.items = append(s.items, s.term(value))
		}
		done, err := s.next(']')
		if done || err != nil {
			return s.newArray(base), err
		}
	}
}

// newArray pops the items from base on.
func (s *scanner) newArray(base int) ast.Value {
	if s.skipping {
		return nil
	}
	array := ast.NewArray(slices.Clone(s.items[base:])...)
	s.items = s.items[:base]
	return array
}

// next steps over a comma, or over the end that closes the object or array.
func (s *scanner) next(end byte) (done bool, err error) {
	s.space()
	if s.pos < len(s.data) {
		switch s.data[s.pos] {
		case end:
			s.pos++
			return true, nil
		case ',':
			s.pos++
			if s.space(); s.pos < len(s.data) && s.data[s.pos] == end {
				return false, s.fail("unexpected %q after a comma", string(end))
			}
			return false, nil
		}
	}
	if s.pos >= len(s.data) {
		return false, s.fail("unexpected end of the document, expected ',' or %q", string(end))
	}
	return false, s.fail("expected ',' or %q", string(end))
}

// term is a new term. Terms are allocated by the batch: what a request's terms refer to is kept as long as
// any of them anyway.
func (s *scanner) term(value ast.Value) *ast.Term {
	if len(s.spare) == 0 {
		s.spare = make([]ast.Term, min(64, 4+(len(s.data)-s.pos)/32))
	}
	term := &s.spare[0]
	s.spare = s.spare[1:]
	term.Value = value
	return term
}
