package engine

import (
	"errors"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
	"unsafe"

	"github.com/open-policy-agent/opa/v1/ast"
)

// maxDepth bounds the nesting of a document. Kubernetes objects nest below 40 levels; encoding/json
// stops at 10,000.
const maxDepth = 256

// lastApplied is the annotation in which kubectl keeps a second copy of the object. No rule judges
// it, and it doubles the work of reading a request.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// A SyntaxError says where a JSON text stops being one.
type SyntaxError struct {
	Offset int // in bytes, from 0
	Reason string
}

// Error implements error.
func (e *SyntaxError) Error() string { return fmt.Sprintf("offset %d: %s", e.Offset, e.Reason) }

// ParseJSON reads one JSON text (RFC 8259) the way encoding/json does, but refuses duplicate keys and
// nesting below 256 levels. Two things that no rule judges are left out on the way:
// metadata.managedFields and kubectl's last-applied annotation. The Document refers to data, which
// must not be changed afterwards.
func ParseJSON(data []byte) (Document, error) {
	s := scanner{data: data, text: unsafe.String(unsafe.SliceData(data), len(data))}
	value, err := s.value(0, inOther)
	if err != nil {
		return Document{}, err
	}
	if s.space(); s.pos < len(s.data) {
		return Document{}, s.fail("unexpected text after the end of the document")
	}
	return Document{value}, nil
}

// place says what the object being read is to its parent, so that the keys to skip are skipped in
// metadata only.
type place int

const (
	inOther place = iota
	inMetadata
	inAnnotations
)

func (p place) child(key string) place {
	switch {
	case key == "metadata":
		return inMetadata
	case p == inMetadata && key == "annotations":
		return inAnnotations
	}
	return inOther
}

func (p place) skips(key string) bool {
	return p == inMetadata && key == "managedFields" || p == inAnnotations && key == lastApplied
}

// scanner reads JSON by recursive descent into the evaluator's terms.
type scanner struct {
	data []byte
	text string // the same bytes: strings without escapes are slices of it
	pos  int
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
	switch c := s.data[s.pos]; {
	case c == '{':
		return s.object(depth+1, where)
	case c == '[':
		return s.array(depth + 1)
	case c == '"':
		text, err := s.str()
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
	object := ast.NewObject()
	seen := 0
	for s.space(); s.pos < len(s.data); s.space() {
		if s.data[s.pos] == '}' && seen == 0 {
			s.pos++
			return object, nil
		}
		start := s.pos
		if s.data[s.pos] != '"' {
			return nil, s.fail("expected a key in quotes")
		}
		key, err := s.str()
		if err != nil {
			return nil, err
		}
		if s.space(); s.pos >= len(s.data) || s.data[s.pos] != ':' {
			return nil, s.fail("expected ':' after the key %q", key)
		}
		s.pos++
		value, err := s.value(depth, where.child(key))
		if err != nil {
			return nil, err
		}
		if !where.skips(key) {
			object.Insert(keyTerm(key), s.term(value))
			if seen++; object.Len() != seen {
				s.pos = start
				return nil, s.fail("duplicate key %q", key)
			}
		}
		done, err := s.next('}')
		if done || err != nil {
			return object, err
		}
	}
	return nil, s.fail("unexpected end of the document in an object")
}

func (s *scanner) array(depth int) (ast.Value, error) {
	if depth > maxDepth {
		return nil, s.fail("nested deeper than %d levels", maxDepth)
	}
	s.pos++ // [
	if s.space(); s.pos < len(s.data) && s.data[s.pos] == ']' {
		s.pos++
		return ast.NewArray(), nil
	}
	var items []*ast.Term
	for {
		value, err := s.value(depth, inOther)
		if err != nil {
			return nil, err
		}
		items = append(items, s.term(value))
		done, err := s.next(']')
		if err != nil {
			return nil, err
		}
		if done {
			return ast.NewArray(items...), nil
		}
	}
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
	return false, s.fail("expected ',' or %q", string(end))
}

func (s *scanner) number() (ast.Value, error) {
	start := s.pos
	if s.data[s.pos] == '-' {
		s.pos++
	}
	switch {
	case s.pos < len(s.data) && s.data[s.pos] == '0':
		s.pos++
	case !s.digits():
		return nil, s.fail("expected a digit")
	}
	if s.pos < len(s.data) && s.data[s.pos] == '.' {
		s.pos++
		if !s.digits() {
			return nil, s.fail("expected a digit after the decimal point")
		}
	}
	if s.pos < len(s.data) && (s.data[s.pos] == 'e' || s.data[s.pos] == 'E') {
		s.pos++
		if s.pos < len(s.data) && (s.data[s.pos] == '+' || s.data[s.pos] == '-') {
			s.pos++
		}
		exponent := s.pos
		if !s.digits() {
			return nil, s.fail("expected a digit in the exponent")
		}
		if s.pos-exponent > 4 { // a number with 10,000 digits costs the evaluator seconds
			return nil, s.fail("a number's exponent has more than 4 digits")
		}
	}
	text := s.text[start:s.pos]
	if term := ast.InternedIntNumberTermFromString(text); term != nil {
		return term.Value, nil
	}
	return ast.Number(text), nil
}

func (s *scanner) digits() bool {
	start := s.pos
	for s.pos < len(s.data) && s.data[s.pos] >= '0' && s.data[s.pos] <= '9' {
		s.pos++
	}
	return s.pos > start
}

// str reads a string. Without escapes it is a slice of the input.
func (s *scanner) str() (string, error) {
	s.pos++ // "
	start := s.pos
	for ascii := true; s.pos < len(s.data); s.pos++ {
		switch c := s.data[s.pos]; {
		case c == '"':
			text := s.text[start:s.pos]
			s.pos++
			if !ascii && !utf8.ValidString(text) {
				return string([]rune(text)), nil // each bad byte is U+FFFD, as in encoding/json
			}
			return text, nil
		case c == '\\':
			return s.escaped(start)
		case c < ' ':
			return "", s.fail("control character %#02x in a string", c)
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	return "", s.fail("unexpected end of the document in a string")
}

// escaped reads the rest of a string from its first backslash.
func (s *scanner) escaped(start int) (string, error) {
	out := append(make([]byte, 0, 2*(s.pos-start)+16), s.data[start:s.pos]...)
	for s.pos < len(s.data) {
		switch c := s.data[s.pos]; {
		case c == '"':
			s.pos++
			if !utf8.Valid(out) {
				return string([]rune(string(out))), nil
			}
			return string(out), nil
		case c < ' ':
			return "", s.fail("control character %#02x in a string", c)
		case c != '\\':
			out = append(out, c)
			s.pos++
		default:
			var err error
			if out, err = s.escape(out); err != nil {
				return "", err
			}
		}
	}
	return "", s.fail("unexpected end of the document in a string")
}

var errEscape = errors.New("expected an escape such as \\n or \\u00e4")

func (s *scanner) escape(out []byte) ([]byte, error) {
	if s.pos+1 >= len(s.data) {
		return nil, s.fail("unexpected end of the document in a string")
	}
	const from, to = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
	c := s.data[s.pos+1]
	for i := range len(from) {
		if from[i] == c {
			s.pos += 2
			return append(out, to[i]), nil
		}
	}
	r, ok := s.hex(s.pos)
	if !ok {
		return nil, s.fail("%v", errEscape)
	}
	s.pos += 6
	if utf16.IsSurrogate(r) {
		second, ok := s.hex(s.pos)
		if pair := utf16.DecodeRune(r, second); ok && pair != utf8.RuneError {
			s.pos += 6
			return utf8.AppendRune(out, pair), nil
		}
		r = utf8.RuneError
	}
	return utf8.AppendRune(out, r), nil
}

// hex reads \uXXXX at pos.
func (s *scanner) hex(pos int) (rune, bool) {
	if pos+6 > len(s.data) || s.data[pos] != '\\' || s.data[pos+1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(s.text[pos+2:pos+6], 16, 32)
	return rune(n), err == nil
}

func (s *scanner) term(value ast.Value) *ast.Term { return &ast.Term{Value: value} }

// keyTerm is the term of an object key; the keys of everyday Kubernetes objects are shared.
func keyTerm(key string) *ast.Term {
	return ast.InternedTerm(key)
}
