package controllers

import (
	"context"
	"fmt"
	"slices"
	"time"

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

// The inventory of a kind is read within inventoryTimeout. What could not be read is tried again after inventoryRetry.
const (
	inventoryTimeout = 10 * time.Second
	inventoryRetry   = 5 * time.Second
)

// inventory is what exists because of a policy. For each version of the policy it is read once, of all kinds that the rule
// may generate: with other parameters it generated others. Those that it doesn't generate now keep it from nothing.
func (g *Generator) inventory(ctx context.Context, policy string, result PolicyResult) (*holdings, error) {
	if h := g.ledger.current(policy, result.version(), time.Now()); h != nil {
		return h, nil
	}
	g.reading.Lock()
	defer g.reading.Unlock()
	if h := g.ledger.current(policy, result.version(), time.Now()); h != nil {
		return h, nil
	}
	if failed, known := g.unread[policy]; known && time.Now().Before(failed.until) {
		return nil, failed.err
	}
	found, again := map[objectKey][]objectKey{}, time.Time{}
	for _, kind := range result.Interest.MayGenerate {
		err := g.readInventory(ctx, policy, kind, found)
		switch {
		case err == nil:
		case slices.Contains(result.Interest.Generates, kind):
			g.unread[policy] = unread{err, time.Now().Add(inventoryRetry)}
			return nil, err
		default:
			again = time.Now().Add(inventoryRetry)
			ctrl.LoggerFrom(ctx).V(1).Info("what the policy once generated is not known", "policy", policy, "reason", err.Error())
		}
	}
	delete(g.unread, policy)
	return g.ledger.take(policy, result.version(), again, found), nil
}

// unread is why an inventory could not be read.
type unread struct {
	err   error
	until time.Time
}

// current are the holdings of a policy, if its inventory was read for this version; else nil.
func (l *ledger) current(policy string, v policyVersion, now time.Time) *holdings {
	l.mu.Lock()
	defer l.mu.Unlock()
	if h := l.holdings[policy]; h != nil && h.version == v && (h.again.IsZero() || now.Before(h.again)) {
		return h
	}
	return nil
}

// take makes what was found the holdings of a policy, beside what it already has.
func (l *ledger) take(policy string, v policyVersion, again time.Time, found map[objectKey][]objectKey) *holdings {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.holdings[policy]
	if h == nil {
		h = &holdings{policy: policy, ledger: l, objects: map[objectKey]map[objectKey]bool{}}
		l.holdings[policy] = h
	}
	h.version, h.again = v, again
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
	ctx, cancel := context.WithTimeout(ctx, inventoryTimeout)
	defer cancel()
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
			trigger := triggerOf(item)
			found[trigger] = append(found[trigger], objectKey{kind, item.Namespace, item.Name})
		}
		if list.Continue == "" {
			return nil
		}
	}
}

// triggerOf is because of what an object exists, by its annotation. One that is in a namespace exists because of that, or of
// something in it, whatever the annotation says.
func triggerOf(item metav1.PartialObjectMetadata) objectKey {
	because, ok := policies.ParseTrigger(item.Annotations[v1alpha1.TriggerAnnotation])
	home := because.Namespace
	if because.Kind == namespaceKind {
		home = because.Name
	}
	switch {
	case item.Namespace != "" && (!ok || home != item.Namespace):
		return objectKey{Kind: namespaceKind, Name: item.Namespace}
	case !ok:
		return unattributed
	}
	return objectKey(because)
}

// unmatched deals with what was generated for an object that the policy is no longer for. With action Warn or Audit nothing is
// touched.
func (w *generation) unmatched(ctx context.Context, asked policies.Generation, holdings *holdings) error {
	if !asked.Writes || asked.Keep.OnUnmatch != v1alpha1.Remove {
		holdings.release(w.trigger)
		return nil
	}
	for object := range holdings.of(w.trigger) {
		if err := w.remove(ctx, holdings, w.trigger, object, "what it was generated for no longer matches"); err != nil {
			return err
		}
	}
	return nil
}

// remove deletes an object that a policy generated because of a trigger, unless somebody else has put another one in its place,
// or something else asks for it.
func (g *Generator) remove(ctx context.Context, holdings *holdings, trigger, key objectKey, reason string) error {
	policy := holdings.policy
	if holdings.isShared(trigger, key) {
		holdings.drop(trigger, key)
		return nil
	}
	object, err := g.live(ctx, key)
	if err == nil && object.Labels[v1alpha1.GeneratedByLabel] == policy {
		uid := object.UID
		if err = g.Client.Delete(ctx, object, client.Preconditions{UID: &uid}); err == nil {
			ctrl.LoggerFrom(ctx).Info("generated object removed", "policy", policy, "object", key.String(), "reason", reason)
			g.Metrics.removed.WithLabelValues(policy, engine.FormatGroupKind(key.Kind)).Inc()
		}
	}
	if client.IgnoreNotFound(err) != nil && !meta.IsNoMatchError(err) { // of a kind that is not served nothing is there
		return fmt.Errorf("delete %s: %w", key, err)
	}
	holdings.drop(trigger, key)
	holdings.drop(unattributed, key)
	return nil
}
