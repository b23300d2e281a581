package manifest

import (
	"bytes"
	"errors"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// errLayout is a layout of YAML that isn't edited as text.
var errLayout = errors.New("this layout of YAML can't be patched as text; patch it by hand")

// extents finds where the nodes of a parsed text begin and end. The parser says
// where a node begins; where it ends has to be read off the text.
type extents struct {
	text   []byte
	starts []int // of lines, as YAML counts them
}

func newExtents(text []byte) extents {
	x := extents{text: text, starts: []int{0}}
	for i := 0; i < len(text); {
		size := breakAt(text, i)
		if size == 0 {
			i++
			continue
		}
		i += size
		x.starts = append(x.starts, i)
	}
	return x
}

// breakAt is the length of the line break at an offset, 0 if there is none. YAML
// 1.1 also breaks lines at NEL, LS and PS.
func breakAt(text []byte, i int) int {
	rest := text[i:]
	switch {
	case bytes.HasPrefix(rest, []byte("\r\n")):
		return 2
	case rest[0] == '\n' || rest[0] == '\r':
		return 1
	case bytes.HasPrefix(rest, []byte("\u0085")):
		return 2
	case bytes.HasPrefix(rest, []byte("\u2028")), bytes.HasPrefix(rest, []byte("\u2029")):
		return 3
	}
	return 0
}

// offset is where a line and column are in the text.
func (x extents) offset(line, column int) int {
	if line < 1 || line > len(x.starts) {
		return len(x.text)
	}
	at := x.starts[line-1]
	for ; column > 1 && at < len(x.text); column-- {
		_, size := utf8.DecodeRune(x.text[at:])
		at += size
	}
	return at
}

// start is where a node begins, its anchor and tag included.
func (x extents) start(n *yaml.Node) int { return x.offset(n.Line, n.Column) }

// content is where a node begins behind its anchor and tag.
func (x extents) content(n *yaml.Node) int {
	at := x.start(n)
	if n.Kind == yaml.AliasNode {
		return at
	}
	for at < len(x.text) && (x.text[at] == '&' || x.text[at] == '!') {
		for at < len(x.text) && bytes.IndexByte([]byte(" \t\r\n,]}"), x.text[at]) < 0 {
			at++
		}
		if n.Kind == yaml.ScalarNode && n.Value == "" && n.Style&^yaml.TaggedStyle == 0 {
			continue
		}
		at = x.skipSpace(at)
	}
	return at
}

// skipSpace skips blanks, line breaks and comments.
func (x extents) skipSpace(at int) int {
	for at < len(x.text) {
		switch x.text[at] {
		case ' ', '\t', '\r', '\n':
			at++
		case '#':
			at = x.lineEnd(at)
		default:
			return at
		}
	}
	return at
}

// lineEnd is where the line that holds an offset ends, before its break.
func (x extents) lineEnd(at int) int {
	for at < len(x.text) && x.text[at] != '\n' {
		at++
	}
	if at > 0 && at <= len(x.text) && x.text[at-1] == '\r' && at < len(x.text) {
		at--
	}
	return at
}

// lineStart is where the line that holds an offset begins.
func (x extents) lineStart(at int) int { return bytes.LastIndexByte(x.text[:at], '\n') + 1 }

// indent is the number of characters before an offset on its line.
func (x extents) indent(at int) int { return utf8.RuneCount(x.text[x.lineStart(at):at]) }

// end is where a node ends, exclusive. Parent is the indentation of the block
// that holds it, which a block scalar has to exceed.
func (x extents) end(n *yaml.Node, parent int) (int, error) {
	at := x.content(n)
	switch n.Kind {
	case yaml.AliasNode:
		return at + len("*") + len(n.Value), nil
	case yaml.ScalarNode:
		return x.scalarEnd(n, at, parent)
	}
	if at < len(x.text) && (x.text[at] == '{' || x.text[at] == '[') && n.Style&yaml.FlowStyle != 0 {
		return x.flowEnd(at)
	}
	if n.Style&yaml.FlowStyle != 0 || len(n.Content) == 0 {
		return 0, errLayout
	}
	last := n.Content[len(n.Content)-1]
	if n.Kind == yaml.MappingNode {
		parent = x.indent(x.start(n.Content[len(n.Content)-2]))
	} else {
		parent = x.indent(at)
	}
	return x.end(last, parent)
}

func (x extents) scalarEnd(n *yaml.Node, at, parent int) (int, error) {
	switch {
	case n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0:
		return x.quotedEnd(at)
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return x.blockEnd(at, parent), nil
	}
	// A plain scalar is its value with breaks and blanks folded.
	value := n.Value
	for {
		value = strings.TrimLeft(value, " \t\n")
		if value == "" {
			return at, nil
		}
		for at < len(x.text) && bytes.IndexByte([]byte(" \t\r\n"), x.text[at]) >= 0 {
			at++
		}
		r, size := utf8.DecodeRuneInString(value)
		if got, _ := utf8.DecodeRune(x.text[min(at, len(x.text)):]); got != r {
			return 0, errLayout
		}
		at, value = at+size, value[size:]
	}
}

func (x extents) quotedEnd(at int) (int, error) {
	quote := x.text[at]
	for i := at + 1; i < len(x.text); i++ {
		switch {
		case quote == '"' && x.text[i] == '\\':
			i++
		case x.text[i] == quote && quote == '\'' && i+1 < len(x.text) && x.text[i+1] == quote:
			i++
		case x.text[i] == quote:
			return i + 1, nil
		}
	}
	return 0, errLayout
}

// blockEnd is where the last line of a `|` or `>` scalar ends.
func (x extents) blockEnd(at, parent int) int {
	end := x.lineEnd(at)
	keep := bytes.IndexByte(bytes.Fields(x.text[at:end])[0], '+') >= 0
	for next := end; next < len(x.text); {
		start := next + breakAt(x.text, next)
		next = x.lineEnd(start)
		line := x.text[start:next]
		rest := bytes.TrimLeft(line, " ")
		blank := len(bytes.TrimSpace(rest)) == 0
		if !blank && len(line)-len(rest) <= parent {
			break
		}
		if !blank || keep && next < len(x.text) {
			end = next
		}
	}
	return end
}

// flowEnd is behind the bracket that closes the one at an offset.
func (x extents) flowEnd(at int) (int, error) {
	depth := 0
	for i := at; i < len(x.text); {
		switch c := x.text[i]; {
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth--; depth == 0 {
				return i + 1, nil
			}
		case (c == '"' || c == '\'') && x.beginsToken(i):
			end, err := x.quotedEnd(i)
			if err != nil {
				return 0, err
			}
			i = end
			continue
		case c == '#' && i > 0 && bytes.IndexByte([]byte(" \t\r\n"), x.text[i-1]) >= 0:
			i = x.lineEnd(i)
			continue
		}
		i++
	}
	return 0, errLayout
}

// beginsToken says whether a quote opens a scalar; within a plain scalar it is
// just a character.
func (x extents) beginsToken(at int) bool {
	before := bytes.TrimRight(x.text[:at], " \t\r\n")
	return len(before) == 0 || bytes.IndexByte([]byte("{[,:?"), before[len(before)-1]) >= 0 || len(before) < at
}
