package manifest

import (
	"fmt"

	"go.yaml.in/yaml/v3"
)

func depthMessage() string {
	return fmt.Sprintf("nested more than %d levels deep; no Kubernetes object is", MaxDepth)
}

// tooDeep is the first node nested deeper than depth levels, or nil.
func tooDeep(node *yaml.Node, depth int) *yaml.Node {
	if node.Kind != yaml.MappingNode && node.Kind != yaml.SequenceNode {
		return nil
	}
	if depth == 0 {
		return node
	}
	for _, child := range node.Content {
		if deep := tooDeep(child, depth-1); deep != nil {
			return deep
		}
	}
	return nil
}

// firstNode is the first node in document order that matches, or root.
func firstNode(root *yaml.Node, matches func(*yaml.Node) bool) *yaml.Node {
	if found := findNode(root, matches); found != nil {
		return found
	}
	return root
}

func findNode(node *yaml.Node, matches func(*yaml.Node) bool) *yaml.Node {
	if matches(node) {
		return node
	}
	for _, child := range node.Content {
		if found := findNode(child, matches); found != nil {
			return found
		}
	}
	return nil
}

// isBadKeyHolder says whether a node is a mapping with a key that has no
// spelling in JSON.
func isBadKeyHolder(node *yaml.Node) bool {
	if node.Kind != yaml.MappingNode {
		return false
	}
	for i := 0; i < len(node.Content); i += 2 {
		if !isScalarKey(node.Content[i]) {
			return true
		}
	}
	return false
}

func isScalarKey(key *yaml.Node) bool {
	if key.Kind == yaml.AliasNode && key.Alias != nil {
		key = key.Alias
	}
	return key.Kind == yaml.ScalarNode && key.Tag != "!!null"
}

// structure finds duplicate keys and keys that aren't scalars at and below a
// node, without entering skip.
func (d *Document) structure(node, skip *yaml.Node) []Problem {
	return d.structureAt(node, skip, "")
}

func (d *Document) structureAt(node, skip *yaml.Node, path string) []Problem {
	if node == skip {
		return nil
	}
	var problems []Problem
	switch node.Kind {
	case yaml.SequenceNode:
		for i, item := range node.Content {
			problems = append(problems, d.structureAt(item, skip, fmt.Sprintf("%s[%d]", path, i))...)
		}
	case yaml.MappingNode:
		first := map[string]*yaml.Node{}
		for i := 0; i+1 < len(node.Content); i += 2 {
			key := node.Content[i]
			if !isScalarKey(key) {
				problems = append(problems, d.problem(key, path, "a key is not a string; quote it"))
				continue
			}
			name := keyName(key)
			field := joinField(path, name)
			if earlier, ok := first[name]; ok {
				problems = append(problems, d.problem(key, field, d.duplicateMessage(name, path, earlier)))
				continue
			}
			first[name] = key
			problems = append(problems, d.structureAt(node.Content[i+1], skip, field)...)
		}
	}
	return problems
}

func (d *Document) duplicateMessage(name, path string, earlier *yaml.Node) string {
	line, _ := d.place(earlier)
	message := fmt.Sprintf("duplicate key %q, first on line %d; remove one of them", name, line)
	if path == "" && (name == "apiVersion" || name == "kind") {
		message = fmt.Sprintf("duplicate key %q, first on line %d: is a --- missing between two documents?", name, line)
	}
	return message
}

// keyName is the name of a mapping's key, also if the key is an alias.
func keyName(key *yaml.Node) string {
	if key.Kind == yaml.AliasNode && key.Alias != nil {
		return key.Alias.Value
	}
	return key.Value
}
