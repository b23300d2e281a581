package controllers

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/state"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

// managedByLabel is what tools that show who made an object go by.
const managedByLabel = "app.kubernetes.io/managed-by"

// pendingError is something that is not done yet and no failure. retry is when to look again, 0 if the state tells. unknown:
// it may be done, as far as anybody can tell.
type pendingError struct {
	reason  string
	retry   time.Duration
	unknown bool
}

func (e *pendingError) Error() string { return e.reason }

// keep makes what a policy asks for beside the trigger exist as it asks for it, and then removes what it no longer asks for. A
// pendingError is returned only if nothing failed.
func (w *generation) keep(ctx context.Context, asked policies.Generation, result PolicyResult, holdings *holdings) error {
	before := holdings.of(w.trigger)
	var errs []error
	var waiting error
	for _, document := range asked.Objects {
		object, key, err := w.prepare(document, asked, result)
		if err == nil {
			delete(before, key)
			err = w.ensure(ctx, holdings, key, object)
		}
		if pending := new(pendingError); errors.As(err, &pending) {
			waiting = err
		} else {
			errs = append(errs, err)
		}
	}
	if err := cmp.Or(errors.Join(errs...), waiting); err != nil {
		return err
	}
	for key := range before {
		if err := w.remove(ctx, holdings, w.trigger, key, "the policy no longer asks for it"); err != nil {
			return err
		}
	}
	return nil
}

// prepare is an object as it has to exist: in its place, with its marks and owners.
func (w *generation) prepare(document engine.Document, asked policies.Generation, result PolicyResult) (*unstructured.Unstructured, objectKey, error) {
	object, key, err := w.place(document)
	if err != nil {
		return nil, key, err
	}
	labels, annotations := object.GetLabels(), object.GetAnnotations()
	if labels == nil {
		labels = map[string]string{}
	}
	if annotations == nil {
		annotations = map[string]string{}
	}
	labels[v1alpha1.GeneratedByLabel], labels[managedByLabel] = asked.Policy, fieldManager
	annotations[v1alpha1.RuleAnnotation] = result.Interest.Rule
	annotations[v1alpha1.PolicyGenerationAnnotation] = strconv.FormatInt(result.activeGeneration(), 10)
	annotations[v1alpha1.TriggerAnnotation] = w.trigger.String()
	if key.Namespace == "" && w.trigger.Kind == namespaceKind && len(object.GetOwnerReferences()) == 0 {
		if !asked.Keep.Existing {
			return nil, key, fmt.Errorf("generated %s is for all namespaces, those older than the policy among them: say so by spec.generate.existing: true",
				policies.Describe(document))
		}
		delete(annotations, v1alpha1.TriggerAnnotation) // every namespace asks for the same object
	}
	object.SetLabels(labels)
	object.SetAnnotations(annotations)
	owners := object.GetOwnerReferences()
	if w.trigger.Kind != namespaceKind {
		metadata := w.object.Get("metadata")
		owners = append(owners, metav1.OwnerReference{APIVersion: w.object.Get("apiVersion").Text(), Kind: w.trigger.Kind.Kind,
			Name: w.trigger.Name, UID: types.UID(metadata.Get("uid").Text())})
	}
	if asked.Keep.OnDelete == v1alpha1.Remove {
		owners = append(owners, metav1.OwnerReference{APIVersion: v1alpha1.GroupVersion().String(), Kind: policies.PolicyKind,
			Name: asked.Policy, UID: result.UID})
	}
	if len(owners) > 0 {
		object.SetOwnerReferences(owners)
	}
	return object, key, nil
}

// place decodes a generated object and puts it into the trigger's namespace, unless its kind has none.
func (w *generation) place(document engine.Document) (*unstructured.Unstructured, objectKey, error) {
	object := &unstructured.Unstructured{Object: map[string]any{}}
	data, err := document.MarshalJSON()
	if err == nil {
		err = json.Unmarshal(data, &object.Object)
	}
	if err != nil {
		return nil, objectKey{}, fmt.Errorf("generated %s: %w", policies.Describe(document), err)
	}
	key := objectKey{Kind: object.GroupVersionKind().GroupKind(), Name: object.GetName()}
	mapping, err := w.Mapper.RESTMapping(key.Kind, object.GroupVersionKind().Version)
	if err != nil {
		return nil, key, fmt.Errorf("generated %s: the API server does not serve %s: %w", policies.Describe(document), object.GroupVersionKind(), err)
	}
	if mapping.Scope.Name() == "namespace" {
		key.Namespace = w.trigger.Namespace
		if w.trigger.Kind == namespaceKind {
			key.Namespace = w.trigger.Name
		}
		if key.Namespace == "" {
			return nil, key, fmt.Errorf("generated %s: its kind needs a namespace, and %s is in none", policies.Describe(document), w.trigger)
		}
		object.SetNamespace(key.Namespace)
	}
	return object, key, nil
}

// ensure makes one object exist as it is.
func (w *generation) ensure(ctx context.Context, holdings *holdings, key objectKey, object *unstructured.Unstructured) error {
	want, err := contentOf(object.Object)
	if err != nil {
		return err
	}
	defer w.ledger.lock(key)()
	ours := holdings.of(w.trigger)[key]
	if other := holdings.ask(w.trigger, key); other != "" { // before we look: from now on Told brings us back
		return fmt.Errorf("%s is generated by policy %s, too: give the objects other names, or switch off one of the policies", key, other)
	}
	live, found, err := w.known(key)
	if err != nil {
		if problem := new(state.WatchError); errors.Is(err, state.ErrNotSynced) && !errors.As(err, &problem) {
			return &pendingError{reason: err.Error(), unknown: true}
		}
		return err
	}
	marks := want + fmt.Sprint(object.GetLabels(), object.GetAnnotations(), object.GetOwnerReferences())
	version := string(live.GetUID()) + "/" + live.GetResourceVersion()
	reason := drift(live, object, found, ours, w.isAccepted(want, live.Object))
	switch {
	case live.GetDeletionTimestamp() != nil:
		return &pendingError{reason: fmt.Sprintf("%s is being deleted, and has to be gone before there can be another one", key)}
	case reason == "" || w.ledger.isWritten(key, version, marks):
		holdings.exists(w.trigger, key)
		w.seen = append(w.seen, key)
		return nil
	}
	if wait := w.ledger.throttle(key); wait > 0 {
		return &pendingError{reason: fmt.Sprintf("%s is changed again and again by somebody else; the next repair is in %s", key, wait.Round(time.Second)), retry: wait}
	}
	w.ledger.writes(key, version, marks) // before a watch can tell of it
	written, err := w.write(ctx, object, want)
	if err != nil {
		w.ledger.unwritten(key)
		if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
			return nil // what it is for goes
		}
		return fmt.Errorf("apply %s: %w", key, err)
	}
	holdings.exists(w.trigger, key)
	if written.GetResourceVersion() != live.GetResourceVersion() { // else the API server had it like that already
		w.announce(ctx, holdings.policy, key, object, reason)
	}
	return nil
}

// known is an object as the state has it; without fields if it has none.
func (g *Generator) known(key objectKey) (live *unstructured.Unstructured, found bool, err error) {
	live = &unstructured.Unstructured{Object: map[string]any{}}
	document, found, err := g.Known.Get(key.Kind, key.Namespace, key.Name)
	if err == nil && found {
		err = document.Decode(&live.Object)
	}
	if err != nil {
		return nil, false, fmt.Errorf("look at %s: %w", key, err)
	}
	return live, found, nil
}

// The reasons for which an object is written.
const (
	createdReason = "created" // it was not there yet
	deletedReason = "deleted" // somebody had deleted it
	changedReason = "changed" // somebody had changed it
	updatedReason = "updated" // the policy asks for something else
)

// drift says why an object has to be written, "" if it need not be.
func drift(live, object *unstructured.Unstructured, found, ours, accepted bool) string {
	generation := live.GetAnnotations()[v1alpha1.PolicyGenerationAnnotation]
	switch {
	case !found && ours:
		return deletedReason
	case !found:
		return createdReason
	case accepted && isMarked(live, object):
		return ""
	case generation != "" && generation != object.GetAnnotations()[v1alpha1.PolicyGenerationAnnotation]:
		return updatedReason
	case !ours:
		return createdReason
	}
	return changedReason
}

// isAccepted tells whether an object has the content that was asked for, or what the API server once made of that.
func (g *Generator) isAccepted(want string, live map[string]any) bool {
	got, err := contentOf(live)
	if err != nil || got == want {
		return err == nil
	}
	accepted, ok := g.ledger.accepted.Get(want)
	return ok && accepted == got
}

// write applies an object, and replaces it if somebody else's fields are left in it: server-side apply removes only what its
// own manager set. It returns what the API server keeps.
func (g *Generator) write(ctx context.Context, object *unstructured.Unstructured, want string) (*unstructured.Unstructured, error) {
	kept := object.DeepCopy()
	if err := g.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(kept), client.FieldOwner(fieldManager), client.ForceOwnership); err != nil {
		return nil, err
	}
	if g.isAccepted(want, kept.Object) && isMarked(kept, object) {
		return kept, nil
	}
	whole := object.DeepCopy()
	metadata := kept.DeepCopy()
	metadata.SetOwnerReferences(object.GetOwnerReferences())
	whole.Object["metadata"] = metadata.Object["metadata"]
	if err := g.Client.Update(ctx, whole, client.FieldOwner(fieldManager)); err != nil {
		return nil, fmt.Errorf("replace: %w", err)
	}
	if !saysAll(whole.Object, object.Object) {
		return nil, errors.New("the API server keeps it otherwise than it was sent: another webhook or its defaults change it")
	}
	got, err := contentOf(whole.Object)
	if err != nil {
		return nil, err
	}
	g.ledger.accepted.Add(want, got)
	return whole, nil
}

// announce tells of an object that was written; of one that somebody had changed or deleted by an event, too.
func (w *generation) announce(ctx context.Context, policy string, key objectKey, object *unstructured.Unstructured, reason string) {
	w.Metrics.written.WithLabelValues(policy, engine.FormatGroupKind(key.Kind), reason).Inc()
	ctrl.LoggerFrom(ctx).Info("generated", "policy", policy, "object", key.String(), "reason", reason)
	if action, repaired := map[string]string{deletedReason: "Recreate", changedReason: "Restore"}[reason]; repaired {
		regarding := &corev1.ObjectReference{APIVersion: object.GetAPIVersion(), Kind: object.GetKind(), Namespace: object.GetNamespace(), Name: object.GetName()}
		w.Events.Eventf(regarding, nil, corev1.EventTypeNormal, "Repaired", action, "policy %s: it had been %s, and is as it was again", policy, reason)
	}
}

// referenceTo names an object in an event.
func referenceTo(object engine.Document) *corev1.ObjectReference {
	metadata := object.Get("metadata")
	return &corev1.ObjectReference{APIVersion: object.Get("apiVersion").Text(), Kind: object.Get("kind").Text(),
		Namespace: metadata.Get("namespace").Text(), Name: metadata.Get("name").Text(), UID: types.UID(metadata.Get("uid").Text())}
}
