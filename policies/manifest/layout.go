package manifest

import (
	"bytes"
	"strings"

	"go.yaml.in/yaml/v3"
)

// layout is how a document is written, so that additions look like the rest.
type layout struct {
	newline string
	step    int // indentation of a mapping below its key
	list    int // indentation of a list below its key, 0 or more

	// Of JSON and flow collections.
	tab, comma, colon string
}

// detectLayout reads the layout off the first place that shows it. Where nothing
// does, it is two blanks, lists indented.
func detectLayout(text []byte, root *yaml.Node, x extents) layout {
	l := layout{newline: "\n", comma: ", ", colon: ": "}
	if bytes.Contains(text, []byte("\r\n")) {
		l.newline = "\r\n"
	}
	if isFlow(root) {
		l.tab = jsonTab(text, root, x)
		if !bytes.Contains(text, []byte(`": `)) {
			l.colon = ":"
		}
		if l.tab == "" && !bytes.Contains(text, []byte(", ")) {
			l.comma = ","
		}
	}
	step, list := -1, -1
	findNode(root, func(n *yaml.Node) bool {
		if n.Kind != yaml.MappingNode || isFlow(n) {
			return false
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i], n.Content[i+1]
			if isFlow(value) || len(value.Content) == 0 || value.Line == key.Line {
				continue
			}
			deeper := x.indent(x.content(value)) - x.indent(x.start(key))
			switch {
			case value.Kind == yaml.MappingNode && step < 0 && deeper > 0:
				step = deeper
			case value.Kind == yaml.SequenceNode && list < 0 && deeper >= 0:
				list = deeper
			}
		}
		return step >= 0 && list >= 0
	})
	if l.step = step; step < 0 {
		l.step = 2
	}
	if l.list = list; list < 0 {
		l.list = l.step
	}
	return l
}

// jsonTab is the indentation of one level of a JSON document that has its
// entries on lines of their own, else empty.
func jsonTab(text []byte, root *yaml.Node, x extents) string {
	if len(root.Content) == 0 {
		return ""
	}
	at := x.start(root.Content[0])
	line := x.lineStart(at)
	if line == 0 || line <= x.start(root) {
		return ""
	}
	return string(text[line:at])
}

// isInline says whether a value fits behind its key: a scalar or an empty
// collection.
func isInline(node *yaml.Node) bool {
	return node.Kind == yaml.ScalarNode || node.Kind == yaml.AliasNode || len(node.Content) == 0
}

// inline is a value on one line, collections in brackets.
func (l layout) inline(value *yaml.Node, quoting yaml.Style, flow bool) string {
	var parts []string
	switch value.Kind {
	case yaml.SequenceNode:
		for _, item := range value.Content {
			parts = append(parts, l.inline(item, 0, true))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case yaml.MappingNode:
		for i := 0; i+1 < len(value.Content); i += 2 {
			key := scalarText(value.Content[i], 0, true)
			parts = append(parts, key+": "+l.inline(value.Content[i+1], 0, true))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return scalarText(value, quoting, flow)
}

// block is a collection as lines of block YAML.
func (l layout) block(value *yaml.Node, indent int) []string {
	margin := strings.Repeat(" ", indent)
	var lines []string
	if value.Kind == yaml.SequenceNode {
		for _, item := range value.Content {
			if isInline(item) {
				lines = append(lines, margin+"- "+l.inline(item, 0, false))
				continue
			}
			inner := l.block(item, indent+len("- "))
			inner[0] = margin + "- " + inner[0][indent+len("- "):]
			lines = append(lines, inner...)
		}
		return lines
	}
	for i := 0; i+1 < len(value.Content); i += 2 {
		key, entry := scalarText(value.Content[i], 0, false)+":", value.Content[i+1]
		deeper := l.step
		switch {
		case isInline(entry):
			lines = append(lines, margin+key+" "+l.inline(entry, 0, false))
			continue
		case entry.Kind == yaml.SequenceNode:
			deeper = l.list
		}
		lines = append(lines, margin+key)
		lines = append(lines, l.block(entry, indent+deeper)...)
	}
	return lines
}
