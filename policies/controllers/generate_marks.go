package controllers

import (
	"context"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

// isReady tells whether a namespace bears the label that says that its pods need not wait.
func isReady(namespace engine.Document) bool {
	return namespace.Get("metadata", "labels", v1alpha1.BaselineMark).Text() == v1alpha1.BaselineReady
}

// mark gives a namespace the label that takes it out of the Pod hook's namespaceSelector, unless its pods have to wait: then it
// is taken off. Where no policy holds pods, labels stay as they are.
func (g *Generator) mark(ctx context.Context, snapshot *Snapshot, namespace engine.Document, held bool) error {
	name := namespace.Get("metadata", "name").Text()
	if !snapshot.holdsPods {
		return nil
	}
	g.ledger.setReady(name, !held) // before the label changes, because of which gates are taken
	if isReady(namespace) != held {
		return nil
	}
	return g.label(ctx, name, namespace.Get("metadata", "uid").Text(), !held)
}

// unmark takes the label off a namespace that is being deleted: who goes by an old copy of it, when there is another one of the
// same name, then asks about that one's pods.
func (g *Generator) unmark(ctx context.Context, snapshot *Snapshot, trigger objectKey, namespace engine.Document) error {
	if trigger.Kind != namespaceKind || !snapshot.holdsPods || !isReady(namespace) {
		return nil
	}
	return g.label(ctx, trigger.Name, namespace.Get("metadata", "uid").Text(), false)
}

func (g *Generator) label(ctx context.Context, name, uid string, ready bool) error {
	var value any // null takes the label off
	if ready {
		value = v1alpha1.BaselineReady
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": uid, "labels": map[string]any{v1alpha1.BaselineMark: value}}})
	if err != nil {
		return fmt.Errorf("encode a label: %w", err)
	}
	object := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(uid)}}
	object.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind(namespaceKind.Kind))
	err = g.Client.Patch(ctx, object, client.RawPatch(types.MergePatchType, patch), client.FieldOwner(fieldManager))
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("label namespace %s: %w", name, err)
	}
	ctrl.LoggerFrom(ctx).V(1).Info("namespace marked", "namespace", name, "ready", ready)
	return nil
}

// Unmarked names a namespace whose pods need not wait and that does not bear the label which says so; "" if there is none: then
// the Pod hook concerns only those that have to wait.
func (g *Generator) Unmarked() (string, error) {
	namespaces, err := g.Known.List(namespaceKind, "")
	if err != nil {
		return "", err
	}
	for _, namespace := range namespaces {
		metadata := namespace.Get("metadata")
		if name := metadata.Get("name").Text(); !isReady(namespace) && !g.ledger.isUnready(name) && !metadata.Get("deletionTimestamp").Exists() {
			return name, nil
		}
	}
	return "", nil
}

// IsFree tells whether the pods of a namespace need not wait.
func (g *Generator) IsFree(name string) bool {
	snapshot := g.Snapshots.Load()
	switch {
	case snapshot == nil:
		return false
	case !snapshot.holdsPods:
		return true
	case g.ledger.isUnready(name):
		return false
	}
	namespace, found, err := g.Known.Get(namespaceKind, "", name)
	return err == nil && found && isReady(namespace)
}
