package manifest

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	kyaml "sigs.k8s.io/yaml"
)

// Outline says what is read of the objects of a kind: all of it if whole, or else, beside apiVersion, kind and what
// names them, only the fields of these paths, such as metadata.labels.
type Outline func(apiVersion, kind string) (fields []string, whole bool)

// naming are the fields that every outline has.
var naming = []string{"apiVersion", "kind", "metadata.name", "metadata.generateName", "metadata.namespace"}

// outlined leaves out of a document what nobody asks for, which is most of a Pod: that is neither converted nor kept. It
// is false, and the document as it was, if the object is read as a whole.
func (d *Document) outlined() bool {
	if d.part.outline == nil || d.root.Kind != yaml.MappingNode {
		return false
	}
	apiVersion, kind := scalarAt(d.root, "apiVersion"), scalarAt(d.root, "kind")
	if apiVersion == "" || kind == "" || strings.HasSuffix(kind, "List") {
		return false
	}
	fields, whole := d.part.outline(apiVersion, kind)
	if whole {
		return false
	}
	root := keep(d.root, slices.Concat(naming, fields))
	if findNode(root, isReference) != nil {
		return false // what it refers to may be left out
	}
	text, err := yaml.Marshal(root)
	if err != nil {
		return false
	}
	if d.JSON, err = kyaml.YAMLToJSON(text); err != nil {
		return false
	}
	d.root, d.part.text = root, nil
	return true
}

// scalarAt is the text of a key's value, empty if there is no such text.
func scalarAt(mapping *yaml.Node, key string) string {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if value := mapping.Content[i+1]; mapping.Content[i].Value == key && value.Kind == yaml.ScalarNode {
			return value.Value
		}
	}
	return ""
}

// keep is a mapping with nothing but what leads to these paths. Keys keep their places and their order, and stay where
// they are given twice.
func keep(mapping *yaml.Node, paths []string) *yaml.Node {
	kept := *mapping
	kept.Content = nil
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		key, value := mapping.Content[i], mapping.Content[i+1]
		var below []string
		all := isMerge(key) || key.Kind != yaml.ScalarNode
		for _, path := range paths {
			name, rest, deeper := strings.Cut(path, ".")
			if name != key.Value {
				continue
			}
			if all = all || !deeper; deeper {
				below = append(below, rest)
			}
		}
		switch {
		case !all && below == nil:
			continue
		case !all && value.Kind == yaml.MappingNode:
			value = keep(value, below)
		}
		kept.Content = append(kept.Content, key, value)
	}
	return &kept
}

// isReference tells that a node means another, or that its key isn't a text.
func isReference(node *yaml.Node) bool {
	return node.Kind == yaml.AliasNode || node.Anchor != "" || isMerge(node)
}
