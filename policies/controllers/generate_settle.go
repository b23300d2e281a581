package controllers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

// generation is the work on one trigger.
type generation struct {
	*Generator
	snapshot *Snapshot
	trigger  objectKey
	object   engine.Document
	held     bool          // the trigger is a namespace whose pods have to wait
	unknown  bool          // nobody can tell whether they have to
	holders  []string      // the policies for which they do, if so
	seen     []objectKey   // what exists as the state has it
	again    time.Duration // when to look again at what is not done, 0 for never
	errs     []error
}

func (w *generation) failed(err error) {
	if err != nil {
		w.errs = append(w.errs, err)
	}
}

// settle does what one policy asks for, and notes what came of it.
func (w *generation) settle(ctx context.Context, asked policies.Generation) {
	result, known := w.snapshot.Policies[asked.Policy]
	if !known {
		return
	}
	holdings, err := w.inventory(ctx, asked.Policy, result)
	unread := err != nil
	out := outcome{generation: result.activeGeneration()}
	switch {
	case asked.Err == nil && (!asked.Matched || len(asked.Objects) == 0): // to ask for nothing is not to be for it
		if err == nil {
			err = w.unmatched(ctx, asked, holdings)
		} else if asked.Keep.OnUnmatch != v1alpha1.Remove {
			err = nil // there is nothing to do
		}
		w.failed(err)
		w.note(asked.Policy, outcome{})
		return
	case unread:
	case asked.Older && len(holdings.of(w.trigger)) == 0:
		out.state = olderState
	case asked.Err != nil:
		err = asked.Err
	case !asked.Writes:
		out.state, out.message = w.compare(asked, result)
	default:
		if err = w.keep(ctx, asked, result, holdings); err == nil {
			out.state = satisfiedState
		}
	}
	if pending := new(pendingError); errors.As(err, &pending) {
		out.state, out.message, err = pendingState, err.Error(), nil
		w.wait(pending.retry)
		unread = unread || pending.unknown
	}
	if err != nil {
		out.state, out.message = failedState, err.Error()
		w.failed(fmt.Errorf("policy %q for %s: %w", asked.Policy, w.trigger, err))
		w.Metrics.failures.WithLabelValues(asked.Policy).Inc()
	}
	if asked.Writes && asked.Keep.HoldPods {
		w.holders = append(w.holders, asked.Policy)
		w.unknown = w.unknown || unread
		w.held = w.held || !unread && (out.state == failedState || out.state == pendingState)
	}
	w.note(asked.Policy, out)
}

// note keeps what came of a policy's turn, and tells of what is new.
func (w *generation) note(policy string, out outcome) {
	if w.ledger.note(policy, w.trigger, out) {
		w.Status.touch(policy)
		w.tell(policy, out)
	}
}

func (w *generation) wait(retry time.Duration) {
	if retry > 0 && (w.again == 0 || retry < w.again) {
		w.again = retry
	}
}

// tell makes an event of what failed, once for each reason.
func (w *generation) tell(policy string, out outcome) {
	if out.state == failedState {
		w.Events.Eventf(referenceTo(w.object), nil, "Warning", "GenerateFailed", "Generate", "policy %s: %s",
			policy, truncate(out.message, maxEventMessage-len(policy)-10))
	}
}

// compare says what a policy that only reports would do.
func (w *generation) compare(asked policies.Generation, result PolicyResult) (string, string) {
	for _, document := range asked.Objects {
		object, key, err := w.prepare(document, asked, result)
		if err != nil {
			return failedState, err.Error()
		}
		want, err := contentOf(object.Object)
		if err != nil {
			return failedState, err.Error()
		}
		live, found, err := w.known(key)
		if err != nil {
			return failedState, err.Error()
		}
		if !found || !w.isAccepted(want, live.Object) {
			return pendingState, "would generate " + object.GetKind() + " " + object.GetName()
		}
	}
	return satisfiedState, ""
}
