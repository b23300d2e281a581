package controllers

import (
	"context"
	"errors"
	"time"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/sluice-gate/sluice/policies/state"
)

// follow looks at everything at the start, after each change of the policies, when an exception expires, and when the state says
// so. When everything was looked at, what is left over goes.
func (g *Generator) follow(ctx context.Context, log logr.Logger) {
	changed := g.Snapshots.listen()
	whole, look := false, true
	var looked time.Time
	for {
		if look {
			looked = g.Now()
			g.forgetPolicies()
			err := g.all()
			if whole = err == nil; !whole && !errors.Is(err, state.ErrNotSynced) { // when it is, Told brings us back
				log.Error(err, "list what policies generate for")
			}
		}
		if whole {
			g.pass(ctx, log)
		}
		expiry, stop := g.nextExpiry(looked)
		look = true
		select {
		case <-ctx.Done():
			stop()
			return
		case <-changed:
		case <-g.relook:
		case <-expiry:
		case <-g.ended:
			look = false
		}
		stop()
	}
}

// nextExpiry gets one when the first exception that excused at some time ceases to, which may be past.
func (g *Generator) nextExpiry(looked time.Time) (expiry <-chan time.Time, stop func()) {
	gate := g.Snapshots.Gate()
	if gate == nil {
		return nil, func() {}
	}
	at, some := gate.NextExpiry(looked)
	if !some {
		return nil, func() {}
	}
	timer := time.NewTimer(at.Sub(g.Now()) + time.Millisecond)
	return timer.C, func() { timer.Stop() }
}

// pass notes that everything was looked at, if it was, and removes what nothing asks for.
func (g *Generator) pass(ctx context.Context, log logr.Logger) {
	snapshot := g.Snapshots.Load()
	if snapshot == nil {
		return
	}
	versions := map[string]policyVersion{}
	for name, result := range snapshot.Policies {
		if len(result.Interest.Generates) > 0 {
			versions[name] = result.version()
		}
	}
	left, done := g.ledger.pass(versions)
	if !done {
		return
	}
	for name := range versions {
		g.Status.touch(name)
	}
	for name, objects := range left {
		if !snapshot.Policies[name].Interest.Keeps {
			continue
		}
		for _, object := range objects {
			if err := g.remove(ctrl.LoggerInto(ctx, log), g.ledger.holdingsOf(name), unattributed, object, "the policy no longer asks for it"); err != nil {
				log.Error(err, "remove what is left over", "policy", name)
			}
		}
	}
}

// forgetPolicies drops what is known of policies that are gone, or generate nothing any more: others may have their objects.
func (g *Generator) forgetPolicies() {
	snapshot := g.Snapshots.Load()
	if snapshot == nil {
		return
	}
	for _, name := range g.ledger.policies() {
		if len(snapshot.Policies[name].Interest.Generates) == 0 {
			g.ledger.forgetPolicy(name)
			g.Metrics.triggers.DeletePartialMatch(map[string]string{"policy": name})
			g.Status.touch(name)
		}
	}
}

// wake puts one into a channel that has none.
func wake(channel chan struct{}) {
	select {
	case channel <- struct{}{}:
	default:
	}
}

// all looks at everything that policies generate for, after what people wait for.
func (g *Generator) all() error {
	snapshot := g.Snapshots.Load()
	if snapshot == nil {
		return nil
	}
	var errs []error
	var triggers []objectKey
	for kind := range snapshot.triggers {
		objects, err := g.Known.List(kind, "")
		errs = append(errs, err)
		for _, object := range objects {
			metadata := object.Get("metadata")
			triggers = append(triggers, objectKey{kind, metadata.Get("namespace").Text(), metadata.Get("name").Text()})
		}
	}
	g.ledger.begin(triggers)
	for _, trigger := range triggers {
		g.queue.addLate(trigger)
	}
	return errors.Join(errs...)
}
