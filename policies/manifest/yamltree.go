package manifest

import (
	"bytes"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
	kyaml "sigs.k8s.io/yaml"
)

// parseYAML parses one document. The tree comes from yaml.v3, which knows
// positions; the JSON from sigs.k8s.io/yaml, which is what kubectl uses, so that
// `yes`, `0777` and `<<` mean here what they mean there.
func parseYAML(name string, p part, lastLine int) (*Document, []Problem) {
	doc := &Document{File: name, part: p, lastLine: lastLine}
	root, bad := yamlTree(p.text)
	if bad != nil {
		line, column := doc.at(bad.line, bad.column)
		return nil, []Problem{{File: name, Line: line, Column: column, Message: bad.message}}
	}
	if root == nil || root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return nil, nil // kubectl skips it too
	}
	doc.root = root
	doc.Line, doc.Column = doc.place(root)
	if deep := tooDeep(root, MaxDepth-p.above); deep != nil {
		return nil, []Problem{doc.problem(deep, "", depthMessage())}
	}
	if doc.outlined() {
		return doc, nil
	}
	converted, err := kyaml.YAMLToJSON(p.text)
	if err != nil {
		return nil, []Problem{doc.conversionProblem(err)}
	}
	doc.JSON = converted
	return doc, nil
}

// syntaxError is where and why text isn't YAML, relative to the text.
type syntaxError struct {
	line, column int
	message      string
}

// yamlTree is the root node of the first document in text, nil if it is empty.
// yaml.v3 panics on some malformed input; that is a syntax error too.
func yamlTree(text []byte) (root *yaml.Node, bad *syntaxError) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	defer func() {
		if r := recover(); r != nil {
			root, bad = nil, &syntaxError{1, 1, fmt.Sprintf("YAML can't be parsed: %v", r)}
		}
	}()
	var document yaml.Node
	err := decoder.Decode(&document)
	switch {
	case err == io.EOF:
		return nil, nil
	case err != nil:
		return nil, explainSyntax(text, decoder, err)
	case len(document.Content) == 0:
		return nil, nil
	}
	var rest yaml.Node
	if err := decoder.Decode(&rest); err != nil && err != io.EOF {
		return nil, explainSyntax(text, decoder, err)
	}
	return document.Content[0], nil
}

// explainSyntax finds where the parser stopped and says what to do about the
// usual mistakes.
func explainSyntax(text []byte, decoder *yaml.Decoder, err error) *syntaxError {
	reason := regexp.MustCompile(`^yaml: (line \d+: )?`).ReplaceAllString(err.Error(), "")
	line, column, ok := markOf(decoder, "problem_mark")
	if strings.Contains(reason, "unexpected end of stream") {
		line, column, ok = markOf(decoder, "context_mark") // the quote that opens
	}
	if m := regexp.MustCompile(`^unknown anchor '(.*)' referenced`).FindStringSubmatch(reason); m != nil {
		line, column = textPosition(text, bytes.Index(text, []byte("*"+m[1])))
		return &syntaxError{line, column, fmt.Sprintf("no anchor &%s above this alias in the same document", m[1])}
	}
	if !ok {
		line, column = max(errorLine(err), 1), 1
	}
	lines := bytes.Split(bytes.TrimRight(text, " \t\r\n"), []byte("\n"))
	if line > len(lines) {
		line = len(lines)
		column = utf8.RuneCount(lines[line-1]) + 1
	}
	content := string(lines[line-1])
	indent := content[:len(content)-len(strings.TrimLeft(content, " \t"))]
	switch {
	case strings.Contains(indent, "\t"):
		return &syntaxError{line, strings.Index(indent, "\t") + 1,
			"indented with a tab; YAML allows only spaces: replace the tab with spaces"}
	case bytes.Contains(text, []byte("{{")):
		return &syntaxError{line, column, "not YAML: " + reason + templateHint()}
	}
	return &syntaxError{line, column, "not YAML: " + reason + syntaxHint(reason)}
}

func templateHint() string { return "; it looks like a template: render it first (helm template)" }

func syntaxHint(reason string) string {
	switch {
	case strings.Contains(reason, "mapping values are not allowed"):
		return `; quote the value if ": " is part of it, else check the indentation`
	case strings.Contains(reason, "did not find expected key"),
		strings.Contains(reason, "did not find expected '-' indicator"),
		strings.Contains(reason, "could not find expected ':'"):
		return "; check the indentation of this line and the one before"
	case strings.Contains(reason, "did not find expected ',' or"), strings.Contains(reason, "expected node content"):
		return "; a bracket or brace before this isn't closed"
	case strings.Contains(reason, "unexpected end of stream"):
		return "; the quote that opens here isn't closed"
	case strings.Contains(reason, "cannot start any token"):
		return "; quote the value"
	}
	return ""
}

// markOf reads where the decoder's parser stopped (problem_mark) or what it was
// in the middle of (context_mark). yaml.v3 keeps the exact places in unexported
// fields, and puts only a line into its message that is often the enclosing
// block's; ok is false if the fields aren't there.
func markOf(decoder *yaml.Decoder, mark string) (line, column int, ok bool) {
	value := reflect.ValueOf(decoder).Elem()
	for _, name := range []string{"parser", "parser", mark} {
		if value.Kind() == reflect.Pointer {
			value = value.Elem()
		}
		if value.Kind() != reflect.Struct {
			return 0, 0, false
		}
		value = value.FieldByName(name)
	}
	if value.Kind() != reflect.Struct {
		return 0, 0, false
	}
	l, c := value.FieldByName("line"), value.FieldByName("column")
	if !l.IsValid() || !c.IsValid() || !l.CanInt() || !c.CanInt() {
		return 0, 0, false
	}
	return int(l.Int()) + 1, int(c.Int()) + 1, true
}

// errorLine is the line named in an error of a YAML library, 0 if there is none.
func errorLine(err error) int {
	m := regexp.MustCompile(`line (\d+)`).FindStringSubmatch(err.Error())
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(m[1])
	return n
}

// conversionProblem is a document that has YAML syntax but no JSON equivalent.
func (d *Document) conversionProblem(err error) Problem {
	reason := strings.TrimPrefix(err.Error(), "yaml: ")
	node := d.root
	switch {
	case strings.Contains(reason, "excessive aliasing"):
		reason = "aliases multiply beyond reason; write the repeated parts out"
	case strings.Contains(reason, "map merge requires"):
		reason = "<< merges something that isn't a mapping; point it at an anchored mapping"
		node = firstNode(d.root, func(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Value == "<<" })
	case strings.Contains(reason, "unsupported map key"), strings.Contains(reason, "Unsupported map key"),
		strings.Contains(reason, "invalid map key"):
		reason = "a key is not a string; quote it"
		if bytes.Contains(d.part.text, []byte("{{")) {
			reason = "a key is not a string" + templateHint()
		}
		node = firstNode(d.root, isBadKeyHolder)
	default:
		reason = "kubectl can't read this: " + reason
		if line := errorLine(err); line > 0 {
			l, c := d.at(line, 1)
			return Problem{File: d.File, Line: l, Column: c, Message: reason}
		}
	}
	return d.problem(node, "", reason)
}
