package check

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/manifest"
)

var namespaceKind = schema.GroupKind{Kind: "Namespace"}

// each visits the objects of all files in the order in which they are judged: Namespaces that are created, then the
// others, both as they stand in the files. A Namespace that is given again keeps its place, since it exists by then.
// What is wrong with a file is told on the way. The error is for a context that ended.
func (s *session) each(ctx context.Context, in inputs, visit func(*manifest.Object)) error {
	var first, rest []*manifest.Object
	created := map[string]bool{}
	for _, i := range in {
		s.fileProblems(i.file)
		for _, object := range i.file.Objects {
			if !created[object.Name] && s.createsNamespace(object) {
				created[object.Name] = true
				first = append(first, object)
				continue
			}
			rest = append(rest, object)
		}
	}
	for _, object := range append(first, rest...) {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("%s: %w", object.File, err)
		}
		visit(object)
	}
	return nil
}

// createsNamespace tells whether an object is a Namespace that isn't there before anything is judged.
func (s *session) createsNamespace(object *manifest.Object) bool {
	if groupKind(object) != namespaceKind {
		return false
	}
	operation := s.options.Operation
	return operation == engine.Create || operation == "" && !s.existing[identity{kind: namespaceKind, name: object.Name}]
}

// begins tells whether a Namespace begins to exist: it is created, and for the first time. Only then something is
// generated in it.
func (s *session) begins(sub subject) bool {
	if sub.request.Operation != engine.Create || sub.request.Kind.GroupKind() != namespaceKind || s.begun[sub.object.Name] {
		return false
	}
	s.begun[sub.object.Name] = true
	return true
}
