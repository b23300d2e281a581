package controllers

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

// Interceptor keeps the rules of the shipped webhook configurations equal to what the policies want to be asked
// about. It owns this one field by server-side apply, on the object that it read (by its uid): it never creates a
// configuration, never adds an entry and never touches what GitOps or cert-manager write. It runs on the leader.
type Interceptor struct {
	Client client.Client
	Kinds  *Kinds
	// Configuration is the name of both webhook configurations.
	Configuration string
	Snapshots     *Snapshots
	// Unmarked names a namespace that does not bear the label yet which keeps its pods from the hook that holds them; "" if
	// all do that should.
	Unmarked func() (string, error)
	// MissingToHold names what Sluice may not do and has to, so that pods that are held are let go; "" if nothing is missing.
	MissingToHold func(context.Context) (string, error)

	problem atomic.Pointer[string]
	settled atomic.Pointer[time.Time] // from then on, what is served is what CustomResourceDefinitions say; nil is always
}

// settling is how long what is served may lag behind a CustomResourceDefinition, and how often it is read meanwhile.
const (
	settling      = 10 * time.Second
	settlingRetry = time.Second
)

// unservedRetry is how often kinds that the API server doesn't serve are looked for again, beside the moment in which a
// CustomResourceDefinition changes: APIServices bring kinds too.
const unservedRetry = time.Minute

// crdMetadata is a CustomResourceDefinition of which only the metadata is read.
func crdMetadata() *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "apiextensions.k8s.io/v1", Kind: "CustomResourceDefinition"}}
}

// SetupWithManager registers the reconciler.
func (i *Interceptor) SetupWithManager(m ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(m).Named("intercept").
		Watches(&admissionv1.ValidatingWebhookConfiguration{}, enqueueEverything()).
		Watches(&admissionv1.MutatingWebhookConfiguration{}, enqueueEverything()).
		WatchesMetadata(crdMetadata(), handler.EnqueueRequestsFromMapFunc(func(context.Context, client.Object) []reconcile.Request {
			i.settled.Store(new(time.Now().Add(settling))) // with its monotonic reading: nobody sets that
			return everything()
		})).
		WatchesRawSource(i.Snapshots.changes(enqueueEverything())).
		Complete(i)
}

// Problem says why the webhook configurations could not be brought up to date; "" if they were.
func (i *Interceptor) Problem() string {
	if problem := i.problem.Load(); problem != nil {
		return *problem
	}
	return ""
}

// Reconcile brings both configurations up to date.
func (i *Interceptor) Reconcile(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
	gate := i.Snapshots.Gate()
	if gate == nil {
		return ctrl.Result{}, nil // the first snapshot brings us back
	}
	settled := i.settled.Load()
	isSettling := settled != nil && time.Now().Before(*settled)
	if isSettling {
		i.Kinds.Forget()
	}
	rules, unserved, err := rulesFor(gate.Interests(), i.Kinds)
	var found map[bool]client.Object
	var present map[hook][]admissionv1.RuleWithOperations
	if err == nil {
		found, present, err = configurations(ctx, i.Client, i.Configuration)
	}
	waiting, again := "", time.Duration(0)
	if err == nil {
		waiting, again, err = i.mayHold(ctx, present, rules)
	}
	for mutating, configuration := range found {
		err = errors.Join(err, i.apply(ctx, configuration, mutating, present, rules))
	}
	problem := waiting
	if err != nil {
		problem = err.Error()
	}
	i.problem.Store(&problem)
	switch {
	case waiting != "" && err == nil:
		return ctrl.Result{RequeueAfter: again}, nil
	case isSettling:
		return ctrl.Result{RequeueAfter: settlingRetry}, err
	case again > 0:
		return ctrl.Result{RequeueAfter: again}, err
	case len(unserved) > 0:
		return ctrl.Result{RequeueAfter: unservedRetry}, err
	}
	return ctrl.Result{}, err
}

// marksRetry is how often it is looked whether namespaces are marked: a moment, after a policy begins to hold pods.
const marksRetry = 200 * time.Millisecond

// mayHold leaves out the rules of the hook that holds pods while Sluice could not let them go, and until all namespaces whose pods
// need not wait are marked. Then the hook concerns no others, even if nobody answers it, and stays. It says what is waited
// for, and when to look again.
func (i *Interceptor) mayHold(ctx context.Context, present, rules map[hook][]admissionv1.RuleWithOperations) (waiting string, again time.Duration, err error) {
	if len(rules[holdHook()]) == 0 {
		return "", 0, nil
	}
	isThere := len(present[holdHook()]) > 0
	missing, err := i.MissingToHold(ctx)
	switch {
	case err != nil && isThere:
		return "", 0, err
	case err == nil && missing != "":
		delete(rules, holdHook())
		return fmt.Sprintf("Sluice may not %s, and so no pod waits", missing), notReadyRetry, nil
	case isThere:
		return "", readyCheck, nil
	}
	unmarked := ""
	if err == nil {
		unmarked, err = i.Unmarked()
	}
	if err != nil || unmarked != "" {
		delete(rules, holdHook())
	}
	if unmarked != "" {
		return fmt.Sprintf("namespace %s lacks the label %s yet; until all have it, no pod waits", unmarked, v1alpha1.BaselineMark), marksRetry, err
	}
	return "", readyCheck, err
}

// configurations reads both webhook configurations, and the rules of their entries. A missing one is left out.
func configurations(ctx context.Context, c client.Reader, name string) (map[bool]client.Object, map[hook][]admissionv1.RuleWithOperations, error) {
	found, entries := map[bool]client.Object{}, map[string][]admissionv1.RuleWithOperations{}
	validating, mutating := &admissionv1.ValidatingWebhookConfiguration{}, &admissionv1.MutatingWebhookConfiguration{}
	for isMutating, object := range map[bool]client.Object{false: validating, true: mutating} {
		switch err := c.Get(ctx, client.ObjectKey{Name: name}, object); {
		case err == nil:
			found[isMutating] = object
		case !apierrors.IsNotFound(err):
			return nil, nil, fmt.Errorf("read the webhook configuration %s: %w", name, err)
		}
	}
	for _, entry := range validating.Webhooks {
		entries[entry.Name] = append([]admissionv1.RuleWithOperations{}, entry.Rules...)
	}
	for _, entry := range mutating.Webhooks {
		entries[entry.Name] = append([]admissionv1.RuleWithOperations{}, entry.Rules...)
	}
	rules := map[hook][]admissionv1.RuleWithOperations{}
	for _, h := range hooks() {
		if present, there := entries[h.name()]; there {
			rules[h] = present
		}
	}
	return found, rules, nil
}

// apply sets the rules of those entries that are there.
func (i *Interceptor) apply(ctx context.Context, found client.Object, mutating bool, present, rules map[hook][]admissionv1.RuleWithOperations) error {
	var webhooks []any
	changed := false
	for _, h := range hooks() {
		before, there := present[h]
		if h.mutating != mutating || !there {
			continue
		}
		changed = changed || !equality.Semantic.DeepEqual(before, rules[h])
		encoded := []any{}
		for _, rule := range rules[h] {
			one, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&rule)
			if err != nil {
				return fmt.Errorf("encode webhook rules: %w", err)
			}
			encoded = append(encoded, one)
		}
		webhooks = append(webhooks, map[string]any{"name": h.name(), "rules": encoded})
	}
	if !changed {
		return nil
	}
	wanted := &unstructured.Unstructured{Object: map[string]any{"webhooks": webhooks}}
	wanted.SetGroupVersionKind(admissionv1.SchemeGroupVersion.WithKind(configurationKind(mutating)))
	wanted.SetName(found.GetName())
	wanted.SetUID(found.GetUID()) // if it is gone, it stays gone
	err := i.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(wanted), client.FieldOwner(fieldManager))
	if apierrors.IsConflict(err) {
		return fmt.Errorf("the rules in the %s %s belong to somebody else, who has to give them up: %w", configurationKind(mutating), found.GetName(), err)
	}
	if err != nil {
		return fmt.Errorf("set the rules in the %s %s: %w", configurationKind(mutating), found.GetName(), err)
	}
	ctrl.LoggerFrom(ctx).Info("webhook rules set", "kind", configurationKind(mutating), "name", found.GetName())
	return nil
}

func configurationKind(mutating bool) string {
	if mutating {
		return "MutatingWebhookConfiguration"
	}
	return "ValidatingWebhookConfiguration"
}
