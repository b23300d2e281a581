package manifest

import (
	"bytes"
	"strings"

	"go.yaml.in/yaml/v3"
)

// replace writes a new value in the place of a node.
func (e *editor) replace(at spot, value *yaml.Node) error {
	if at.holder == nil {
		return errLayout
	}
	if isFlow(at.holder) {
		return e.replaceFlow(at, value)
	}
	indent, intro, err := e.introduction(at)
	if err != nil {
		return err
	}
	start := e.start(at.node)
	end, err := e.end(at.node, indent)
	if err != nil {
		return err
	}
	inline := isInline(value)
	quoting := at.node.Style & (yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle)
	if isInline(at.node) && inline && start < end && at.node.Style&(yaml.LiteralStyle|yaml.FoldedStyle) == 0 {
		e.cut(start, end, e.layout.inline(value, quoting, false))
		return nil
	}
	eol := e.lineEnd(intro)
	var comment string
	if rest := e.text[intro:eol]; end <= eol {
		comment, end = string(bytes.TrimRight(e.text[end:eol], " \t")), eol
	} else if isOnlyComment(rest) {
		comment = string(bytes.TrimRight(rest, " \t"))
	}
	if inline {
		e.cut(intro, end, " "+e.layout.inline(value, 0, false)+comment)
		return nil
	}
	inner := indent + e.layout.step
	if at.holder.Kind == yaml.SequenceNode {
		inner = indent + len("- ")
	} else if value.Kind == yaml.SequenceNode {
		inner = indent + e.layout.list
	}
	lines := e.layout.block(value, inner)
	if at.holder.Kind == yaml.SequenceNode && comment == "" {
		lines[0] = " " + strings.TrimLeft(lines[0], " ")
		e.cut(intro, end, strings.Join(lines, e.layout.newline))
		return nil
	}
	e.cut(intro, end, comment+e.layout.newline+strings.Join(lines, e.layout.newline))
	return nil
}

// introduction is where the `key:` or `-` of a node in a block ends, and the
// indentation of that block.
func (e *editor) introduction(at spot) (indent, intro int, err error) {
	if at.holder.Kind == yaml.SequenceNode {
		dash, err := e.dash(at.holder, at.index)
		if err != nil {
			return 0, 0, err
		}
		return e.indent(dash), dash + 1, nil
	}
	key := at.holder.Content[at.index-1]
	indent = e.indent(e.start(key))
	end, err := e.end(key, indent)
	if err != nil {
		return 0, 0, err
	}
	for end < len(e.text) && (e.text[end] == ' ' || e.text[end] == '\t') {
		end++
	}
	if end >= len(e.text) || e.text[end] != ':' {
		return 0, 0, errLayout
	}
	return indent, end + 1, nil
}

// dash is where the `-` of an item of a block list is.
func (e *editor) dash(list *yaml.Node, index int) (int, error) {
	first := e.content(list)
	if index == 0 {
		return first, nil
	}
	indent := e.indent(first)
	for at := e.start(list.Content[index]); at >= first; {
		line := e.lineStart(at)
		text := e.text[line:]
		if len(text) > indent && text[indent] == '-' && len(bytes.TrimSpace(text[:indent])) == 0 {
			return line + indent, nil
		}
		at = line - 1
	}
	return 0, errLayout
}

// insertAfter puts lines below the line on which something ends.
func (e *editor) insertAfter(end int, lines []string) error {
	eol := e.lineEnd(end)
	if eol < end || !isOnlyComment(e.text[end:eol]) {
		return errLayout
	}
	e.cut(eol, eol, e.layout.newline+strings.Join(lines, e.layout.newline))
	return nil
}

func (e *editor) insertEntry(holder spot, name string, value *yaml.Node) error {
	entry := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map",
		Content: []*yaml.Node{{Kind: yaml.ScalarNode, Tag: "!!str", Value: name}, value}}
	if isFlow(holder.node) {
		if e.opensAsBlock(holder) {
			return e.replace(holder, entry)
		}
		return e.insertFlow(holder.node, len(holder.node.Content), entry)
	}
	indent := e.indent(e.start(holder.node.Content[0]))
	end, err := e.end(holder.node, indent)
	if err != nil {
		return err
	}
	return e.insertAfter(end, e.layout.block(entry, indent))
}

func (e *editor) insertItem(holder spot, index int, value *yaml.Node) error {
	list := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Content: []*yaml.Node{value}}
	if isFlow(holder.node) {
		if e.opensAsBlock(holder) {
			return e.replace(holder, list)
		}
		return e.insertFlow(holder.node, index, list)
	}
	first, err := e.dash(holder.node, 0)
	if err != nil {
		return err
	}
	indent := e.indent(first)
	lines := e.layout.block(list, indent)
	if index == 0 {
		text := strings.TrimLeft(strings.Join(lines, e.layout.newline), " ")
		e.cut(first, first, text+e.layout.newline+strings.Repeat(" ", indent))
		return nil
	}
	end, err := e.end(holder.node.Content[index-1], indent)
	if err != nil {
		return err
	}
	return e.insertAfter(end, lines)
}

// opensAsBlock says whether an empty `{}` or `[]` is written as a block once
// there is something in it.
func (e *editor) opensAsBlock(holder spot) bool {
	return !e.json && len(holder.node.Content) == 0 && holder.holder != nil && !isFlow(holder.holder)
}

func (e *editor) removeEntry(holder spot, index int) error {
	node := holder.node
	if len(node.Content) == 2 && holder.holder != nil {
		return e.replace(holder, &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"})
	}
	if isFlow(node) {
		return e.removeFlow(node, index)
	}
	start := e.start(node.Content[index])
	end, err := e.end(node.Content[index+1], e.indent(start))
	if err != nil {
		return err
	}
	next := -1
	if index+2 < len(node.Content) {
		next = e.start(node.Content[index+2])
	}
	return e.removeBlock(start, end, next)
}

func (e *editor) removeItem(holder spot, index int) error {
	node := holder.node
	if len(node.Content) == 1 {
		return e.replace(holder, &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"})
	}
	if isFlow(node) {
		return e.removeFlow(node, index)
	}
	start, err := e.dash(node, index)
	if err != nil {
		return err
	}
	end, err := e.end(node.Content[index], e.indent(start))
	if err != nil {
		return err
	}
	next := -1
	if index+1 < len(node.Content) {
		if next, err = e.dash(node, index+1); err != nil {
			return err
		}
	}
	return e.removeBlock(start, end, next)
}

// removeBlock removes the lines of an entry or item. One that shares its line
// with the dash of a list gives its place to the next.
func (e *editor) removeBlock(start, end, next int) error {
	line := e.lineStart(start)
	if len(bytes.TrimSpace(e.text[line:start])) > 0 {
		if next < 0 {
			return errLayout
		}
		e.cut(start, next, "")
		return nil
	}
	eol := e.lineEnd(end)
	if !isOnlyComment(e.text[end:eol]) {
		return errLayout
	}
	if eol < len(e.text) {
		eol += breakAt(e.text, eol)
	}
	e.cut(line, eol, "")
	return nil
}
