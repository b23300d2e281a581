// Package state answers what exists beside the object under review: Files from manifests, Cluster from an
// API server.
package state

import (
	"context"
	"fmt"

	"github.com/sluice-gate/sluice/policies/engine"
)

// Files is the state that manifests describe. Every kind is known: what no manifest names does not exist.
// Namespaces are the exception, since their labels can't be guessed.
type Files struct{ *Index }

// NewFiles is a state in which nothing exists.
func NewFiles() Files { return Files{NewIndex()} }

// Namespace implements policies.Namespaces. It is an error if no manifest holds the Namespace.
func (f Files) Namespace(_ context.Context, name string) (engine.Document, error) {
	object, found, err := f.Get(namespaceKind, "", name)
	if err == nil && !found {
		err = fmt.Errorf("the labels of namespace %s are not known; give its Namespace object as well, or with --state", name)
	}
	return object, err
}
