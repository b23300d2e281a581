package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
)

// Op is one RFC 6902 operation: add, replace or remove.
type Op struct {
	Op    string          `json:"op"`
	Path  string          `json:"path"`
	Value json.RawMessage `json:"value,omitempty"`
}

// Edit is what to change in one object of a file.
type Edit struct {
	Object *Object
	Ops    []Op
	// Base is the JSON that the operations were computed against, if that isn't
	// what the author wrote: Decoded.JSON. An operation on something that only a
	// default put there writes the whole defaulted field.
	Base []byte
}

// Apply writes edits into the text of a file and returns the whole new text.
// Comments, key order, quoting and every document without an edit stay byte for
// byte. The result is checked: parsed again, it is the patched object, or there
// is an error and nothing is changed. Applying operations whose values are
// already there returns the text unchanged. What is reached through an alias or a
// merge key is refused, since the text belongs to another field.
//
// The objects of file keep their positions in the old text; Read the result for
// new ones.
func Apply(file File, edits []Edit) ([]byte, error) {
	marker := 0
	if bytes.HasPrefix(file.data, byteOrderMark()) {
		marker = len(byteOrderMark())
	}
	byDocument := map[*Document][]Edit{}
	for _, e := range edits {
		if e.Object == nil || e.Object.doc == nil {
			return nil, errors.New("apply patch: object has no text")
		}
		if !slices.Contains(file.Objects, e.Object) {
			return nil, fmt.Errorf("apply patch: %s %s isn't an object of %s", e.Object.Kind, e.Object.Name, file.Name)
		}
		byDocument[e.Object.doc] = append(byDocument[e.Object.doc], e)
	}
	docs := make([]*Document, 0, len(byDocument))
	for d := range byDocument {
		docs = append(docs, d)
	}
	slices.SortFunc(docs, func(a, b *Document) int { return a.part.offset - b.part.offset })
	var out []byte
	done := 0
	for _, d := range docs {
		text, err := applyDocument(d, byDocument[d])
		if err != nil {
			return nil, fmt.Errorf("apply patch to %s: %w", file.Name, err)
		}
		start := marker + d.part.offset
		out = append(append(out, file.data[done:start]...), text...)
		done = start + len(d.part.text)
	}
	return append(out, file.data[done:]...), nil
}

// applyDocument edits the text of one document.
func applyDocument(d *Document, edits []Edit) ([]byte, error) {
	e := &editor{text: d.part.text, json: d.part.json, wanted: d.JSON, first: d.part.line}
	for _, edit := range edits {
		prefix := pointerOf(edit.Object.pointer)
		base := edit.Base
		for _, op := range edit.Ops {
			if err := e.apply(prefix, &base, op); err != nil {
				return nil, fmt.Errorf("%s %s: %s %s: %w", edit.Object.Kind, edit.Object.Name, op.Op, op.Path, err)
			}
		}
	}
	if bytes.Equal(e.text, d.part.text) {
		return e.text, nil
	}
	got, err := e.document()
	if err != nil {
		return nil, fmt.Errorf("the patched text can't be read again: %w", err)
	}
	if same, err := sameJSON(got, e.wanted); err != nil || !same {
		return nil, errors.New("the text can't be patched without changing something else; patch it by hand")
	}
	return e.text, nil
}

// apply does one operation on an object of the document. Base, if any, follows
// the operations so that defaulted fields can be written out.
func (e *editor) apply(prefix string, base *[]byte, op Op) error {
	if !slices.Contains([]string{"add", "replace", "remove"}, op.Op) {
		return fmt.Errorf("unknown operation %q; expected add, replace or remove", op.Op)
	}
	if op.Path == "" {
		return errors.New("the whole object can't be patched")
	}
	if *base != nil {
		after, err := patchJSON(*base, op)
		if err != nil {
			return err
		}
		*base = after
	}
	op, needed, err := e.inText(prefix, *base, op)
	if err != nil || !needed {
		return err
	}
	op.Path = prefix + op.Path
	wanted, err := patchJSON(e.wanted, op)
	if err != nil {
		return err
	}
	if same, err := sameJSON(wanted, e.wanted); err != nil || same {
		return err
	}
	if err := e.splice(op); err != nil {
		return err
	}
	e.wanted = wanted
	return nil
}

// inText translates an operation on the defaulted object into one on what the
// author wrote. Needed is false if the text already says what is wanted.
func (e *editor) inText(prefix string, base []byte, op Op) (result Op, needed bool, err error) {
	value, err := decodeAny(e.wanted)
	if err != nil {
		return op, false, err
	}
	at, _ := lookupPointer(value, splitPointer(prefix))
	path := splitPointer(op.Path)
	written := 0 // steps of the path that the text has
	for written < len(path) {
		next, ok := lookupPointer(at, path[written:written+1])
		if !ok || next == nil {
			break
		}
		at, written = next, written+1
	}
	switch {
	case written == len(path):
		return op, true, nil
	case op.Op == "remove":
		if base == nil {
			return op, false, errors.New("there is nothing at this path")
		}
		return op, false, nil
	case written == len(path)-1:
		if _, isMap := at.(map[string]any); isMap {
			op.Op = "add"
		}
		return op, true, nil
	case base == nil:
		return op, false, fmt.Errorf("%s doesn't exist", pointerOf(path[:written+1]))
	}
	stored, err := decodeAny(base)
	if err != nil {
		return op, false, err
	}
	missing := path[:written+1]
	full, ok := lookupPointer(stored, missing)
	if !ok {
		return op, false, fmt.Errorf("%s doesn't exist", pointerOf(missing))
	}
	text, err := json.Marshal(full)
	if err != nil {
		return op, false, err
	}
	return Op{Op: "add", Path: pointerOf(missing), Value: text}, true, nil
}

// patchJSON applies one operation to JSON.
func patchJSON(document []byte, op Op) ([]byte, error) {
	text, err := json.Marshal([]Op{op})
	if err != nil {
		return nil, err
	}
	patch, err := jsonpatch.DecodePatch(text)
	if err != nil {
		return nil, err
	}
	return patch.Apply(document)
}

// sameJSON compares two JSON texts by what they say.
func sameJSON(a, b []byte) (bool, error) {
	left, err := decodeAny(a)
	if err != nil {
		return false, err
	}
	right, err := decodeAny(b)
	if err != nil {
		return false, err
	}
	return reflect.DeepEqual(left, right), nil
}

func splitPointer(pointer string) []string {
	if pointer == "" {
		return nil
	}
	parts := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	unescape := strings.NewReplacer("~1", "/", "~0", "~")
	for i, p := range parts {
		parts[i] = unescape.Replace(p)
	}
	return parts
}

func pointerOf(parts []string) string {
	var b strings.Builder
	escape := strings.NewReplacer("~", "~0", "/", "~1")
	for _, p := range parts {
		b.WriteString("/" + escape.Replace(p))
	}
	return b.String()
}

// lookupPointer follows a pointer's steps in a decoded value.
func lookupPointer(value any, path []string) (any, bool) {
	for _, name := range path {
		switch v := value.(type) {
		case map[string]any:
			entry, ok := v[name]
			if !ok {
				return nil, false
			}
			value = entry
		case []any:
			i, ok := itemIndex(name)
			if !ok || i >= len(v) {
				return nil, false
			}
			value = v[i]
		default:
			return nil, false
		}
	}
	return value, true
}
