package controllers

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

// PolicyStatus writes the status of GatePolicies. It runs on the leader, and tells what holds there: other
// replicas show theirs in sluice_policy_active_generation and in readyz.
type PolicyStatus struct {
	Client        client.Client
	Mapper        meta.RESTMapper
	Snapshots     *Snapshots
	Interceptor   *Interceptor
	Rights        *Rights
	Configuration string
	// StateProblem is why the state of a kind can't be asked; nil if it can.
	StateProblem func(schema.GroupKind) error
	Events       events.EventRecorder
	Metrics      *Metrics
}

// When a policy that isn't ready for a reason outside of it is looked at again: its state is read within moments,
// the rest waits for a person.
const (
	notSyncedRetry = 300 * time.Millisecond
	notReadyRetry  = 5 * time.Second
)

// readyCheck is how often a policy that is ready, or that holds pods, is looked at again if it needs rights or state: nobody tells
// when a right is taken away, or a watch fails.
const readyCheck = 30 * time.Second

// SetupWithManager registers the reconciler.
func (s *PolicyStatus) SetupWithManager(m ctrl.Manager) error {
	all := handler.EnqueueRequestsFromMapFunc(s.all)
	return ctrl.NewControllerManagedBy(m).Named("policy-status").
		For(&v1alpha1.GatePolicy{}).
		Watches(&admissionv1.ValidatingWebhookConfiguration{}, all).
		Watches(&admissionv1.MutatingWebhookConfiguration{}, all).
		WatchesMetadata(crdMetadata(), all).
		WatchesRawSource(s.Snapshots.changes(all)).
		Complete(s)
}

func (s *PolicyStatus) all(context.Context, client.Object) []reconcile.Request {
	snapshot := s.Snapshots.Load()
	if snapshot == nil {
		return nil
	}
	out := make([]reconcile.Request, 0, len(snapshot.Policies))
	for name := range snapshot.Policies {
		out = append(out, reconcile.Request{NamespacedName: types.NamespacedName{Name: name}})
	}
	return out
}

// Reconcile writes what the newest snapshot says of one policy.
func (s *PolicyStatus) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	snapshot := s.Snapshots.Load()
	var policy v1alpha1.GatePolicy
	if err := s.Client.Get(ctx, request.NamespacedName, &policy); err != nil || snapshot == nil {
		if apierrors.IsNotFound(err) {
			s.Metrics.forgetReady(request.Name)
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	result, known := snapshot.Policies[policy.Name]
	if !known || result.UID != policy.UID || result.Generation != policy.Generation {
		return ctrl.Result{}, nil // a snapshot that knows this generation brings us back
	}
	before := policy.Status.DeepCopy()
	ready, err := s.ready(ctx, result)
	if err != nil {
		return ctrl.Result{}, err
	}
	s.Metrics.showReady(policy.Name, ready)
	policy.Status.ObservedGeneration = policy.Generation
	for _, condition := range []metav1.Condition{compiled(result), ready} {
		condition.ObservedGeneration = policy.Generation
		meta.SetStatusCondition(&policy.Status.Conditions, condition)
	}
	if result.LastGood != nil {
		policy.Status.LastGood = result.LastGood
	}
	if rule := result.Interest.Rule; rule != "" {
		policy.Status.Rule = rule
	}
	if !equality.Semantic.DeepEqual(before, &policy.Status) {
		if stored, again, err := updateStatus(ctx, s.Client, &policy); !stored {
			return again, err
		}
		s.announce(&policy, before)
	}
	switch {
	case ready.Reason == v1alpha1.ReasonStateNotSynced:
		return ctrl.Result{RequeueAfter: notSyncedRetry}, nil
	case ready.Status != metav1.ConditionTrue && result.Err == nil:
		return ctrl.Result{RequeueAfter: notReadyRetry}, nil
	case len(result.Interest.State)+len(result.Interest.Generates) > 0:
		return ctrl.Result{RequeueAfter: readyCheck}, nil
	}
	return ctrl.Result{}, nil
}

// announce makes an event of a policy that stops or starts to be ready.
func (s *PolicyStatus) announce(policy *v1alpha1.GatePolicy, before *v1alpha1.GatePolicyStatus) {
	now := meta.FindStatusCondition(policy.Status.Conditions, v1alpha1.ConditionReady)
	last := meta.FindStatusCondition(before.Conditions, v1alpha1.ConditionReady)
	starting := now.Reason == v1alpha1.ReasonStateNotSynced || now.Reason == v1alpha1.ReasonNotIntercepted
	if last == nil && starting || last != nil && last.Status == now.Status && last.Reason == now.Reason {
		return
	}
	kind := "Normal"
	if now.Status != metav1.ConditionTrue {
		kind = "Warning"
	}
	s.Events.Eventf(policy, nil, kind, now.Reason, "Compile", "%s", truncate(now.Message, maxEventMessage))
}

// Bounds of texts in the cluster: an event's note and a condition's message.
const (
	maxEventMessage     = 1000  // bytes, of 1,024
	maxConditionMessage = 16000 // bytes, of 32,768
)

func truncate(text string, most int) string {
	if len(text) <= most {
		return text
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}

func compiled(result PolicyResult) metav1.Condition {
	if result.Err != nil {
		return metav1.Condition{Type: v1alpha1.ConditionCompiled, Status: metav1.ConditionFalse,
			Reason: v1alpha1.ReasonNotCompiled, Message: truncate(engine.Detail(result.Err), maxConditionMessage)}
	}
	return metav1.Condition{Type: v1alpha1.ConditionCompiled, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonCompiled,
		Message: fmt.Sprintf("generation %d compiles", result.Generation)}
}

// ready says whether this generation judges what it matches, and if not, the first reason why.
func (s *PolicyStatus) ready(ctx context.Context, result PolicyResult) (metav1.Condition, error) {
	not := func(reason, format string, args ...any) (metav1.Condition, error) {
		return metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: reason,
			Message: truncate(fmt.Sprintf(format, args...), maxConditionMessage)}, nil
	}
	switch {
	case result.Err != nil && result.LastGood != nil:
		return not(v1alpha1.ReasonLastGoodActive, "generation %d does not compile; generation %d stays in use", result.Generation, result.LastGood.Generation)
	case result.Err != nil:
		return not(v1alpha1.ReasonNotCompiled, "%s", engine.Detail(result.Err))
	}
	i := result.Interest
	for _, kind := range append(append(i.Kinds[:len(i.Kinds):len(i.Kinds)], i.State...), i.Generates...) {
		_, err := s.Mapper.RESTMapping(kind)
		if err != nil && !meta.IsNoMatchError(err) {
			return metav1.Condition{}, fmt.Errorf("ask whether the API server serves %s: %w", engine.FormatGroupKind(kind), err)
		}
		if err != nil {
			return not(v1alpha1.ReasonKindNotServed, "%s: the API server does not serve this kind (a CustomResourceDefinition may be missing)",
				engine.FormatGroupKind(kind))
		}
	}
	missing, err := s.Rights.Missing(ctx, i)
	if err != nil {
		return metav1.Condition{}, err
	}
	if missing != "" {
		return not(v1alpha1.ReasonMissingRights, "Sluice may not %s: give these rights by a ClusterRole with the label %s: \"true\"", missing, AggregationLabel)
	}
	asked := i.State
	if len(i.Generates) > 0 {
		asked = append(append(i.State[:len(i.State):len(i.State)], i.Kinds...), i.Generates...)
	}
	for _, kind := range asked {
		if err := s.StateProblem(kind); err != nil {
			return not(v1alpha1.ReasonStateNotSynced, "%v", err)
		}
	}
	if problem, err := s.notIntercepted(ctx, i); err != nil || problem != "" {
		if err != nil {
			return metav1.Condition{}, err
		}
		return not(v1alpha1.ReasonNotIntercepted, "%s", problem)
	}
	return metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonActive, Message: describeInterest(i)}, nil
}

// notIntercepted says why the API server doesn't send a policy's kinds to Sluice; "" if it does.
func (s *PolicyStatus) notIntercepted(ctx context.Context, i policies.Interest) (string, error) {
	wanted, _, err := rulesFor([]policies.Interest{i}, s.Mapper)
	if err != nil {
		return "", err
	}
	_, present, err := configurations(ctx, s.Client, s.Configuration)
	if err != nil {
		return "", err
	}
	for h, rules := range wanted {
		for _, rule := range rules {
			if covers(present[h], rule) || covers(present[h.wider()], rule) {
				continue
			}
			reason := fmt.Sprintf("the entry %s of the webhook configuration %s does not send %s to Sluice",
				h.name(), s.Configuration, strings.Join(rule.Resources, ", "))
			if present[h] == nil {
				reason = fmt.Sprintf("there is no entry %s in a webhook configuration %s", h.name(), s.Configuration)
			}
			if problem := s.Interceptor.Problem(); problem != "" {
				reason += ": " + problem
			}
			return reason, nil
		}
	}
	return "", nil
}

// describeInterest says what a policy does, such as "judges CREATE, UPDATE of Service".
func describeInterest(i policies.Interest) string {
	if i.Silent {
		return "says nothing with these parameters: what the rule has to be told is in its documentation (sluice rules " + i.Rule + ")"
	}
	var does []string
	if i.Judges {
		does = append(does, "judges")
	}
	if i.Patches {
		does = append(does, "patches")
	}
	if len(i.Generates) > 0 {
		does = append(does, "generates "+strings.Join(kindNames(i.Generates), ", ")+" on")
	}
	kinds, operations := judged(i)
	return truncate(fmt.Sprintf("%s %s of %s", strings.Join(does, " and "), strings.Join(operations, ", "), strings.Join(kinds, ", ")), maxConditionMessage)
}

func kindNames(kinds []schema.GroupKind) []string {
	names := make([]string, len(kinds))
	for n, kind := range kinds {
		names[n] = engine.FormatGroupKind(kind)
	}
	return names
}
