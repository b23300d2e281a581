package manifest

import (
	"go.yaml.in/yaml/v3"
)

// File is what one manifest file holds.
type File struct {
	Name string
	// Objects are the Kubernetes objects in order, lists flattened.
	Objects []*Object
	// Skipped are documents that aren't Kubernetes objects.
	Skipped []Skipped
	// Problems are sorted by position. What a problem is about is in neither of
	// the lists above.
	Problems []Problem

	data []byte
}

// Skipped is a document that isn't a Kubernetes object, such as Helm values.
type Skipped struct {
	File         string
	Line, Column int
	// Kind is what the document says without an apiVersion; empty for most. See Half.
	Kind   string
	Reason string
}

// Object is one Kubernetes object as its author wrote it.
type Object struct {
	APIVersion string
	Kind       string
	// Namespace is empty if the author gave none.
	Namespace string
	// Name is metadata.name, or metadata.generateName with "…" appended. It is
	// empty only for kinds that Sluice doesn't judge and that have no metadata.
	Name string

	File string
	// Line and Column are where the object begins.
	Line, Column int
	// JSON is the object without any defaults. Items of a typed list
	// (IngressList) have apiVersion and kind filled in.
	JSON []byte

	doc     *Document
	node    *yaml.Node
	pointer []string // from the document's root to the object
}

// Read reads a YAML or JSON stream. It never fails as a whole: one bad document
// or list item is a problem and leaves the others readable.
func Read(name string, data []byte) File {
	file := File{Name: name, data: data}
	docs, problems := parse(name, data)
	file.Problems = problems
	for _, doc := range docs {
		collector{file: &file, doc: doc}.document()
	}
	sortProblems(file.Problems)
	return file
}

// Position is the line and column in the file of the field with this Kubernetes
// field path (`spec.rules[0].host`, `metadata.annotations["a/b"]`): the key of a
// map's field, the item of a list. For a field that doesn't exist it is the
// nearest ancestor's that does. It never fails.
func (o *Object) Position(fieldPath string) (line, column int) {
	if o.doc == nil {
		return max(o.Line, 1), max(o.Column, 1)
	}
	return o.doc.locate(o.node, fieldPath)
}

// Problem is a problem with a field of this object, at the field's position.
func (o *Object) Problem(field, message string) Problem {
	line, column := o.Position(field)
	return Problem{File: o.File, Line: line, Column: column, Field: field, Message: message}
}
