package controllers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

// Compiler compiles all GatePolicies and GateExceptions when one of them changes and puts the result in use. It
// runs on every replica, off the path of reviews. A policy that doesn't compile stays in use as it was when
// it last did, after a restart too; without such a version its reviews are its error. It never stops others.
type Compiler struct {
	// Reader reads GatePolicies and GateExceptions.
	Reader client.Reader
	// Options are those of the gate; the policies, exceptions and the gate before are filled in.
	Options policies.Options
	// Watch makes the state follow the kinds that rules ask about, and no others.
	Watch func(kinds ...schema.GroupKind)
	// Use puts a gate in use.
	Use       func(*policies.Gate)
	Snapshots *Snapshots
	Metrics   *Metrics

	good map[types.UID]v1alpha1.LastGood // what compiled in this process
}

// everything is the one request of a controller that looks at all objects at once: many changes are one
// piece of work.
func everything() []reconcile.Request {
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Name: "all"}}}
}

func enqueueEverything() handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(context.Context, client.Object) []reconcile.Request { return everything() })
}

// atStart gives a controller its first work, even if there is no object.
func atStart() source.Source {
	return source.Func(func(_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		queue.Add(everything()[0])
		return nil
	})
}

// SetupWithManager registers the reconciler.
func (c *Compiler) SetupWithManager(m ctrl.Manager) error {
	c.good = map[types.UID]v1alpha1.LastGood{}
	ofSpec := builder.WithPredicates(predicate.Funcs{UpdateFunc: c.concerns})
	everyReplica := false
	return ctrl.NewControllerManagedBy(m).Named("compile").
		WithOptions(controller.Options{NeedLeaderElection: &everyReplica}).
		Watches(&v1alpha1.GatePolicy{}, enqueueEverything(), ofSpec).
		Watches(&v1alpha1.GateException{}, enqueueEverything(), ofSpec).
		WatchesRawSource(atStart()).
		Complete(c)
}

// concerns tells whether an update changes what is to be compiled: the spec; another object of the name, of which a watch
// that was interrupted tells as of an update; or a last good version, noted by the leader, that is newer than the one in use here.
func (c *Compiler) concerns(e event.UpdateEvent) bool {
	if e.ObjectOld.GetGeneration() != e.ObjectNew.GetGeneration() || e.ObjectOld.GetUID() != e.ObjectNew.GetUID() {
		return true
	}
	policy, is := e.ObjectNew.(*v1alpha1.GatePolicy)
	snapshot := c.Snapshots.Load()
	if !is || snapshot == nil || policy.Status.LastGood == nil {
		return false
	}
	result := snapshot.Policies[policy.Name]
	return result.Err != nil && result.UID == policy.UID &&
		(result.LastGood == nil && !result.Unrestorable || result.LastGood != nil && result.LastGood.Generation < policy.Status.LastGood.Generation)
}

// Reconcile compiles what there is now.
func (c *Compiler) Reconcile(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
	var all v1alpha1.GatePolicyList
	var exceptions v1alpha1.GateExceptionList
	if err := errors.Join(c.Reader.List(ctx, &all), c.Reader.List(ctx, &exceptions)); err != nil {
		return ctrl.Result{}, fmt.Errorf("list policies: %w", err)
	}
	started := time.Now()
	snapshot := c.compile(all.Items, exceptions.Items)
	// No rule asks for what nobody watches: neither before the gates change, nor after.
	kinds := snapshot.Gate.WatchedKinds()
	if before := c.Snapshots.Gate(); before != nil {
		c.Watch(append(before.WatchedKinds(), kinds...)...)
	} else {
		c.Watch(kinds...)
	}
	c.Use(snapshot.Gate)
	c.Metrics.observe(snapshot, c.Snapshots.Load(), time.Since(started))
	c.log(ctx, snapshot)
	c.Snapshots.store(snapshot)
	c.Watch(kinds...)
	return ctrl.Result{}, nil
}

// compile makes a gate of all policies. Those that don't compile are replaced by their last good version.
func (c *Compiler) compile(all []v1alpha1.GatePolicy, exceptions []v1alpha1.GateException) *Snapshot {
	o := c.Options
	o.Previous = c.Snapshots.Gate()
	o.Policies, o.Exceptions = all, exceptions
	gate, rejected := policies.Assemble(o)
	broken := brokenPolicies(rejected)
	snapshot := &Snapshot{Gate: gate, Policies: map[string]PolicyResult{}, Exceptions: map[string]ExceptionResult{}}
	good := map[types.UID]v1alpha1.LastGood{}
	o.Policies = make([]v1alpha1.GatePolicy, len(all))
	restored := false
	for i, p := range all {
		result := PolicyResult{UID: p.UID, Generation: p.Generation, Created: p.CreationTimestamp, Err: broken[p.Name]}
		if result.Err == nil {
			result.LastGood = &v1alpha1.LastGood{Generation: p.Generation, Spec: p.Spec}
		} else if last, ok := c.lastGood(&p); ok {
			result.LastGood, restored = &last, true
			p.Spec = last.Spec
		}
		o.Policies[i], snapshot.Policies[p.Name] = p, result
	}
	if restored {
		rejected = snapshot.restore(o, all)
	}
	for _, i := range snapshot.Gate.Interests() {
		result := snapshot.Policies[i.Policy]
		result.Interest = i
		if result.LastGood != nil {
			result.LastGood.Kinds, result.LastGood.Operations = judged(i)
			good[result.UID] = *result.LastGood
		}
		snapshot.Policies[i.Policy] = result
	}
	for _, e := range exceptions {
		snapshot.Exceptions[e.Name] = ExceptionResult{UID: e.UID, Generation: e.Generation}
	}
	for _, r := range rejected {
		if r.Kind == policies.ExceptionKind {
			result := snapshot.Exceptions[r.Name]
			result.Err, result.InForce = r.Err, r.InForce
			snapshot.Exceptions[r.Name] = result
		}
	}
	c.good = good
	snapshot.index()
	return snapshot
}

// judged is what a policy judges, as its status says it.
func judged(i policies.Interest) (kinds, operations []string) {
	for _, operation := range i.Operations {
		operations = append(operations, string(operation))
	}
	return kindNames(i.Kinds), operations
}

// restore makes the gate anew of o, in which bad policies are as they were when they last were good. Those that are bad as that
// too, such as by a rule that this Sluice no longer has, match what they themselves say.
func (s *Snapshot) restore(o policies.Options, all []v1alpha1.GatePolicy) (rejected []policies.Rejected) {
	if o.Previous == nil { // at start: what just compiled need not compile twice
		o.Previous = s.Gate
	}
	s.Gate, rejected = policies.Assemble(o)
	again := false
	for name, err := range brokenPolicies(rejected) {
		result := s.Policies[name]
		result.LastGood, result.Unrestorable = nil, true
		if result.Err == nil {
			result.Err = err
		}
		s.Policies[name], again = result, true
	}
	if !again {
		return rejected
	}
	for i, p := range all {
		if !s.Policies[p.Name].Unrestorable {
			continue
		}
		// What it judged is the least that it denies, if nothing else tells.
		if last := p.Status.LastGood; last != nil && len(p.Spec.Match.Kinds) == 0 {
			p.Spec.Match.Kinds = last.Kinds
			if len(p.Spec.Match.Operations) == 0 {
				p.Spec.Match.Operations = last.Operations
			}
		}
		o.Policies[i] = p
	}
	s.Gate, rejected = policies.Assemble(o)
	return rejected
}

// lastGood is the version of a policy that compiled last: in this process, or as the leader noted it, whichever is newer,
// so that replicas which saw different edits agree. A policy that was deleted and made anew has none.
func (c *Compiler) lastGood(p *v1alpha1.GatePolicy) (v1alpha1.LastGood, bool) {
	last, ok := c.good[p.UID]
	if noted := p.Status.LastGood; noted != nil && (!ok || noted.Generation > last.Generation) {
		return *noted, true
	}
	return last, ok
}

// brokenPolicies are the errors of rejected policies by name.
func brokenPolicies(rejected []policies.Rejected) map[string]error {
	out := map[string]error{}
	for _, r := range rejected {
		if r.Kind == policies.PolicyKind {
			out[r.Name] = errors.Join(out[r.Name], r.Err)
		}
	}
	return out
}

// log writes what is new, once.
func (c *Compiler) log(ctx context.Context, snapshot *Snapshot) {
	log := ctrl.LoggerFrom(ctx)
	before := c.Snapshots.Load()
	for name, result := range snapshot.Policies {
		if before != nil && before.Policies[name].UID == result.UID && before.Policies[name].Generation == result.Generation {
			continue
		}
		switch {
		case result.Err == nil:
			log.Info("policy compiled", "policy", name, "generation", result.Generation)
		case result.LastGood != nil:
			log.Error(result.Err, "policy does not compile, its last good version stays in use", "policy", name,
				"generation", result.Generation, "lastGood", result.LastGood.Generation)
		default:
			log.Error(result.Err, "policy does not compile and has no last good version", "policy", name, "generation", result.Generation)
		}
	}
}
