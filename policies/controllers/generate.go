// Package controllers holds what Sluice does in a cluster beside answering reviews.
package controllers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/engine"
)

// fieldManager owns the generated fields in server-side apply.
const fieldManager = "sluice"

// The labels and annotations of a generated object.
const (
	GeneratedByLabel = "policy.sluice.dev/generated-by" // the policy's name
	managedByLabel   = "app.kubernetes.io/managed-by"
)

// Generator creates what generate policies ask for in namespaces that are created after the policy. It reacts to the
// creation of a namespace and to a change of a policy; repairing what people change is not its part.
type Generator struct {
	Client    client.Client
	Snapshots *Snapshots
	Events    events.EventRecorder

	mu   sync.Mutex
	done map[types.UID]string // namespaces, and the policies whose objects they were given
}

// SetupWithManager registers the reconciler. It runs on the leader.
func (g *Generator) SetupWithManager(m ctrl.Manager) error {
	g.done = map[types.UID]string{}
	return ctrl.NewControllerManagedBy(m).Named("generate").
		For(&corev1.Namespace{}, builder.WithPredicates(predicate.Funcs{
			UpdateFunc:  func(event.UpdateEvent) bool { return false },
			DeleteFunc:  g.forget,
			GenericFunc: func(event.GenericEvent) bool { return false },
		})).
		WatchesRawSource(g.Snapshots.changes(handler.EnqueueRequestsFromMapFunc(g.all))).
		Complete(g)
}

func (g *Generator) forget(e event.DeleteEvent) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.done, e.Object.GetUID())
	return false
}

func (g *Generator) all(ctx context.Context, _ client.Object) []reconcile.Request {
	var namespaces corev1.NamespaceList
	if err := g.Client.List(ctx, &namespaces); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "list namespaces")
		return nil
	}
	var out []reconcile.Request
	for _, namespace := range namespaces.Items {
		out = append(out, reconcile.Request{NamespacedName: types.NamespacedName{Name: namespace.Name}})
	}
	return out
}

// Reconcile applies the objects generated for one namespace. What fails is retried with backoff.
func (g *Generator) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	snapshot := g.Snapshots.Load()
	var namespace corev1.Namespace
	if err := g.Client.Get(ctx, request.NamespacedName, &namespace); err != nil || snapshot == nil {
		return ctrl.Result{}, client.IgnoreNotFound(err) // the first snapshot brings us back
	}
	due, key := snapshot.due(&namespace)
	if namespace.DeletionTimestamp != nil || len(due) == 0 || g.isDone(&namespace, key) {
		return ctrl.Result{}, nil
	}
	namespace.APIVersion, namespace.Kind = "v1", "Namespace"
	object, err := engine.FromGo(&namespace)
	if err != nil {
		return ctrl.Result{}, err
	}
	review, err := policies.Compose(engine.Create, object, engine.Document{})
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("compose request for namespace %s: %w", namespace.Name, err)
	}
	generated, findings := snapshot.Gate.Generate(ctx, review)
	var errs []error
	for _, f := range findings {
		if f.Failed && due[f.Policy] {
			errs = append(errs, fmt.Errorf("policy %q: %s", f.Policy, f.Message))
		}
	}
	for _, object := range generated {
		if due[object.Policy] {
			errs = append(errs, g.apply(ctx, &namespace, object))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return ctrl.Result{}, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.done[namespace.UID] = key
	return ctrl.Result{}, nil
}

func (g *Generator) isDone(namespace *corev1.Namespace, key string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.done[namespace.UID] == key
}

// due are the generate policies that are not younger than the namespace, and a key that changes when they do. Creation
// times have whole seconds: a namespace of the policy's own second is new.
func (s *Snapshot) due(namespace *corev1.Namespace) (map[string]bool, string) {
	due := map[string]bool{}
	var keys []string
	for name, result := range s.Policies {
		if result.LastGood == nil || len(result.Interest.Generates) == 0 || namespace.CreationTimestamp.Before(&result.Created) {
			continue
		}
		due[name] = true
		keys = append(keys, fmt.Sprintf("%s/%s/%d", name, result.UID, result.LastGood.Generation))
	}
	slices.Sort(keys)
	return due, strings.Join(keys, " ")
}

func (g *Generator) apply(ctx context.Context, namespace *corev1.Namespace, generated policies.Generated) error {
	data, err := generated.Object.MarshalJSON()
	if err != nil {
		return err
	}
	object := &unstructured.Unstructured{}
	if err := json.Unmarshal(data, &object.Object); err != nil {
		return fmt.Errorf("generated object of policy %q: %w", generated.Policy, err)
	}
	labels := object.GetLabels()
	if labels == nil {
		labels = map[string]string{}
	}
	labels[GeneratedByLabel], labels[managedByLabel] = generated.Policy, fieldManager
	object.SetLabels(labels)
	if object.GetNamespace() == "" {
		object.SetNamespace(namespace.Name)
	}
	err = g.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner(fieldManager), client.ForceOwnership)
	if err != nil {
		g.Events.Eventf(namespace, nil, corev1.EventTypeWarning, "GenerateFailed", "Generate",
			"policy %s could not create %s %s: %v", generated.Policy, object.GetKind(), object.GetName(), err)
		return fmt.Errorf("apply %s %s/%s of policy %q: %w", object.GetKind(), object.GetNamespace(), object.GetName(), generated.Policy, err)
	}
	ctrl.LoggerFrom(ctx).Info("generated", "policy", generated.Policy, "kind", object.GetKind(),
		"namespace", object.GetNamespace(), "name", object.GetName())
	return nil
}
