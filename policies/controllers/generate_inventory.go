package controllers

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

const inventoryPage = 500

// inventory is what exists because of a policy. For each version of the policy it is read once, of all kinds that the rule
// may generate: with other parameters it generated others.
func (g *Generator) inventory(ctx context.Context, policy string, result PolicyResult) (*holdings, error) {
	current := func() *holdings {
		g.ledger.mu.Lock()
		defer g.ledger.mu.Unlock()
		if h := g.ledger.holdings[policy]; h != nil && h.uid == result.UID && h.generation == result.activeGeneration() {
			return h
		}
		return nil
	}
	if h := current(); h != nil {
		return h, nil
	}
	g.reading.Lock()
	defer g.reading.Unlock()
	if h := current(); h != nil {
		return h, nil
	}
	found := map[objectKey][]objectKey{}
	for _, kind := range result.Interest.MayGenerate {
		if err := g.readInventory(ctx, policy, kind, found); err != nil {
			return nil, err
		}
	}
	return g.ledger.take(policy, result, found), nil
}

// take makes what was found the holdings of a policy, beside what it already has.
func (l *ledger) take(policy string, result PolicyResult, found map[objectKey][]objectKey) *holdings {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.holdings[policy]
	if h == nil {
		h = &holdings{policy: policy, ledger: l, objects: map[objectKey]map[objectKey]bool{}}
		l.holdings[policy] = h
	}
	h.uid, h.generation = result.UID, result.activeGeneration()
	for trigger, objects := range found {
		for _, object := range objects {
			h.put(trigger, object, true)
		}
	}
	return h
}

// readInventory adds the objects of one kind that bear the policy's label, by their triggers. Nothing is there of a kind that
// the API server doesn't serve. Of one that Sluice may not read nothing is known: where it is needed, its state says so.
func (g *Generator) readInventory(ctx context.Context, policy string, kind schema.GroupKind, found map[objectKey][]objectKey) error {
	mapping, err := g.Mapper.RESTMapping(kind)
	if meta.IsNoMatchError(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("ask whether the API server serves %s: %w", engine.FormatGroupKind(kind), err)
	}
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(mapping.GroupVersionKind)
	options := []client.ListOption{client.MatchingLabels{v1alpha1.GeneratedByLabel: policy}, client.Limit(inventoryPage)}
	for {
		err := g.Live.List(ctx, list, append(options, client.Continue(list.Continue))...)
		if apierrors.IsForbidden(err) || apierrors.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("list what the policy generated of %s: %w", engine.FormatGroupKind(kind), err)
		}
		for _, item := range list.Items {
			because, ok := policies.ParseTrigger(item.Annotations[v1alpha1.TriggerAnnotation])
			trigger := objectKey(because)
			switch {
			case !ok && item.Namespace != "": // the annotation was stripped
				trigger = objectKey{Kind: namespaceKind, Name: item.Namespace}
			case !ok:
				trigger = unattributed
			}
			found[trigger] = append(found[trigger], objectKey{kind, item.Namespace, item.Name})
		}
		if list.Continue == "" {
			return nil
		}
	}
}

// unmatched deals with what was generated for an object that the policy is no longer for. With action Warn or Audit nothing is
// touched.
func (w *generation) unmatched(ctx context.Context, asked policies.Generation, holdings *holdings) error {
	if !asked.Writes || asked.Keep.OnUnmatch != v1alpha1.Remove {
		return nil
	}
	for object := range holdings.of(w.trigger) {
		if err := w.remove(ctx, holdings, object, "what it was generated for no longer matches"); err != nil {
			return err
		}
	}
	return nil
}

// remove deletes an object that a policy generated, unless somebody else has put another one in its place, or something else
// asks for it.
func (w *generation) remove(ctx context.Context, holdings *holdings, key objectKey, reason string) error {
	policy := holdings.policy
	if holdings.isShared(w.trigger, key) {
		holdings.drop(w.trigger, key)
		return nil
	}
	mapping, err := w.Mapper.RESTMapping(key.Kind)
	if err != nil && !meta.IsNoMatchError(err) {
		return fmt.Errorf("ask whether the API server serves %s: %w", engine.FormatGroupKind(key.Kind), err)
	}
	if err == nil {
		object := &metav1.PartialObjectMetadata{}
		object.SetGroupVersionKind(mapping.GroupVersionKind)
		err = w.Live.Get(ctx, client.ObjectKey{Namespace: key.Namespace, Name: key.Name}, object)
		if err == nil && object.Labels[v1alpha1.GeneratedByLabel] == policy {
			uid := object.UID
			err = w.Client.Delete(ctx, object, client.Preconditions{UID: &uid})
		}
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("delete %s: %w", key, err)
		}
		ctrl.LoggerFrom(ctx).Info("generated object removed", "policy", policy, "object", key.String(), "reason", reason)
		w.Metrics.removed.WithLabelValues(policy, engine.FormatGroupKind(key.Kind)).Inc()
	}
	holdings.drop(w.trigger, key)
	holdings.drop(unattributed, key)
	return nil
}
