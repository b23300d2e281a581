package engine

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
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
// metadata.managedFields and kubectl's last-applied annotation; in them keys may repeat. The Document
// refers to data, which must not be changed afterwards.
func ParseJSON(data []byte) (Document, error) {
	s := scanner{data: data, text: unsafe.String(unsafe.SliceData(data), len(data))}
	s.pairs = make([][2]*ast.Term, 0, 64)
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

	skipping bool           // what is being read is left out: it is checked, and its value is nil
	pairs    [][2]*ast.Term // of the objects that are being read, the innermost last
	items    []*ast.Term    // of the arrays that are being read, the innermost last
	spare    []ast.Term     // allocated, not yet used
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

// member reads the value of a key and pushes the pair, unless it is left out.
func (s *scanner) member(key string, depth int, where place) error {
	outer := s.skipping
	s.skipping = outer || where.skips(key)
	value, err := s.value(depth, where.child(key))
	if err == nil && !s.skipping {
		s.pairs = append(s.pairs, [2]*ast.Term{keyTerm(key), s.term(value)})
	}
	s.skipping = outer
	return err
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

// keySet finds repeated keys among the pairs from base on. The evaluator's objects can't: their hash is
// known, so that a hostile document could make each insertion as slow as it has keys.
type keySet struct {
	base int
	seen map[string]struct{} // of an object with many keys
}

func (k *keySet) has(pairs [][2]*ast.Term, key string) bool {
	const few = 16
	pairs = pairs[k.base:]
	if len(pairs) < few {
		return slices.ContainsFunc(pairs, func(pair [2]*ast.Term) bool { return string(pair[0].Value.(ast.String)) == key })
	}
	if k.seen == nil {
		k.seen = make(map[string]struct{}, 4*few)
		for _, pair := range pairs {
			k.seen[string(pair[0].Value.(ast.String))] = struct{}{}
		}
	}
	_, found := k.seen[key]
	k.seen[key] = struct{}{}
	return found
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

// keyTerm is the term of an object key; the keys of everyday Kubernetes objects are shared.
func keyTerm(key string) *ast.Term {
	if term, common := commonKeys[key]; common {
		return term
	}
	return ast.StringTerm(key)
}

// commonKeys are never written to after this.
var commonKeys = func() map[string]*ast.Term {
	keys := strings.Fields(`
		allowPrivilegeEscalation annotations apiVersion app app.kubernetes.io/component app.kubernetes.io/instance
		app.kubernetes.io/managed-by app.kubernetes.io/name app.kubernetes.io/part-of app.kubernetes.io/version args
		authentication.kubernetes.io/credential-id automountServiceAccountToken backend backendRefs capabilities cidr
		clusterIP clusterIPs command conditions containerPort containers creationTimestamp data defaultBackend deny dnsPolicy
		dryRun egress endPort env except externalIPs externalName externalTrafficPolicy extra field fieldManager
		fieldValidation finalizers fix from generateName generation group groups helm.sh/chart host hostNetwork hostname
		hostnames hosts http image imagePullPolicy ingress ingressClassName initContainers internalTrafficPolicy ip ipBlock
		ipFamilies ipFamilyPolicy ips key kind kubernetes.io/ingress.class kubernetes.io/metadata.name labels limits listeners
		livenessProbe loadBalancer loadBalancerClass loadBalancerIP loadBalancerSourceRanges managedFields matchExpressions
		matchLabels matches metadata mountPath msg name namespace namespaceSelector nodePort number object oldObject operation
		operator options ownerReferences parameters parentRefs patch path pathType paths podSelector policyTypes port ports
		propagationPolicy protocol readinessProbe replicas request requestKind requestResource resource resources
		resourceVersion restartPolicy rules schedulerName secretName securityContext selector service serviceAccount
		serviceAccountName sessionAffinity spec status strategy subResource targetPort template terminationGracePeriodSeconds
		terminationMessagePath terminationMessagePolicy tls to tolerations type uid user userInfo username value values version
		volumeMounts volumes warn`)
	out := make(map[string]*ast.Term, len(keys))
	for _, key := range keys {
		out[key] = ast.StringTerm(key)
	}
	return out
}()
