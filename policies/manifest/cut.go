package manifest

import (
	"bytes"
	"slices"

	"go.yaml.in/yaml/v3"
)

// cutList cuts a List, as kubectl get prints it in YAML or JSON, into its items. It is false for everything else, and in
// doubt. It looks for no more than where items begin: two that hang together are no YAML or JSON each for itself.
func cutList(p part) ([]part, bool) {
	if looksLikeJSON(p.text) {
		return cutJSON(p)
	}
	return cutYAML(p)
}

// cutYAML cuts at the lines that begin with a dash below the line `items:`. Neither is indented.
func cutYAML(p part) ([]part, bool) {
	var items []part
	var head []byte // what is not in the items
	seen, inItems := false, false
	begin, line, offset := -1, p.line, 0
	flush := func() {
		if begin >= 0 {
			text := bytes.Clone(p.text[begin:offset])
			text[0] = ' ' // instead of the dash, so that columns stay
			items[len(items)-1].text = text
			begin = -1
		}
	}
	for text := range bytes.Lines(p.text) {
		switch {
		case isMarker(text, "-") && inItems:
			flush()
			begin = offset
			items = append(items, part{offset: p.offset + offset, line: line, column: 1, outline: p.outline, above: listLevels})
		case inItems && isContinued(text) && (begin >= 0 || saysNothing(text)):
		default:
			flush()
			inItems = !seen && bytes.Equal(bytes.TrimRight(text, " \r\n"), []byte("items:"))
			seen = seen || inItems
			head = append(head, text...)
		}
		offset += len(text)
		line++
	}
	flush()
	if !seen {
		return nil, false
	}
	root, bad := yamlTree(head)
	return items, bad == nil && isListHead(root)
}

// listLevels are the levels of nesting that an item of a List is in.
const listLevels = 2

// isContinued tells that a line belongs to the item before it: it is indented, or says nothing.
func isContinued(line []byte) bool { return line[0] == ' ' || saysNothing(line) }

func saysNothing(line []byte) bool {
	line = bytes.TrimSpace(line)
	return len(line) == 0 || line[0] == '#'
}

// isListHead tells that a document without its items is a List.
func isListHead(root *yaml.Node) bool {
	if root == nil || root.Kind != yaml.MappingNode || findNode(root, isReference) != nil {
		return false
	}
	known := []string{"apiVersion", "items", "kind", "metadata"}
	for i := 0; i+1 < len(root.Content); i += 2 {
		at := slices.Index(known, root.Content[i].Value)
		if at < 0 {
			return false
		}
		known = slices.Delete(known, at, at+1)
	}
	_, items := entry(root, "items", MaxDepth)
	isEmpty := items != nil && (items.Tag == "!!null" || items.Kind == yaml.SequenceNode && len(items.Content) == 0)
	return isEmpty && scalarAt(root, "apiVersion") == "v1" && scalarAt(root, "kind") == "List"
}

// cutJSON cuts the list that the key items of the outermost object has.
func cutJSON(p part) ([]part, bool) {
	at := len(p.text) - len(skipMarker(p.text))
	begin, end, items := jsonItems(p.text, at)
	if begin < 0 {
		return nil, false
	}
	position := jsonBuilder{text: p.text, line: p.line, column: p.column}
	for i := range items {
		item := &items[i]
		position.advance(item.offset)
		item.line, item.column, item.outline, item.above = position.line, position.column, p.outline, listLevels
		item.offset += p.offset
	}
	head := append(bytes.Clone(p.text[at:begin]), p.text[end:]...)
	root, size, bad := jsonTree(head, MaxDepth)
	return items, bad == nil && len(bytes.TrimSpace(head[size:])) == 0 && isListHead(root)
}

// jsonItems finds the list that the key items of an object has: what is between its brackets, and the objects in it by
// their offsets. Nothing else is checked. begin is -1 if there is no such list.
func jsonItems(text []byte, at int) (begin, end int, items []part) {
	at = skipSpace(text, at)
	for at < len(text) && (text[at] == '{' || text[at] == ',') {
		key := skipSpace(text, at+1)
		colon := skipSpace(text, skipJSON(text, key))
		value := skipSpace(text, colon+1)
		if value >= len(text) || text[colon] != ':' {
			return -1, -1, nil
		}
		if text[value] == '[' && bytes.HasPrefix(text[key:], []byte(`"items"`)) {
			return listItems(text, value+1)
		}
		at = skipSpace(text, skipJSON(text, value))
	}
	return -1, -1, nil
}

func listItems(text []byte, begin int) (int, int, []part) {
	var items []part
	for at := begin - 1; at < len(text) && (text[at] == '[' || text[at] == ','); {
		item := skipSpace(text, at+1)
		if item < len(text) && text[item] == ']' && len(items) == 0 {
			return begin, item, nil
		}
		end := skipJSON(text, item)
		if end > len(text) || item >= end || text[item] != '{' {
			break
		}
		items = append(items, part{text: text[item:end], offset: item})
		if at = skipSpace(text, end); at < len(text) && text[at] == ']' {
			return begin, at, items
		}
	}
	return -1, -1, nil
}

func skipSpace(text []byte, at int) int {
	for at < len(text) && bytes.IndexByte([]byte(" \t\r\n"), text[at]) >= 0 {
		at++
	}
	return at
}

// skipJSON is the end of the value that begins at an offset, and the end of text where there is none.
func skipJSON(text []byte, at int) int {
	depth := 0
	for ; at < len(text); at++ {
		switch c := text[at]; {
		case c == '{' || c == '[':
			depth++
			continue
		case depth == 0 && bytes.IndexByte([]byte(",:]} \t\r\n"), c) >= 0:
			return at // behind a number or a word
		case c == '}' || c == ']':
			depth--
		case c == '"':
			at = lastOfString(text, at)
		default:
			continue
		}
		if depth == 0 {
			return min(at+1, len(text))
		}
	}
	return len(text)
}

// lastOfString is where the string ends that begins at an offset: at its second quote.
func lastOfString(text []byte, at int) int {
	for at++; at < len(text) && text[at] != '"'; at++ {
		if text[at] == '\\' {
			at++
		}
	}
	return at
}
