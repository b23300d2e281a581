package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// parseJSON parses the JSON values of a part, one document each. Values before
// an error are kept.
func parseJSON(name string, p part, lastLine int) ([]*Document, []Problem) {
	text := skipMarker(p.text)
	base := len(p.text) - len(text)
	at := jsonBuilder{text: p.text, line: p.line, column: p.column}
	var docs []*Document
	for {
		rest := bytes.TrimLeft(p.text[max(base, at.seen):], " \t\r\n")
		if len(rest) == 0 {
			return docs, nil
		}
		at.advance(len(p.text) - len(rest))
		value := part{offset: p.offset + at.seen, line: at.line, column: at.column, json: true, outline: p.outline, above: p.above}
		doc := &Document{File: name, Line: at.line, Column: at.column, part: value, lastLine: lastLine}
		if len(docs) > 0 && rest[0] != '{' && rest[0] != '[' {
			return docs, []Problem{doc.problem(nil, "",
				"unexpected text after a JSON value; expected another object or the end of the file")}
		}
		root, size, err := jsonTree(rest, MaxDepth-p.above)
		if err != nil {
			line, column := doc.at(textPosition(rest, err.offset))
			return docs, []Problem{{File: name, Line: line, Column: column, Message: err.message}}
		}
		doc.part.text, doc.root = rest[:size], root
		if !doc.outlined() {
			doc.JSON = bytes.Clone(rest[:size])
		}
		docs = append(docs, doc)
		at.advance(at.seen + size)
	}
}

// jsonError is where and why text isn't JSON.
type jsonError struct {
	offset  int
	message string
}

// jsonTree parses the first JSON value of text into the same nodes a YAML parser
// would produce, and returns its length. Depth is how deep it may be.
func jsonTree(text []byte, depth int) (*yaml.Node, int, *jsonError) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	b := jsonBuilder{text: text, decoder: decoder, line: 1, column: 1}
	node, bad := b.value(depth)
	if bad != nil {
		return nil, 0, bad
	}
	return node, int(decoder.InputOffset()), nil
}

// jsonBuilder walks the tokens of a JSON value and keeps the position of the
// last token it looked at.
type jsonBuilder struct {
	text         []byte
	decoder      *json.Decoder
	seen         int
	line, column int
}

// token reads the next token into a node that carries its position.
func (b *jsonBuilder) token() (json.Token, *yaml.Node, *jsonError) {
	start := int(b.decoder.InputOffset())
	token, err := b.decoder.Token()
	if err != nil {
		return nil, nil, b.explain(err)
	}
	for start < len(b.text) && bytes.IndexByte([]byte(" \t\r\n,:"), b.text[start]) >= 0 {
		start++
	}
	b.advance(start)
	return token, &yaml.Node{Kind: yaml.ScalarNode, Line: b.line, Column: b.column}, nil
}

// advance moves the position to a byte offset at or after the last one.
func (b *jsonBuilder) advance(offset int) {
	passed := b.text[b.seen:offset]
	if i := bytes.LastIndexByte(passed, '\n'); i >= 0 {
		b.line += bytes.Count(passed, []byte("\n"))
		b.column = 1 + utf8.RuneCount(passed[i+1:])
	} else {
		b.column += utf8.RuneCount(passed)
	}
	b.seen = offset
}

func (b *jsonBuilder) value(depth int) (*yaml.Node, *jsonError) {
	token, node, bad := b.token()
	if bad != nil {
		return nil, bad
	}
	switch v := token.(type) {
	case json.Delim:
		if depth == 0 {
			return nil, &jsonError{b.seen, depthMessage()}
		}
		return b.collection(v, node, depth-1)
	case string:
		node.Tag, node.Value, node.Style = "!!str", v, yaml.DoubleQuotedStyle
	case json.Number:
		node.Tag, node.Value = "!!float", v.String()
	case bool:
		node.Tag, node.Value = "!!bool", fmt.Sprint(v)
	default:
		node.Tag, node.Value = "!!null", "null"
	}
	return node, nil
}

func (b *jsonBuilder) collection(open json.Delim, node *yaml.Node, depth int) (*yaml.Node, *jsonError) {
	node.Kind, node.Tag, node.Style = yaml.SequenceNode, "!!seq", yaml.FlowStyle
	if open == '{' {
		node.Kind, node.Tag = yaml.MappingNode, "!!map"
	}
	for b.decoder.More() {
		if open == '{' {
			token, key, bad := b.token()
			if bad != nil {
				return nil, bad
			}
			name, _ := token.(string)
			key.Tag, key.Value, key.Style = "!!str", name, yaml.DoubleQuotedStyle
			node.Content = append(node.Content, key)
		}
		value, bad := b.value(depth)
		if bad != nil {
			return nil, bad
		}
		node.Content = append(node.Content, value)
	}
	if _, err := b.decoder.Token(); err != nil {
		return nil, b.explain(err)
	}
	return node, nil
}

// explain turns a decoder's error into a place and a reason.
func (b *jsonBuilder) explain(err error) *jsonError {
	offset := int(b.decoder.InputOffset())
	var syntax *json.SyntaxError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &jsonError{len(bytes.TrimRight(b.text, " \t\r\n")), "JSON ends in the middle of a value; a bracket or brace isn't closed"}
	case errors.As(err, &syntax):
		offset = max(offset, int(syntax.Offset)-1)
	}
	for offset < len(b.text) && bytes.IndexByte([]byte(" \t\r\n"), b.text[offset]) >= 0 {
		offset++
	}
	return &jsonError{offset, "not JSON: " + err.Error()}
}
