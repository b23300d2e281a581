package manifest

import "bytes"

// splitYAML cuts a stream at the lines that begin with `---` or `...`. Such a
// line can't be content in YAML (block scalars are indented, and quoted ones may
// not contain it), so an error in one document can't hide the next. A `---` line
// stays with the document it begins. Parts without content are left out.
func splitYAML(data []byte) []part {
	var parts []part
	current := part{line: 1, column: 1}
	flush := func(end int) {
		current.text = data[current.offset:end]
		if hasContent(current.text) {
			parts = append(parts, current)
		}
	}
	line := 1
	for offset := 0; offset < len(data); line++ {
		next := len(data)
		if i := bytes.IndexByte(data[offset:], '\n'); i >= 0 {
			next = offset + i + 1
		}
		switch text := data[offset:next]; {
		case isMarker(text, "---"):
			flush(offset)
			current = part{offset: offset, line: line, column: 1}
		case isMarker(text, "..."):
			flush(offset)
			current = part{offset: next, line: line + 1, column: 1}
		}
		offset = next
	}
	flush(len(data))
	return parts
}

// isMarker says whether a line begins with the marker as a word of its own.
func isMarker(line []byte, marker string) bool {
	rest, ok := bytes.CutPrefix(line, []byte(marker))
	return ok && (len(rest) == 0 || bytes.IndexByte([]byte(" \t\r\n"), rest[0]) >= 0)
}

// hasContent says whether a part is more than blank lines, comments, directives
// (`%YAML 1.1`) and its own `---`.
func hasContent(text []byte) bool {
	for line := range bytes.Lines(text) {
		if isMarker(line, "---") {
			line = line[len("---"):]
		}
		line = bytes.TrimSpace(line)
		if len(line) > 0 && line[0] != '#' && line[0] != '%' {
			return true
		}
	}
	return false
}

// looksLikeJSON says whether a part begins as a JSON object or array does. A YAML
// flow mapping with plain keys doesn't.
func looksLikeJSON(text []byte) bool {
	rest := bytes.TrimLeft(skipMarker(text), " \t\r\n")
	if len(rest) == 0 {
		return false
	}
	inner := bytes.TrimLeft(rest[1:], " \t\r\n")
	switch rest[0] {
	case '{':
		return len(inner) == 0 || inner[0] == '"' || inner[0] == '}'
	case '[':
		return len(inner) == 0 || inner[0] == '{' || inner[0] == ']' || inner[0] == '"'
	}
	return false
}

// skipMarker is the text after a `---` that begins it, a comment behind the
// marker included.
func skipMarker(text []byte) []byte {
	if !isMarker(text, "---") {
		return text
	}
	text = text[len("---"):]
	if rest := bytes.TrimLeft(text, " \t"); len(rest) > 0 && rest[0] == '#' {
		if i := bytes.IndexByte(rest, '\n'); i >= 0 {
			return rest[i:]
		}
		return nil
	}
	return text
}
