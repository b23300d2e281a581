package policies

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

var podKind = schema.GroupKind{Kind: "Pod"}

// Guard refuses what only Sluice may do while a policy generates: to change or delete what it generated, to set the label
// by which a namespace's pods need not wait, and to take the gate from a pod that waits. Whoever asks, this passes where the
// namespace, or whatever the object was generated for, is being deleted, and for members of the break-glass groups, whom a warning tells of it.
func (g *Gate) Guard(ctx context.Context, r Request) Decision {
	if g.isSelf(r.User) {
		return Decision{Judged: true, Exempt: ownRequest}
	}
	var found *Finding
	switch {
	case r.isNamespace():
		found = g.guardMark(r)
	case r.Kind.GroupKind() == podKind:
		found = g.guardPod(r)
	default:
		found = g.guardGenerated(r)
	}
	if found == nil {
		return Decision{Judged: true}
	}
	d := Decision{Judged: true, Findings: []Finding{*found}}
	if r.OldObject.Exists() { // a label that the request itself adds excuses nothing
		g.excuse(ctx, r.WithObject(r.OldObject), &namespaceLookup{source: g.namespaces}, d.Findings)
	}
	if d.Allowed() {
		return d
	}
	switch ending, err := g.isEnding(ctx, r); {
	case ending:
		return Decision{Judged: true}
	case slices.ContainsFunc(g.breakGlass, func(group string) bool { return slices.Contains(r.User.Groups, group) }):
		d.BreakGlass = true
		d.Findings[0].Effect, d.Findings[0].Fix = EffectWarn, ""
		d.Findings[0].Message += "; admitted by break-glass, and put back at once where the policy still asks for it"
	case err != nil:
		d.Findings[0].Failed, d.Findings[0].Message = true, "could not judge: "+err.Error()
	}
	return d
}

// ownRequest is why nothing is judged that Sluice does itself.
const ownRequest = "it is Sluice's own request"

func (g *Gate) isSelf(user User) bool { return g.self != "" && user.Name == g.self }

// isEnding tells whether what the request's object is for comes to its end: then everything goes with it, whoever deletes it. Of a
// namespace the API server is asked: the state may still have one of the same name that was deleted before.
func (g *Gate) isEnding(ctx context.Context, r Request) (bool, error) {
	if r.isNamespace() {
		return r.OldObject.Get("metadata", "deletionTimestamp").Exists(), nil
	}
	kind, namespace, name := namespaceKind, "", r.Namespace
	if trigger, ok := ParseTrigger(r.OldObject.Get("metadata", "annotations", v1alpha1.TriggerAnnotation).Text()); ok {
		kind, namespace, name = trigger.Kind, trigger.Namespace, trigger.Name
	}
	switch {
	case name == "":
		return false, nil
	case kind != namespaceKind && g.state != nil:
		trigger, found, err := g.state.Get(kind, namespace, name)
		if err != nil || !found || trigger.Get("metadata", "deletionTimestamp").Exists() {
			return err == nil, err
		}
		name = r.Namespace
	}
	if name == "" || g.live == nil {
		return false, nil
	}
	home, err := g.live.Namespace(ctx, name)
	if apierrors.IsNotFound(err) {
		return true, nil
	}
	return home.Get("metadata", "deletionTimestamp").Exists(), err
}

// keeper is the policy of a name that keeps what it generates, or nil.
func (g *Gate) keeper(name string) *policy {
	for i := range g.policies {
		if p := &g.policies[i]; p.name == name && p.keeps() {
			return p
		}
	}
	return nil
}

// holder is the first policy that holds pods, or nil.
func (g *Gate) holder() *policy {
	var first *policy
	for i := range g.policies {
		if p := &g.policies[i]; p.holdsPods() && (first == nil || p.name < first.name) {
			first = p
		}
	}
	return first
}

// guardGenerated is about objects that bear the label of generated ones, or come to bear it.
func (g *Gate) guardGenerated(r Request) *Finding {
	before, after := r.OldObject.Get("metadata", "labels", v1alpha1.GeneratedByLabel).Text(), r.Object.Get("metadata", "labels", v1alpha1.GeneratedByLabel).Text()
	if p := g.keeper(before); before != "" && p != nil {
		field := changedField(r)
		if field == "" {
			return nil
		}
		done, fix := "changed", "NetworkPolicies add up: allow what you need in one of your own beside it"
		if r.Operation == engine.Delete {
			done, field = "deleted", ""
		}
		if r.Kind.GroupKind() != networkPolicyKind {
			fix = "change the GatePolicy " + p.name
		}
		f := p.guarded(engine.Finding{Message: fmt.Sprintf("%s is generated and can't be %s", r.describe(), done), Field: field, Fix: fix + g.breakGlassHint()})
		return &f
	}
	if p := g.keeper(after); after != "" && after != before && p != nil {
		f := p.guarded(engine.Finding{Message: fmt.Sprintf("%s is not generated, and the label %s would say that it is", r.describe(), v1alpha1.GeneratedByLabel),
			Field: "metadata.labels", Fix: "leave the label out"})
		return &f
	}
	return nil
}

// guardMark is about the label that says that a namespace's pods need not wait.
func (g *Gate) guardMark(r Request) *Finding {
	mark := func(object engine.Document) string {
		return object.Get("metadata", "labels", v1alpha1.BaselineMark).Text()
	}
	p := g.holder()
	if p == nil || r.Operation == engine.Delete || mark(r.Object) == mark(r.OldObject) {
		return nil
	}
	f := p.guarded(engine.Finding{Message: fmt.Sprintf("the label %s says that what is generated for %s is there, and only Sluice sets it", v1alpha1.BaselineMark, r.describe()),
		Field: "metadata.labels", Fix: "leave the label as it is" + g.breakGlassHint()})
	return &f
}

// guardPod is about the gate of pods that wait.
func (g *Gate) guardPod(r Request) *Finding {
	p := g.holder()
	if p == nil || r.Operation != engine.Update || !isHeld(r.OldObject) || isHeld(r.Object) || r.OldObject.Get("metadata", "deletionTimestamp").Exists() {
		return nil
	}
	f := p.guarded(engine.Finding{Message: fmt.Sprintf("%s waits for what is generated for namespace %s, and only Sluice takes its gate %s", r.describe(), r.Namespace, v1alpha1.BaselineMark),
		Field: "spec.schedulingGates", Fix: "leave the gate: it is taken as soon as the namespace is ready, and the status of the GatePolicy " + p.name + " says what is missing" + g.breakGlassHint()})
	return &f
}

// guarded is a finding that never ratchets.
func (p *policy) guarded(from engine.Finding) Finding {
	f := Finding{Policy: p.name, Rule: p.rule.ID, Severity: p.rule.Severity, Effect: EffectDeny, Message: from.Message, Field: from.Field, Fix: from.Fix}
	if p.message != "" {
		f.Message += " (" + p.message + ")"
	}
	return f
}

func (g *Gate) breakGlassHint() string {
	if len(g.breakGlass) == 0 {
		return ""
	}
	return ", or do it as a member of " + strings.Join(g.breakGlass, " or ")
}

// describe names the request's object, such as NetworkPolicy shop/web.
func (r Request) describe() string {
	name := cmp.Or(r.Name, r.Subject().Get("metadata", "name").Text()) // who deletes a collection names nothing
	if name == "" {
		name = r.Subject().Get("metadata", "generateName").Text() + "…"
	}
	if r.Namespace != "" && !r.isNamespace() {
		name = r.Namespace + "/" + name
	}
	return r.Kind.Kind + " " + name
}

// changedField is where an update changes an object beyond its status and what the API server keeps in metadata; "" if it
// doesn't. In an object that is being deleted finalizers and owners may change: it has to come to an end. A deletion changes
// everything.
func changedField(r Request) string {
	if r.Operation == engine.Delete {
		return "metadata"
	}
	before, after := map[string]any{}, map[string]any{}
	if r.OldObject.Decode(&before) != nil || r.Object.Decode(&after) != nil {
		return "metadata"
	}
	metadata := []string{"labels", "annotations"}
	if !r.OldObject.Get("metadata", "deletionTimestamp").Exists() {
		metadata = append(metadata, "finalizers", "ownerReferences")
	}
	old, _ := before["metadata"].(map[string]any)
	now, _ := after["metadata"].(map[string]any)
	for _, field := range metadata {
		if !sameField(old[field], now[field]) {
			return "metadata." + field
		}
	}
	for _, field := range []string{"metadata", "status", "apiVersion", "kind"} {
		delete(before, field)
		delete(after, field)
	}
	for _, field := range slices.Sorted(maps.Keys(both(before, after))) {
		if !sameField(before[field], after[field]) {
			return field
		}
	}
	return ""
}

// sameField compares values; one that is absent is as an empty one.
func sameField(a, b any) bool {
	return isEmpty(a) && isEmpty(b) || reflect.DeepEqual(a, b)
}

func isEmpty(x any) bool {
	switch value := x.(type) {
	case nil:
		return true
	case map[string]any:
		return len(value) == 0
	case []any:
		return len(value) == 0
	}
	return false
}

func both(a, b map[string]any) map[string]any {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}
