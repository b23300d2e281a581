package manifest

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// step is one step of a field path: a name, or an index. `[3]` is an index in a
// list and a name in a mapping, so an index keeps its spelling as name.
type step struct {
	name  string
	index int // -1 if the step can't be an index
}

// parseFieldPath reads a Kubernetes field path: names joined by dots, with list
// indices and map keys in brackets, keys quoted or not. It never fails; what
// isn't well-formed simply won't be found.
func parseFieldPath(path string) []step {
	var steps []step
	for path != "" {
		switch path[0] {
		case '.':
			path = path[1:]
		case '[':
			var key string
			var quoted bool
			key, quoted, path = cutBracket(path[1:])
			s := step{name: key, index: -1}
			if n, err := strconv.Atoi(key); err == nil && n >= 0 && !quoted {
				s.index = n
			}
			steps = append(steps, s)
		default:
			end := strings.IndexAny(path, ".[")
			if end < 0 {
				end = len(path)
			}
			steps = append(steps, step{name: path[:end], index: -1})
			path = path[end:]
		}
	}
	return steps
}

// cutBracket splits what follows an opening bracket into the key and the rest.
func cutBracket(path string) (key string, quoted bool, rest string) {
	if path != "" && (path[0] == '"' || path[0] == '\'') {
		if end := strings.Index(path[1:], path[:1]+"]"); end >= 0 {
			return path[1 : 1+end], true, path[end+3:]
		}
	}
	end := strings.IndexByte(path, ']')
	if end < 0 {
		return path, false, ""
	}
	return path[:end], false, path[end+1:]
}

// joinField appends a key to a field path in the spelling of the field package:
// a dot before plain names, brackets around names with dots or slashes.
func joinField(path, key string) string {
	if strings.ContainsAny(key, "./[]") || key == "" {
		return path + "[" + key + "]"
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// nearest follows a path from a node as far as it exists, through aliases and
// merge keys, and returns the node that stands for its end: the key of a mapping
// entry, or the item of a list.
func nearest(from *yaml.Node, path []step) *yaml.Node {
	if from == nil {
		return nil
	}
	place, node := from, from
	for len(path) > 0 {
		node = resolveAlias(node)
		var next, at *yaml.Node
		used := 1
		switch node.Kind {
		case yaml.SequenceNode:
			if i := path[0].index; i >= 0 && i < len(node.Content) {
				next, at = node.Content[i], node.Content[i]
			}
		case yaml.MappingNode:
			at, next, used = entryByPath(node, path)
		}
		if next == nil {
			return place
		}
		place, node, path = at, next, path[used:]
	}
	return place
}

// entryByPath finds the entry that the first steps of a path name. A key with
// dots in it may be written without brackets, so longer names are tried in turn.
func entryByPath(node *yaml.Node, path []step) (key, value *yaml.Node, used int) {
	name := ""
	for i, s := range path {
		if i > 0 {
			if s.index >= 0 {
				break
			}
			name += "."
		}
		name += s.name
		if key, value = entry(node, name, MaxDepth); value != nil {
			return key, value, i + 1
		}
	}
	return nil, nil, 0
}

// entry finds a key in a mapping or in what it merges.
func entry(node *yaml.Node, name string, depth int) (key, value *yaml.Node) {
	if depth == 0 {
		return nil, nil
	}
	var merged []*yaml.Node
	for i := 0; i+1 < len(node.Content); i += 2 {
		k, v := node.Content[i], node.Content[i+1]
		switch {
		case isMerge(k):
			merged = append(merged, v)
		case keyName(k) == name:
			return k, v
		}
	}
	for _, m := range merged {
		m = resolveAlias(m)
		sources := []*yaml.Node{m}
		if m.Kind == yaml.SequenceNode {
			sources = m.Content
		}
		for _, s := range sources {
			if s = resolveAlias(s); s.Kind == yaml.MappingNode {
				if key, value = entry(s, name, depth-1); value != nil {
					return key, value
				}
			}
		}
	}
	return nil, nil
}

func isMerge(key *yaml.Node) bool {
	return key.Kind == yaml.ScalarNode && key.Value == "<<" && key.Tag == "!!merge"
}

// resolveAlias follows an alias to the node it stands for.
func resolveAlias(node *yaml.Node) *yaml.Node {
	for i := 0; i < MaxDepth && node.Kind == yaml.AliasNode && node.Alias != nil; i++ {
		node = node.Alias
	}
	return node
}
