package policies

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

// mirrorAnnotation is on the pods by which a kubelet shows what it runs from files. Of others that bear it kubelets run none.
const mirrorAnnotation = "kubernetes.io/config.mirror"

// windowRetry is when a pod that can't wait is worth another try: what is missing is generated within a second.
const windowRetry = time.Second

// Hold makes a new pod wait for what policies generate for its namespace, by a scheduling gate. The webhook is asked only
// about namespaces without the label that says that everything is there. A pod that has a node already can't wait: it is
// refused until then, with the advice to try again. Mirror pods pass.
func (g *Gate) Hold(ctx context.Context, r Request) Decision {
	if reason := g.exemption(r); reason != "" {
		return Decision{Judged: true, Exempt: reason}
	}
	d := Decision{Judged: true}
	if r.Kind.GroupKind() != podKind || r.Operation != engine.Create || isHeld(r.Object) ||
		r.Object.Get("metadata", "annotations", mirrorAnnotation).Exists() {
		return d
	}
	holder, err := g.awaited(ctx, r)
	switch {
	case err != nil:
		d.Findings = []Finding{g.holder().failure(r, err)}
	case holder == nil:
	case r.Object.Get("spec", "nodeName").Text() != "":
		d.RetryAfter = windowRetry
		d.Findings = []Finding{holder.guarded(engine.Finding{
			Message: fmt.Sprintf("what is generated for namespace %s is not there yet, and a pod that names its node can't wait for it", r.Namespace),
			Field:   "spec.nodeName", Fix: "try again in a moment, or leave spec.nodeName to the scheduler"})}
	default:
		d.Patches = gatePatches(holder, r.Object)
	}
	return d
}

// awaited is a policy that generates something for the pod's namespace, which isn't marked as having it; nil if there is none.
// The API server is asked for the namespace: the state may still have one of the same name that was deleted before.
func (g *Gate) awaited(ctx context.Context, r Request) (*policy, error) {
	if g.holder() == nil {
		return nil, nil
	}
	namespace := &namespaceLookup{source: g.live}
	home, err := namespace.get(ctx, r)
	if err != nil {
		return nil, err
	}
	if home.Get("metadata", "labels", v1alpha1.BaselineMark).Text() == v1alpha1.BaselineReady {
		return nil, nil // since the API server asked
	}
	trigger, err := Compose(engine.Create, home, engine.Document{})
	if err != nil {
		return nil, err
	}
	if g.exemption(trigger) != "" {
		return nil, nil
	}
	var first *policy
	for _, i := range g.byKind[namespaceKind] {
		p := &g.policies[i]
		if !p.holdsPods() || first != nil && first.name < p.name {
			continue
		}
		if matched, err := g.generatesFor(ctx, trigger, &namespaceLookup{}, p); matched || err != nil {
			first = p
		}
	}
	return first, nil
}

// isHeld tells whether a pod has Sluice's gate.
func isHeld(pod engine.Document) bool {
	return slices.ContainsFunc(pod.Get("spec", "schedulingGates").Elements(), func(gate engine.Document) bool {
		return gate.Get("name").Text() == v1alpha1.BaselineMark
	})
}

// gatePatches add Sluice's gate to a pod.
func gatePatches(p *policy, pod engine.Document) []Patch {
	gate, err := engine.FromGo([]any{map[string]any{"name": v1alpha1.BaselineMark}})
	if err != nil {
		panic(err) // of a constant
	}
	op := engine.Operation6902{Op: "add", Path: "/spec/schedulingGates", Value: gate}
	if pod.Get("spec", "schedulingGates").IsArray() {
		op.Path, op.Value = "/spec/schedulingGates/-", gate.Elements()[0]
	}
	return []Patch{{Policy: p.name, Operation6902: op}}
}
