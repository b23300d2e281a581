package controllers

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

// GenerateStatus writes for how many objects each policy has generated what they need into the policy's status. It runs on
// the leader.
type GenerateStatus struct {
	Client    client.Client
	Snapshots *Snapshots
	Metrics   *GenerateMetrics

	generator *Generator
	queue     workQueue[reconcile.Request]
}

// generateStatusPause bounds how often the status of a policy is written: a thousand namespaces are one change.
const generateStatusPause = 500 * time.Millisecond

// SetupWithManager registers the reconciler.
func (s *GenerateStatus) SetupWithManager(m ctrl.Manager, generator *Generator) error {
	s.generator = generator
	return ctrl.NewControllerManagedBy(m).Named("generate-status").
		WatchesRawSource(source.Func(func(_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
			s.queue.start(queue)
			return nil
		})).
		WatchesRawSource(s.Snapshots.changes(handler.EnqueueRequestsFromMapFunc(s.all))).
		Complete(s)
}

func (s *GenerateStatus) all(context.Context, client.Object) []reconcile.Request {
	var out []reconcile.Request
	if snapshot := s.Snapshots.Load(); snapshot != nil {
		for name := range snapshot.Policies {
			out = append(out, reconcile.Request{NamespacedName: types.NamespacedName{Name: name}})
		}
	}
	return out
}

// touch has the status of policies written soon.
func (s *GenerateStatus) touch(policies ...string) {
	for _, policy := range policies {
		s.queue.addAfter(reconcile.Request{NamespacedName: types.NamespacedName{Name: policy}}, generateStatusPause)
	}
}

// Reconcile writes the status of one policy.
func (s *GenerateStatus) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	snapshot := s.Snapshots.Load()
	if snapshot == nil {
		return ctrl.Result{}, nil
	}
	result, known := snapshot.Policies[request.Name]
	var policy v1alpha1.GatePolicy
	if err := s.Client.Get(ctx, request.NamespacedName, &policy); err != nil || !known || result.UID != policy.UID {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	before := policy.Status.DeepCopy()
	if len(result.Interest.Generates) == 0 {
		policy.Status.Generate = nil
		meta.RemoveStatusCondition(&policy.Status.Conditions, v1alpha1.ConditionSatisfied)
	} else {
		policy.Status.Generate = summary(s.generator.ledger.of(policy.Name), result)
		s.show(policy.Name, policy.Status.Generate)
		meta.SetStatusCondition(&policy.Status.Conditions, satisfied(policy.Status.Generate, result, s.generator.ledger.hasPassed(policy.Name, result.version())))
	}
	if equality.Semantic.DeepEqual(before, &policy.Status) {
		return ctrl.Result{}, nil
	}
	_, again, err := updateStatus(ctx, s.Client, &policy)
	return again, err
}

func (s *GenerateStatus) show(policy string, status *v1alpha1.GenerateStatus) {
	for state, n := range map[string]int64{satisfiedState: status.Satisfied, pendingState: status.Pending, failedState: status.Failed, olderState: status.Older} {
		s.Metrics.triggers.WithLabelValues(policy, state).Set(float64(n))
	}
}

// summary counts the outcomes of a policy. What was done by another version of the policy has to be done again.
func summary(outcomes map[objectKey]outcome, result PolicyResult) *v1alpha1.GenerateStatus {
	var status v1alpha1.GenerateStatus
	for trigger, out := range outcomes {
		switch {
		case out.state == olderState:
			status.Older++
			continue
		case out.generation != result.activeGeneration() || out.state == pendingState:
			status.Pending++
		case out.state == satisfiedState:
			status.Satisfied++
		default:
			status.Failed++
		}
		status.Matched++
		if out.message != "" && (out.state == failedState || !result.Interest.Keeps) {
			status.Examples = append(status.Examples, v1alpha1.GenerateExample{Kind: engine.FormatGroupKind(trigger.Kind),
				Namespace: trigger.Namespace, Name: trigger.Name, Message: truncate(out.message, maxExampleLen)})
		}
	}
	slices.SortFunc(status.Examples, func(a, b v1alpha1.GenerateExample) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	status.Examples = status.Examples[:min(len(status.Examples), maxExamples)]
	return &status
}

// satisfied says whether everything exists that a policy asks for; not before everything was looked at.
func satisfied(status *v1alpha1.GenerateStatus, result PolicyResult, passed bool) metav1.Condition {
	c := metav1.Condition{Type: v1alpha1.ConditionSatisfied, Status: metav1.ConditionFalse, ObservedGeneration: result.Generation}
	switch {
	case !result.Interest.Keeps:
		c.Reason, c.Message = v1alpha1.ReasonReportOnly, fmt.Sprintf("%d of %d would be given something; with action Deny they are", status.Pending, status.Matched)
	case status.Failed > 0:
		c.Reason, c.Message = v1alpha1.ReasonFailed, fmt.Sprintf("%d of %d failed", status.Failed, status.Matched)
		if len(status.Examples) > 0 {
			e := status.Examples[0]
			c.Message += fmt.Sprintf(", such as %s %s: %s", e.Kind, strings.TrimPrefix(e.Namespace+"/"+e.Name, "/"), e.Message)
		}
	case !passed:
		c.Reason, c.Message = v1alpha1.ReasonPending, fmt.Sprintf("%d of %d so far have what is generated for them, and not everything was looked at yet", status.Satisfied, status.Matched)
	case status.Pending > 0:
		c.Reason, c.Message = v1alpha1.ReasonPending, fmt.Sprintf("%d of %d wait for their turn", status.Pending, status.Matched)
	default:
		c.Status, c.Reason, c.Message = metav1.ConditionTrue, v1alpha1.ReasonSatisfied, fmt.Sprintf("%d of %d have what is generated for them", status.Satisfied, status.Matched)
	}
	return c
}
