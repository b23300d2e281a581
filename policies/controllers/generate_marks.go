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
// is taken off. Where nobody can tell, and where no policy holds pods, labels stay as they are.
func (w *generation) mark(ctx context.Context) {
	if w.trigger.Kind != namespaceKind || !w.snapshot.holdsPods || w.unknown {
		return
	}
	if !w.held && !isReady(w.object) {
		if err := w.confirm(ctx); err != nil {
			w.failed(err)
			return
		}
	}
	freed := w.ledger.setReady(w.trigger.Name, !w.held) // before the label changes, because of which gates are taken
	if isReady(w.object) != w.held {
		if freed && w.Freed != nil {
			w.Freed(w.trigger.Name)
		}
		return
	}
	err := w.label(ctx, w.trigger.Name, w.object.Get("metadata", "uid").Text(), !w.held)
	w.failed(err)
	if err != nil && !w.held {
		for _, policy := range w.holders {
			w.note(policy, outcome{state: failedState, generation: w.snapshot.Policies[policy].activeGeneration(), message: err.Error()})
		}
	}
}

// confirm asks the API server whether everything exists that the state has: of a namespace that was deleted and created anew, it
// may still have what the old one held.
func (w *generation) confirm(ctx context.Context) error {
	for _, key := range w.seen {
		object, err := w.live(ctx, key)
		if err != nil {
			return fmt.Errorf("look at %s: %w", key, err)
		}
		if object.DeletionTimestamp != nil {
			return fmt.Errorf("look at %s: it is being deleted", key)
		}
	}
	return nil
}

// live is the metadata of an object as the API server has it at this moment.
func (g *Generator) live(ctx context.Context, key objectKey) (*metav1.PartialObjectMetadata, error) {
	mapping, err := g.Mapper.RESTMapping(key.Kind)
	if err != nil {
		return nil, err
	}
	object := &metav1.PartialObjectMetadata{}
	object.SetGroupVersionKind(mapping.GroupVersionKind)
	return object, g.Live.Get(ctx, client.ObjectKey{Namespace: key.Namespace, Name: key.Name}, object)
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

// IsFree tells whether the pods of a namespace need not wait. The API server is asked: the state may still have a namespace of the
// same name that was deleted before.
func (g *Generator) IsFree(ctx context.Context, name string) (bool, error) {
	snapshot := g.Snapshots.Load()
	switch {
	case snapshot == nil:
		return false, nil
	case !snapshot.holdsPods:
		return true, nil
	case g.ledger.isUnready(name):
		return false, nil
	}
	namespace, err := g.live(ctx, objectKey{Kind: namespaceKind, Name: name})
	if err != nil {
		return false, client.IgnoreNotFound(err)
	}
	return namespace.Labels[v1alpha1.BaselineMark] == v1alpha1.BaselineReady && namespace.DeletionTimestamp == nil, nil
}
