package manifest

import (
	"bytes"
	"strings"

	"go.yaml.in/yaml/v3"
)

// replaceFlow writes a new value in the place of a node between brackets.
func (e *editor) replaceFlow(at spot, value *yaml.Node) error {
	start := e.start(at.node)
	end, err := e.end(at.node, 0)
	if err != nil {
		return err
	}
	quoting := at.node.Style & (yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle)
	text := e.flow(value, quoting, start)
	if start == end {
		text = " " + text
	}
	e.cut(start, end, text)
	return nil
}

// flow is a value as it is written between brackets, with lines of its own
// indented as the line at an offset is.
func (e *editor) flow(value *yaml.Node, quoting yaml.Style, at int) string {
	if e.json {
		return e.layout.jsonText(value, e.lineIndent(at))
	}
	return e.layout.inline(value, quoting, true)
}

// lineIndent is the white space before the first character of a line.
func (e *editor) lineIndent(at int) string {
	line := e.text[e.lineStart(at):]
	return string(line[:len(line)-len(bytes.TrimLeft(line, " \t"))])
}

// insertFlow adds the one entry or item of a collection to another one, before
// the Content at an index.
func (e *editor) insertFlow(node *yaml.Node, index int, single *yaml.Node) error {
	open := e.content(node)
	if open >= len(e.text) || e.text[open] != '{' && e.text[open] != '[' {
		return errLayout
	}
	end, err := e.flowEnd(open)
	if err != nil {
		return err
	}
	if len(node.Content) == 0 {
		e.cut(open, end, e.flow(single, 0, open))
		return nil
	}
	first := e.start(node.Content[0])
	own := e.lineStart(first) != e.lineStart(open) // one entry per line
	separator := e.layout.comma
	if own {
		separator = "," + e.layout.newline + e.lineIndent(first)
	}
	text := e.member(single, first)
	if index < len(node.Content) {
		at := e.start(node.Content[index])
		e.cut(at, at, text+separator)
		return nil
	}
	last, err := e.end(node.Content[len(node.Content)-1], 0)
	if err != nil {
		return err
	}
	e.cut(last, last, separator+text)
	return nil
}

// member is the entry or item of a single-element collection without brackets.
func (e *editor) member(single *yaml.Node, at int) string {
	if single.Kind == yaml.SequenceNode {
		return e.flow(single.Content[0], 0, at)
	}
	key, value := single.Content[0], single.Content[1]
	if e.json {
		return quoted(key.Value) + e.layout.colon + e.flow(value, 0, at)
	}
	return scalarText(key, 0, true) + ": " + e.flow(value, 0, at)
}

// removeFlow removes the entry or item that begins at an index of the Content,
// and a comma with it.
func (e *editor) removeFlow(node *yaml.Node, index int) error {
	size := 1
	if node.Kind == yaml.MappingNode {
		size = 2
	}
	open := e.content(node)
	if open >= len(e.text) || e.text[open] != '{' && e.text[open] != '[' {
		return errLayout
	}
	switch {
	case index+size < len(node.Content):
		e.cut(e.start(node.Content[index]), e.start(node.Content[index+size]), "")
		return nil
	case index == 0:
		end, err := e.flowEnd(open)
		if err != nil {
			return err
		}
		e.cut(open+1, end-1, "")
		return nil
	}
	before, err := e.end(node.Content[index-1], 0)
	if err != nil {
		return err
	}
	end, err := e.end(node.Content[index+size-1], 0)
	if err != nil {
		return err
	}
	e.cut(before, end, "")
	return nil
}

// jsonText is a value in JSON, in the layout of the document it goes into.
func (l layout) jsonText(value *yaml.Node, prefix string) string {
	if isInline(value) {
		return l.jsonScalar(value)
	}
	open, closing, size := "[", "]", 1
	if value.Kind == yaml.MappingNode {
		open, closing, size = "{", "}", 2
	}
	inner := prefix + l.tab
	parts := make([]string, 0, len(value.Content)/size)
	for i := 0; i < len(value.Content); i += size {
		text := ""
		if size == 2 {
			text = quoted(value.Content[i].Value) + l.colon
		}
		parts = append(parts, text+l.jsonText(value.Content[i+size-1], inner))
	}
	if l.tab == "" {
		return open + strings.Join(parts, l.comma) + closing
	}
	return open + l.newline + inner + strings.Join(parts, ","+l.newline+inner) + l.newline + prefix + closing
}

func (l layout) jsonScalar(value *yaml.Node) string {
	switch value.Kind {
	case yaml.MappingNode:
		return "{}"
	case yaml.SequenceNode:
		return "[]"
	}
	if value.Tag == "!!str" {
		return quoted(value.Value)
	}
	return value.Value
}
