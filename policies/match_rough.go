package policies

import (
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

// roughMatcher is what can be made of the match of a policy that can't be evaluated. Invalid parts are as if they
// weren't there. Of a rule about which nothing is known rule names no kinds.
func roughMatcher(m v1alpha1.Match, rule *engine.Rule) matcher {
	out, _ := newMatcher(m, rule)
	out.kinds, out.operations = roughKinds(m.Kinds, rule.Kinds), roughOperations(m.Operations, rule.Operations)
	out.excludedSubjects = nil
	for _, s := range m.ExcludedSubjects {
		if checkSubject(s) == nil {
			out.excludedSubjects = append(out.excludedSubjects, s)
		}
	}
	return out
}

// roughKinds are the given kinds that are valid, and that the rule judges if it says what it judges; if there are
// none, all that the rule judges. Kinds that nothing may match are not among them.
func roughKinds(given []string, judged []schema.GroupKind) []schema.GroupKind {
	var out []schema.GroupKind
	for _, text := range given {
		kind, err := engine.ParseGroupKind(text)
		if err == nil && (len(judged) == 0 || slices.Contains(judged, kind)) && NeverMatchable(kind) == "" && !slices.Contains(out, kind) {
			out = append(out, kind)
		}
	}
	if len(out) > 0 {
		return out
	}
	return slices.DeleteFunc(slices.Clone(judged), func(kind schema.GroupKind) bool { return NeverMatchable(kind) != "" })
}

// roughOperations are the given operations that are valid, and that the rule is for if it says so; if there are none,
// all that the rule is for, or what rules are for by default.
func roughOperations(given []string, judged []engine.Operation) []engine.Operation {
	possible, fallback := judged, judged
	if len(judged) == 0 {
		possible, fallback = []engine.Operation{engine.Create, engine.Update, engine.Delete}, []engine.Operation{engine.Create, engine.Update}
	}
	var out []engine.Operation
	for _, op := range possible {
		if slices.Contains(given, string(op)) {
			out = append(out, op)
		}
	}
	if len(out) == 0 {
		return fallback
	}
	return out
}
