package policies

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

// VetPolicy tells what is wrong with a policy that is about to join or replace one of o.Policies: whatever would keep it
// from compiling among them, and patches that are bound to collide with those of another.
func VetPolicy(ctx context.Context, o Options, candidate v1alpha1.GatePolicy) error {
	o.Policies = slices.DeleteFunc(slices.Clone(o.Policies), func(p v1alpha1.GatePolicy) bool { return p.Name == candidate.Name })
	o.Policies, o.trial = append(o.Policies, candidate), true
	gate, rejected := Assemble(o)
	if err := rejectionOf(rejected, PolicyKind, candidate.Name); err != nil {
		return err
	}
	var errs []error
	for _, collision := range gate.Collisions(ctx) {
		switch candidate.Name {
		case collision.Policy:
			errs = append(errs, collision)
		case collision.Other:
			errs = append(errs, &Collision{Policy: collision.Other, Other: collision.Policy, Path: collision.Path,
				Value: collision.OtherValue, OtherValue: collision.Value})
		}
	}
	return errors.Join(errs...)
}

// VetException tells what is wrong with an exception among o.Policies. One that has expired is valid: it excuses nothing,
// which the warning says. So is one that objects can come under by a label, and one about kinds that its policies don't judge.
func VetException(o Options, candidate v1alpha1.GateException) (warning string, err error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Exceptions, o.trial = []v1alpha1.GateException{candidate}, true
	gate, rejected := Assemble(o)
	if err := rejectionOf(rejected, ExceptionKind, candidate.Name); err != nil {
		return "", err
	}
	if expires := candidate.Spec.Expires.Time; !o.Now().Before(expires) {
		return fmt.Sprintf("spec.expires: %s has passed: the exception excuses nothing", expires.UTC().Format(time.RFC3339)), nil
	}
	if m := candidate.Spec.Match; len(m.Names) == 0 && len(m.Namespaces) == 0 && m.NamespaceSelector == nil {
		return "spec.match: whoever may label an object can excuse it: add names, namespaces or a namespaceSelector", nil
	}
	return gate.idleKinds(candidate.Spec), nil
}

// idleKinds says which kind of an exception none of its policies judges; "" if there is none, or a policy among them does not
// say which kinds it judges.
func (g *Gate) idleKinds(spec v1alpha1.GateExceptionSpec) string {
	var judged []string
	for _, p := range g.policies {
		if !slices.Contains(spec.Policies, p.name) {
			continue
		}
		if len(p.match.kinds) == 0 {
			return ""
		}
		for _, kind := range p.match.asked() {
			judged = append(judged, engine.FormatGroupKind(kind))
		}
	}
	slices.Sort(judged)
	judged = slices.Compact(judged)
	for i, kind := range spec.Match.Kinds {
		if !slices.Contains(judged, kind) {
			return fmt.Sprintf("spec.match.kinds[%d]: %s is judged by none of spec.policies, which judge %s: the exception excuses nothing of this kind",
				i, kind, strings.Join(judged, ", "))
		}
	}
	return ""
}

func rejectionOf(rejected []Rejected, kind, name string) error {
	var errs []error
	for _, r := range rejected {
		if r.Kind == kind && r.Name == name {
			errs = append(errs, r.Err)
		}
	}
	return errors.Join(errs...)
}
