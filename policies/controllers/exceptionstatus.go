package controllers

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

// ExceptionStatus writes the status of GateExceptions, and an event when one expires. It runs on the leader.
type ExceptionStatus struct {
	Client    client.Client
	Snapshots *Snapshots
	Events    events.EventRecorder
	Now       func() time.Time
}

// SetupWithManager registers the reconciler.
func (s *ExceptionStatus) SetupWithManager(m ctrl.Manager) error {
	all := handler.EnqueueRequestsFromMapFunc(func(context.Context, client.Object) []reconcile.Request {
		var out []reconcile.Request
		if snapshot := s.Snapshots.Load(); snapshot != nil {
			for name := range snapshot.Exceptions {
				out = append(out, reconcile.Request{NamespacedName: types.NamespacedName{Name: name}})
			}
		}
		return out
	})
	return ctrl.NewControllerManagedBy(m).Named("exception-status").
		For(&v1alpha1.GateException{}).
		WatchesRawSource(s.Snapshots.changes(all)).
		Complete(s)
}

// Reconcile writes the status of one exception and comes back when it expires.
func (s *ExceptionStatus) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	snapshot := s.Snapshots.Load()
	var exception v1alpha1.GateException
	if err := s.Client.Get(ctx, request.NamespacedName, &exception); err != nil || snapshot == nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	result, known := snapshot.Exceptions[exception.Name]
	if !known || result.UID != exception.UID || result.Generation != exception.Generation {
		return ctrl.Result{}, nil
	}
	before := exception.Status.DeepCopy()
	left := exception.Spec.Expires.Sub(s.Now())
	condition := exceptionReady(&exception, result, left)
	condition.ObservedGeneration = exception.Generation
	exception.Status.ObservedGeneration = exception.Generation
	meta.SetStatusCondition(&exception.Status.Conditions, condition)
	if !equality.Semantic.DeepEqual(before, &exception.Status) {
		if stored, again, err := updateStatus(ctx, s.Client, &exception); !stored {
			return again, err
		}
		last := meta.FindStatusCondition(before.Conditions, v1alpha1.ConditionReady)
		if condition.Status != metav1.ConditionTrue && (last == nil || last.Reason != condition.Reason) {
			s.Events.Eventf(&exception, nil, "Warning", condition.Reason, "Excuse", "%s", truncate(condition.Message, maxEventMessage))
		}
	}
	if left > 0 {
		return ctrl.Result{RequeueAfter: left}, nil
	}
	return ctrl.Result{}, nil
}

func exceptionReady(exception *v1alpha1.GateException, result ExceptionResult, left time.Duration) metav1.Condition {
	condition := metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse}
	expires := exception.Spec.Expires.UTC().Format(time.RFC3339)
	switch {
	case left <= 0:
		condition.Reason, condition.Message = v1alpha1.ReasonExpired, fmt.Sprintf("expired at %s: it excuses nothing; extend spec.expires or delete it", expires)
	case result.InForce:
		condition.Reason, condition.Message = v1alpha1.ReasonUnknownPolicy, truncate("the others are excused: "+result.Err.Error(), maxConditionMessage)
	case result.Err != nil:
		condition.Reason, condition.Message = v1alpha1.ReasonInvalid, truncate(result.Err.Error(), maxConditionMessage)
	default:
		condition.Status, condition.Reason = metav1.ConditionTrue, v1alpha1.ReasonActive
		condition.Message = "excuses what it matches until " + expires
	}
	return condition
}
