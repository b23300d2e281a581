package engine

import (
	"errors"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/open-policy-agent/opa/v1/ast"
)

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
	if len(text) > maxDigits {
		return nil, s.fail("a number has more than %d digits", maxDigits)
	}
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
