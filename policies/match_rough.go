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
	out.kinds, out.operations = roughKinds(m.Kinds, rule.Kinds), rule.Operations
	valid := func(text string) bool { return slices.Contains(rule.Operations, engine.Operation(text)) }
	if slices.ContainsFunc(m.Operations, valid) {
		out.operations = nil
		for _, text := range m.Operations {
			if valid(text) {
				out.operations = append(out.operations, engine.Operation(text))
			}
		}
	}
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
