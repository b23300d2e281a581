package manifest

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Document is one YAML document or one JSON value of a file, whatever it holds.
type Document struct {
	// File is the name given to Read.
	File string
	// Line and Column are where the document's content begins in the file.
	Line, Column int
	// JSON is the document as kubectl would send it: anchors and merge keys
	// resolved, YAML 1.1 booleans.
	JSON []byte

	part     part
	root     *yaml.Node
	lastLine int
}

// part is a stretch of a file that is parsed on its own.
type part struct {
	text         []byte
	offset       int // of text in the file, after a byte order mark
	line, column int // of text's first byte in the file, from 1
	json         bool
	outline      Outline // nil for whole objects
	above        int     // levels of nesting that text is in
}

// Position is the line and column in the file of the field with this path, as
// Object.Position; the path is relative to the document.
func (d *Document) Position(fieldPath string) (line, column int) {
	return d.locate(d.root, fieldPath)
}

// locate resolves a field path below a node of the document.
func (d *Document) locate(from *yaml.Node, fieldPath string) (line, column int) {
	return d.place(nearest(from, parseFieldPath(fieldPath)))
}

// place is the position in the file of a node of the document.
func (d *Document) place(node *yaml.Node) (line, column int) {
	if node == nil || node.Line == 0 {
		return d.part.line, d.part.column
	}
	return d.at(node.Line, node.Column)
}

// at translates a position within the document into one within the file.
func (d *Document) at(line, column int) (int, int) {
	if line <= 1 {
		column += d.part.column - 1
	}
	line += d.part.line - 1
	return min(max(line, 1), max(d.lastLine, 1)), max(column, 1)
}

// problem is a Problem at a node of the document.
func (d *Document) problem(node *yaml.Node, field, message string) Problem {
	line, column := d.place(node)
	return Problem{File: d.File, Line: line, Column: column, Field: field, Message: message}
}

// Documents reads a file without asking what its documents are: for files that
// hold objects in fields of their own, such as corpus cases. Empty documents are
// left out. A document with duplicate keys, keys that aren't scalars or nesting
// beyond MaxDepth is a problem and not in the result.
func Documents(name string, data []byte) ([]*Document, []Problem) {
	docs, problems := parse(name, data)
	kept := docs[:0:0]
	for _, d := range docs {
		if found := d.structure(d.root, nil); len(found) > 0 {
			problems = append(problems, found...)
			continue
		}
		kept = append(kept, d)
	}
	sortProblems(problems)
	return kept, problems
}

// parse splits data into documents and parses each. What can't be parsed is a
// problem and doesn't keep the other documents from being read.
func parse(name string, data []byte) ([]*Document, []Problem) {
	if len(data) > MaxFileSize {
		return nil, []Problem{{File: name, Message: tooLarge(MaxFileSize)}}
	}
	data, last, bad := textOf(name, data)
	if bad != nil {
		return nil, bad
	}
	var docs []*Document
	var problems []Problem
	for _, p := range splitYAML(data) {
		found, bad := parsePart(name, p, last)
		docs = append(docs, found...)
		problems = append(problems, bad...)
	}
	return docs, problems
}

// textOf is data without a byte order mark, and the number of its last line. It is a problem if it is not text.
func textOf(name string, data []byte) (text []byte, lastLine int, problems []Problem) {
	text = bytes.TrimPrefix(data, byteOrderMark())
	if bad := invalidUTF8(text); bad >= 0 {
		line, column := textPosition(text, bad)
		return nil, 0, []Problem{{File: name, Line: line, Column: column,
			Message: "not UTF-8 text; manifests are YAML or JSON in UTF-8"}}
	}
	return text, bytes.Count(text, []byte("\n")) + 1, nil
}

// parsePart parses one part as JSON values or as a YAML document. What begins
// like JSON but isn't may still be a YAML flow mapping, except in a .json file.
func parsePart(name string, p part, lastLine int) ([]*Document, []Problem) {
	if looksLikeJSON(p.text) {
		docs, problems := parseJSON(name, p, lastLine)
		if len(problems) == 0 || len(docs) > 0 || strings.HasSuffix(name, ".json") {
			return docs, problems
		}
		if doc, bad := parseYAML(name, p, lastLine); len(bad) == 0 && doc != nil {
			return []*Document{doc}, nil
		}
		return docs, problems
	}
	doc, problems := parseYAML(name, p, lastLine)
	if doc == nil || len(problems) > 0 {
		return nil, problems
	}
	return []*Document{doc}, nil
}

func byteOrderMark() []byte { return []byte("\xef\xbb\xbf") }

// invalidUTF8 is the offset of the first byte that isn't UTF-8, or -1.
func invalidUTF8(data []byte) int {
	if utf8.Valid(data) {
		return -1
	}
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size <= 1 {
			return i
		}
		i += size
	}
	return -1
}

// textPosition is the line and column, from 1, of a byte offset; columns count
// characters.
func textPosition(text []byte, offset int) (line, column int) {
	offset = min(max(offset, 0), len(text))
	start := bytes.LastIndexByte(text[:offset], '\n') + 1
	return bytes.Count(text[:offset], []byte("\n")) + 1, utf8.RuneCount(text[start:offset]) + 1
}
