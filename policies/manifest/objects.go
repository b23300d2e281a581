package manifest

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// collector adds the objects of one document to a file.
type collector struct {
	file *File
	doc  *Document
}

// candidate is a value that may be an object.
type candidate struct {
	node    *yaml.Node
	raw     json.RawMessage
	pointer []string
	// apiVersion and kind of an item that states none, from a typed list.
	apiVersion, kind string
}

func (c collector) report(node *yaml.Node, field, message string) {
	c.file.Problems = append(c.file.Problems, c.doc.problem(node, field, message))
}

func (c collector) document() {
	doc := c.doc
	if resolveAlias(doc.root).Kind != yaml.MappingNode {
		c.report(doc.root, "", fmt.Sprintf("document is %s; expected a mapping with apiVersion, kind and metadata",
			describe(doc.root)))
		return
	}
	c.value(candidate{node: doc.root, raw: doc.JSON})
}

func describe(node *yaml.Node) string {
	switch node.Kind {
	case yaml.SequenceNode:
		return "a list"
	case yaml.MappingNode:
		return "a mapping"
	}
	return "a single value"
}

// value adds the object or the list of objects that a mapping stands for.
func (c collector) value(v candidate) {
	h, err := readHeader(v.raw)
	if err != nil {
		c.report(v.node, "", "can't be read as an object: "+err.Error())
		return
	}
	if len(v.pointer) == 0 && !looksLikeObject(h) {
		line, column := c.doc.place(v.node)
		kind, _ := h.Kind.(string)
		c.file.Skipped = append(c.file.Skipped, Skipped{File: c.doc.File, Line: line, Column: column, Kind: kind,
			Reason: "no apiVersion and kind: not a Kubernetes object"})
		return
	}
	apiVersion, kind, ok := c.types(v, h)
	if !ok {
		return
	}
	if strings.HasSuffix(kind, "List") && (len(h.Items) > 0 || kind == "List") {
		c.list(v, apiVersion, kind, h.Items)
		return
	}
	if problems := c.doc.structure(v.node, nil); len(problems) > 0 {
		c.file.Problems = append(c.file.Problems, problems...)
		return
	}
	if v.apiVersion != "" && (h.APIVersion == nil || h.Kind == nil) {
		v.raw = withTypes(v.raw, apiVersion, kind)
	}
	if object := c.object(v, apiVersion, kind, h.Metadata); object != nil {
		c.file.Objects = append(c.file.Objects, object)
	}
}

// list adds the items of a list. Items of a typed list need no types themselves.
func (c collector) list(v candidate, apiVersion, kind string, rawItems json.RawMessage) {
	_, itemsNode := entry(resolveAlias(v.node), "items", MaxDepth)
	if problems := c.doc.structure(v.node, itemsNode); len(problems) > 0 {
		c.file.Problems = append(c.file.Problems, problems...)
		return
	}
	if itemsNode == nil || string(rawItems) == "null" {
		return
	}
	itemsNode = resolveAlias(itemsNode)
	var raw []json.RawMessage
	if err := json.Unmarshal(rawItems, &raw); err != nil || len(raw) != len(itemsNode.Content) {
		c.report(itemsNode, "items", "expected a list of objects")
		return
	}
	for i, node := range itemsNode.Content {
		item := candidate{node: node, raw: raw[i]}
		item.pointer = append(append(item.pointer, v.pointer...), "items", strconv.Itoa(i))
		if kind != "List" {
			item.apiVersion, item.kind = apiVersion, strings.TrimSuffix(kind, "List")
		}
		if resolved := resolveAlias(node); resolved.Kind != yaml.MappingNode {
			c.report(node, fmt.Sprintf("items[%d]", i),
				fmt.Sprintf("item is %s; expected an object with apiVersion, kind and metadata", describe(resolved)))
			continue
		}
		c.value(item)
	}
}

// object reads the identity of an object; nil if that is a problem.
func (c collector) object(v candidate, apiVersion, kind string, rawMeta json.RawMessage) *Object {
	object := &Object{APIVersion: apiVersion, Kind: kind, File: c.doc.File, JSON: v.raw,
		doc: c.doc, node: v.node, pointer: v.pointer}
	object.Line, object.Column = c.doc.place(v.node)
	var meta map[string]any
	if err := json.Unmarshal(rawMeta, &meta); rawMeta != nil && err != nil {
		c.file.Problems = append(c.file.Problems,
			object.Problem("metadata", "expected a mapping, got "+showRaw(rawMeta)))
		return nil
	}
	ok := true
	read := func(field string) string {
		text, isString := meta[field].(string)
		if meta[field] != nil && !isString {
			ok = false
			c.file.Problems = append(c.file.Problems, object.Problem("metadata."+field,
				fmt.Sprintf("expected a string, got %s; quote it", showJSON(meta[field]))))
		}
		return text
	}
	object.Namespace, object.Name = read("namespace"), read("name")
	if prefix := read("generateName"); object.Name == "" && prefix != "" {
		object.Name = prefix + "…"
	}
	_, known := lookupKind(apiVersion, kind)
	if ok && object.Name == "" && (known || meta != nil) && meta["name"] == nil && !nameless(apiVersion) {
		ok = false
		c.file.Problems = append(c.file.Problems, object.Problem("metadata.name",
			"metadata.name is missing; name the object, or give metadata.generateName"))
	}
	if !ok {
		return nil
	}
	return object
}

// nameless says whether objects of this version are read by a tool and never
// reach an API server, so that they need no name.
func nameless(apiVersion string) bool {
	return strings.HasPrefix(apiVersion, "kustomize.config.k8s.io/")
}

// withTypes sets apiVersion and kind in an object that lacks them.
func withTypes(raw json.RawMessage, apiVersion, kind string) json.RawMessage {
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(raw, &fields); err != nil {
		return raw
	}
	for name, value := range map[string]string{"apiVersion": apiVersion, "kind": kind} {
		text, err := json.Marshal(value)
		if err != nil {
			return raw
		}
		fields[name] = text
	}
	out, err := json.Marshal(fields)
	if err != nil {
		return raw
	}
	return out
}

// Object makes an object of the mapping at a field path of the document, as
// corpus cases hold them (`object`, `state[0]`). Its positions are in the file.
func (d *Document) Object(fieldPath string) (*Object, []Problem) {
	steps := parseFieldPath(fieldPath)
	node, raw, pointer := d.root, json.RawMessage(d.JSON), []string{}
	for _, s := range steps {
		next, value, ok := descend(resolveAlias(node), raw, s)
		if !ok {
			line, column := d.Position(fieldPath)
			return nil, []Problem{{File: d.File, Line: line, Column: column, Field: fieldPath,
				Message: fmt.Sprintf("%s is missing; expected an object", fieldPath)}}
		}
		node, raw, pointer = next, value, append(pointer, s.name)
	}
	file := File{Name: d.File}
	c := collector{file: &file, doc: d}
	if resolveAlias(node).Kind != yaml.MappingNode {
		c.report(node, fieldPath, fmt.Sprintf("%s is %s; expected an object", fieldPath, describe(resolveAlias(node))))
		return nil, file.Problems
	}
	c.value(candidate{node: node, raw: raw, pointer: pointer})
	if len(file.Objects) != 1 || len(file.Problems) > 0 {
		if len(file.Problems) == 0 {
			c.report(node, fieldPath, fmt.Sprintf("%s is not a Kubernetes object: it needs apiVersion and kind", fieldPath))
		}
		return nil, file.Problems
	}
	return file.Objects[0], nil
}

// descend takes one step down a node and its JSON together.
func descend(node *yaml.Node, raw json.RawMessage, s step) (*yaml.Node, json.RawMessage, bool) {
	switch node.Kind {
	case yaml.MappingNode:
		fields := map[string]json.RawMessage{}
		_, value := entry(node, s.name, MaxDepth)
		if err := json.Unmarshal(raw, &fields); err != nil || value == nil || fields[s.name] == nil {
			return nil, nil, false
		}
		return value, fields[s.name], true
	case yaml.SequenceNode:
		var items []json.RawMessage
		if err := json.Unmarshal(raw, &items); err != nil || s.index < 0 || s.index >= min(len(items), len(node.Content)) {
			return nil, nil, false
		}
		return node.Content[s.index], items[s.index], true
	}
	return nil, nil, false
}
