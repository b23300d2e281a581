package controllers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

// Auditor judges what exists as if it were created now, by the same gate, and notes per policy how much it finds.
// It runs on the leader: after every change of a policy or an exception, when an exception expires, and every Interval.
type Auditor struct {
	// Client writes status.
	Client client.Client
	// Live lists past the cache, page by page: what is only audited is not worth holding in memory.
	Live      client.Reader
	Mapper    meta.RESTMapper
	Snapshots *Snapshots
	Interval  time.Duration
	Events    events.EventRecorder
	Now       func() time.Time

	told  map[string]string // by policy: why it could not be counted last time
	ended time.Time
}

// auditPause is the least time between two audits: policies that change one after another are audited together.
const auditPause = 5 * time.Second

const (
	auditPage     = 200
	maxExamples   = 10
	maxExampleLen = 512 // bytes of one message
)

// SetupWithManager registers the reconciler.
func (a *Auditor) SetupWithManager(m ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(m).Named("audit").
		WatchesRawSource(atStart()).
		WatchesRawSource(a.Snapshots.changes(enqueueEverything())).
		Complete(a)
}

// Reconcile audits everything once.
func (a *Auditor) Reconcile(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
	snapshot := a.Snapshots.Load()
	if snapshot == nil {
		return ctrl.Result{}, nil // the first snapshot brings us back
	}
	if left := auditPause - time.Since(a.ended); left > 0 && !a.ended.IsZero() { // whatever Now is set to
		return ctrl.Result{RequeueAfter: left}, nil
	}
	began := a.Now()
	defer func() { a.ended = time.Now() }()
	found, failed := map[string]*v1alpha1.AuditStatus{}, map[string]error{}
	var errs []error
	for kind, names := range auditedKinds(snapshot) {
		if err := a.kind(ctx, snapshot.Gate, kind, names, found); err != nil {
			errs = append(errs, err)
			for _, name := range names { // half a count is none
				failed[name] = errors.Join(failed[name], err)
			}
		}
	}
	for name, result := range snapshot.Policies {
		if failed[name] == nil {
			errs = append(errs, a.write(ctx, name, result, found[name]))
		}
	}
	a.tell(ctx, failed)
	if err := errors.Join(errs...); err != nil {
		ctrl.LoggerFrom(ctx).Info("audit incomplete", "reason", err.Error())
	}
	return ctrl.Result{RequeueAfter: a.next(snapshot.Gate, began)}, nil
}

// next is the time until an audit can count something else than the one that began then, though no policy changes; 0 if
// there is none.
func (a *Auditor) next(gate *policies.Gate, began time.Time) time.Duration {
	expiry, found := gate.NextExpiry(began)
	if !found {
		return a.Interval
	}
	left := expiry.Sub(a.Now())
	if a.Interval > 0 {
		left = min(left, a.Interval)
	}
	return max(left, time.Millisecond) // it may have expired while objects were judged
}

// tell makes an event of every policy whose objects could not be counted, unless it was for the same reason the last time.
func (a *Auditor) tell(ctx context.Context, failed map[string]error) {
	told := map[string]string{}
	for name, err := range failed {
		told[name] = err.Error()
		var policy v1alpha1.GatePolicy
		if a.told[name] == told[name] || a.Client.Get(ctx, client.ObjectKey{Name: name}, &policy) != nil {
			continue
		}
		a.Events.Eventf(&policy, nil, "Warning", "AuditIncomplete", "Audit", "%s",
			truncate("the findings in what exists are not counted: "+told[name], maxEventMessage))
	}
	a.told = told
}

// auditedKinds are the kinds of policies that judge, with the policies' names.
func auditedKinds(snapshot *Snapshot) map[schema.GroupKind][]string {
	out := map[schema.GroupKind][]string{}
	for name, result := range snapshot.Policies {
		if !result.Interest.Judges {
			continue
		}
		for _, kind := range result.Interest.Kinds {
			out[kind] = append(out[kind], name)
		}
	}
	return out
}

// kind judges all objects of a kind.
func (a *Auditor) kind(ctx context.Context, gate *policies.Gate, kind schema.GroupKind, names []string, found map[string]*v1alpha1.AuditStatus) error {
	mapping, err := a.Mapper.RESTMapping(kind)
	if meta.IsNoMatchError(err) {
		return nil // what is not served has no objects
	}
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, there := found[name]; !there {
			found[name] = &v1alpha1.AuditStatus{}
		}
	}
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(mapping.GroupVersionKind.GroupVersion().WithKind(mapping.GroupVersionKind.Kind + "List"))
	for next := ""; ; {
		if err := a.Live.List(ctx, list, client.Limit(auditPage), client.Continue(next)); err != nil {
			if apierrors.IsForbidden(err) {
				err = fmt.Errorf("%w: give this right by a ClusterRole with the label %s: \"true\"", err, AggregationLabel)
			}
			return fmt.Errorf("list %s: %w", engine.FormatGroupKind(kind), err)
		}
		for i := range list.Items {
			if err := judgeExisting(ctx, gate, &list.Items[i], found); err != nil {
				return err
			}
		}
		if next = list.GetContinue(); next == "" {
			return nil
		}
	}
}

func judgeExisting(ctx context.Context, gate *policies.Gate, object *unstructured.Unstructured, found map[string]*v1alpha1.AuditStatus) error {
	document, err := engine.FromGo(object.Object)
	if err != nil {
		return err
	}
	request, err := policies.Compose(engine.Create, document, engine.Document{})
	if err != nil {
		return err
	}
	request.DryRun = true // nothing is about to be stored
	for _, f := range gate.Review(ctx, request).Findings {
		status := found[f.Policy]
		switch {
		case status == nil:
		case f.Excused != "":
			status.Excused++
		default:
			status.Findings++
			if len(status.Examples) < maxExamples {
				status.Examples = append(status.Examples, v1alpha1.AuditExample{Kind: engine.FormatGroupKind(request.Kind.GroupKind()),
					Namespace: object.GetNamespace(), Name: object.GetName(), Message: truncate(f.Message, maxExampleLen)})
			}
		}
	}
	return nil
}

// write notes a count, unless it is the one already noted. nil is none: the policy judges nothing that is served.
func (a *Auditor) write(ctx context.Context, name string, result PolicyResult, status *v1alpha1.AuditStatus) error {
	var policy v1alpha1.GatePolicy
	if err := a.Client.Get(ctx, client.ObjectKey{Name: name}, &policy); err != nil || policy.UID != result.UID {
		return client.IgnoreNotFound(err)
	}
	switch before := policy.Status.Audit; {
	case status == nil && before == nil:
		return nil
	case status != nil && before != nil:
		status.Time = before.Time
		if equality.Semantic.DeepEqual(before, status) {
			return nil
		}
	}
	if status != nil {
		status.Time = metav1.NewTime(a.Now())
	}
	patch := client.MergeFrom(policy.DeepCopy())
	policy.Status.Audit = status
	if err := a.Client.Status().Patch(ctx, &policy, patch); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("note the audit of policy %q: %w", name, err)
	}
	return nil
}
