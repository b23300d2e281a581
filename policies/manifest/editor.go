package manifest

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"
	kyaml "sigs.k8s.io/yaml"
)

// editor changes the text of one document, one operation at a time.
type editor struct {
	text   []byte
	json   bool
	wanted []byte // the document's JSON after the operations so far
	first  int    // line in the file of the text's first line

	// Of the text as it is now, set by parse.
	extents
	layout layout
	shared map[*yaml.Node]*yaml.Node // anchored nodes and an alias to each
}

// spot is a node and the place it has in the node that holds it. The root is
// held by nothing.
type spot struct {
	node   *yaml.Node
	holder *yaml.Node
	index  int // of node in holder.Content
}

// document is the JSON of the text.
func (e *editor) document() ([]byte, error) {
	if e.json {
		return e.text, nil
	}
	return kyaml.YAMLToJSON(e.text)
}

// parse reads the text anew.
func (e *editor) parse() (*yaml.Node, error) {
	var root *yaml.Node
	if e.json {
		tree, _, bad := jsonTree(e.text, MaxDepth)
		if bad != nil {
			return nil, fmt.Errorf("parse patched text: %s", bad.message)
		}
		root = tree
	} else {
		tree, bad := yamlTree(e.text)
		if bad != nil || tree == nil {
			return nil, errLayout
		}
		root = tree
	}
	e.extents = newExtents(e.text)
	e.layout = detectLayout(e.text, root, e.extents)
	e.shared = map[*yaml.Node]*yaml.Node{}
	findNode(root, func(n *yaml.Node) bool {
		if n.Kind == yaml.AliasNode && n.Alias != nil && e.shared[n.Alias] == nil {
			e.shared[n.Alias] = n
		}
		return false
	})
	return root, nil
}

// splice does one operation on the text. Its path is from the document's root.
func (e *editor) splice(op Op) error {
	root, err := e.parse()
	if err != nil {
		return err
	}
	value := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
	if op.Op != "remove" {
		tree, _, bad := jsonTree(op.Value, MaxDepth)
		if bad != nil {
			return fmt.Errorf("value of the operation: %s", bad.message)
		}
		value = tree
	}
	path := splitPointer(op.Path)
	holder, err := e.follow(root, path[:len(path)-1])
	if err != nil {
		return err
	}
	name := path[len(path)-1]
	switch holder.node.Kind {
	case yaml.MappingNode:
		return e.spliceEntry(holder, op, name, value)
	case yaml.SequenceNode:
		return e.spliceItem(holder, op, name, value)
	}
	return fmt.Errorf("%s is a single value", pointerOf(path[:len(path)-1]))
}

func (e *editor) spliceEntry(holder spot, op Op, name string, value *yaml.Node) error {
	i := keyIndex(holder.node, name)
	if i < 0 {
		if op.Op == "remove" {
			return fmt.Errorf("%s comes from a merge key (<<); change it where it is anchored", name)
		}
		return e.insertEntry(holder, name, value)
	}
	target := spot{node: holder.node.Content[i+1], holder: holder.node, index: i + 1}
	if err := e.unshared(target.node); err != nil {
		return err
	}
	if op.Op == "remove" {
		return e.removeEntry(holder, i)
	}
	return e.replace(target, value)
}

func (e *editor) spliceItem(holder spot, op Op, name string, value *yaml.Node) error {
	count := len(holder.node.Content)
	i, ok := itemIndex(name)
	if name == "-" && op.Op == "add" {
		i, ok = count, true
	}
	switch {
	case !ok || i > count || i == count && op.Op != "add":
		return fmt.Errorf("there is no item %s in a list of %d", name, count)
	case op.Op == "add":
		return e.insertItem(holder, i, value)
	}
	target := spot{node: holder.node.Content[i], holder: holder.node, index: i}
	if err := e.unshared(target.node); err != nil {
		return err
	}
	if op.Op == "remove" {
		return e.removeItem(holder, i)
	}
	return e.replace(target, value)
}

// follow finds a collection by its path, refusing what is shared with others.
func (e *editor) follow(root *yaml.Node, path []string) (spot, error) {
	at := spot{node: root}
	for i := 0; ; i++ {
		if at.node.Kind == yaml.AliasNode {
			return at, fmt.Errorf("%s is an alias (*%s on line %d): what it stands for belongs to another field; change it there",
				pointerOf(path[:i]), at.node.Value, e.line(at.node))
		}
		if alias := e.shared[at.node]; alias != nil {
			return at, fmt.Errorf("%s is anchored (&%s) and used again on line %d: changing it would change both",
				pointerOf(path[:i]), at.node.Anchor, e.line(alias))
		}
		if i == len(path) {
			return at, nil
		}
		next := -1
		switch at.node.Kind {
		case yaml.MappingNode:
			if next = keyIndex(at.node, path[i]) + 1; next == 0 {
				return at, fmt.Errorf("%s comes from a merge key (<<); change it where it is anchored", pointerOf(path[:i+1]))
			}
		case yaml.SequenceNode:
			if n, ok := itemIndex(path[i]); ok && n < len(at.node.Content) {
				next = n
			}
		}
		if next < 0 {
			return at, fmt.Errorf("%s doesn't exist", pointerOf(path[:i+1]))
		}
		at = spot{node: at.node.Content[next], holder: at.node, index: next}
	}
}

// unshared refuses a node that is, or holds, an anchor that is used elsewhere.
func (e *editor) unshared(node *yaml.Node) error {
	anchor := findNode(node, func(n *yaml.Node) bool { return e.shared[n] != nil })
	if anchor == nil {
		return nil
	}
	return fmt.Errorf("anchor &%s on line %d is used again on line %d: changing it would change both",
		anchor.Anchor, e.line(anchor), e.line(e.shared[anchor]))
}

// line is a node's line in the file, as far as operations before this one
// haven't moved it.
func (e *editor) line(node *yaml.Node) int { return node.Line + e.first - 1 }

// cut replaces a stretch of the text.
func (e *editor) cut(start, end int, with string) {
	e.text = slices.Concat(e.text[:start], []byte(with), e.text[end:])
}

// keyIndex is the place of a mapping's own key in its Content, or -1.
func keyIndex(node *yaml.Node, name string) int {
	for i := 0; i+1 < len(node.Content); i += 2 {
		if k := node.Content[i]; !isMerge(k) && keyName(k) == name {
			return i
		}
	}
	return -1
}

// itemIndex reads a list index of a JSON pointer.
func itemIndex(name string) (int, bool) {
	i, err := strconv.Atoi(name)
	return i, err == nil && i >= 0 && strconv.Itoa(i) == name
}

func isFlow(node *yaml.Node) bool { return node != nil && node.Style&yaml.FlowStyle != 0 }

// isOnlyComment says whether the rest of a line has nothing but a comment.
func isOnlyComment(rest []byte) bool {
	rest = bytes.TrimSpace(rest)
	return len(rest) == 0 || rest[0] == '#'
}
