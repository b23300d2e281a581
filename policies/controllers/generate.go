// Package controllers holds what Sluice does in a cluster beside answering reviews.
package controllers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

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

// Generator creates what generate policies ask for in namespaces that are created after Since. It reacts
// to the creation of a namespace; repairing what people change is not its part.
type Generator struct {
	Client client.Client
	Gate   func() *policies.Gate
	// Since is when the policies took effect: older namespaces stay as they are.
	Since  time.Time
	Events events.EventRecorder
}

// SetupWithManager registers the reconciler. It runs on the leader.
func (g *Generator) SetupWithManager(m ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(m).Named("generate").
		For(&corev1.Namespace{}, builder.WithPredicates(predicate.Funcs{
			CreateFunc:  func(e event.CreateEvent) bool { return g.isNew(e) },
			UpdateFunc:  func(event.UpdateEvent) bool { return false },
			DeleteFunc:  func(event.DeleteEvent) bool { return false },
			GenericFunc: func(event.GenericEvent) bool { return false },
		})).Complete(g)
}

// isNew tells a namespace created since Since from the old ones, which an informer's first list delivers as
// if they were just created. Creation times have whole seconds: within the second of Since a namespace is new.
func (g *Generator) isNew(e event.CreateEvent) bool {
	return !e.Object.GetCreationTimestamp().Time.Before(g.Since.Truncate(time.Second))
}

// Reconcile applies the objects generated for one namespace. What fails is retried with backoff.
func (g *Generator) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var namespace corev1.Namespace
	if err := g.Client.Get(ctx, request.NamespacedName, &namespace); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if namespace.DeletionTimestamp != nil {
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
	generated, findings := g.Gate().Generate(ctx, review)
	var errs []error
	for _, f := range findings {
		if f.Failed {
			errs = append(errs, fmt.Errorf("policy %q: %s", f.Policy, f.Message))
		}
	}
	for _, object := range generated {
		errs = append(errs, g.apply(ctx, &namespace, object))
	}
	return ctrl.Result{}, errors.Join(errs...)
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
