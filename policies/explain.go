package policies

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

// Explanation is how one policy comes to what it says of one request. It holds no verdict: that is Review's,
// Mutate's and Generate's.
type Explanation struct {
	Policy PolicyInfo
	// Exempt is why no policy is asked; "" if policies are.
	Exempt string
	// Unmatched are the parts of the policy's match because of which it is not asked, each with what was wanted
	// and what was found. They begin with the part's name, such as "match.namespaces: ".
	Unmatched []string
	// Unasked are verbs that the policy states and is not asked for, each with the reason.
	Unasked []string
	// Unknown is what nobody can tell, such as the labels of a namespace; the policy can't be judged then.
	Unknown error
	Verbs   []engine.Explanation
}

// Explain explains a policy's verbs, as far as it states them, on a request that Review, Mutate or Generate would
// get. The error is for a policy that there isn't.
func (g *Gate) Explain(ctx context.Context, r Request, name string, verbs ...engine.Verb) (Explanation, error) {
	i := slices.IndexFunc(g.policies, func(p policy) bool { return p.name == name })
	if i < 0 {
		return Explanation{}, fmt.Errorf("there is no policy %q", name)
	}
	p := &g.policies[i]
	out := Explanation{Policy: PolicyInfo{p.name, p.rule, p.action, p.err}, Exempt: g.exemption(r)}
	if out.Exempt != "" {
		return out, nil
	}
	if out.Unmatched = p.match.unmatched(r); len(out.Unmatched) > 0 {
		return out, nil
	}
	namespace := &namespaceLookup{source: g.namespaces}
	matched, err := p.match.matchesNamespace(ctx, r, namespace)
	if err == nil && matched && p.rule.ReadsNamespace {
		_, err = namespace.get(ctx, r)
	}
	switch {
	case err != nil:
		out.Unknown = err
		return out, nil
	case !matched:
		out.Unmatched = []string{mismatch("match.namespaceSelector", p.match.namespaceSelector.String(), "labels "+labelText(namespace.object))}
		return out, nil
	}
	asked := slices.DeleteFunc(slices.Clone(verbs), func(v engine.Verb) bool {
		reason := p.unasked(r, v)
		if reason != "" {
			out.Unasked = append(out.Unasked, reason)
		}
		return reason != ""
	})
	input := g.input(r, namespace)
	input.Leaves = p.match.leaves(r)
	out.Verbs = g.program.Explain(ctx, input, i, asked...)
	return out, nil
}

// unasked is why a policy that matches is not asked for a verb that it states; "" if it is.
func (p *policy) unasked(r Request, verb engine.Verb) string {
	switch {
	case !p.rule.States(verb):
	case (verb == engine.Patch || verb == engine.Generate) && r.Operation == engine.Delete:
		return string(verb) + " is not asked on DELETE"
	case verb == engine.Patch && r.Operation == engine.Update && p.unchanged(r):
		return "patch is not asked: the update changes nothing that the rule judges"
	}
	return ""
}

// unmatched are the reasons for which matches is false; none if it is true.
func (m matcher) unmatched(r Request) []string {
	if m.matches(r) {
		return nil
	}
	kind := r.Kind.GroupKind()
	if !slices.Contains(m.kinds, kind) {
		wanted := make([]string, len(m.kinds))
		for i, k := range m.kinds {
			wanted[i] = engine.FormatGroupKind(k)
		}
		return []string{mismatch("kinds", strings.Join(wanted, ", "), engine.FormatGroupKind(kind))}
	}
	var out []string
	if !slices.Contains(m.operations, r.Operation) {
		wanted := make([]string, len(m.operations))
		for i, o := range m.operations {
			wanted[i] = string(o)
		}
		out = append(out, mismatch("operations", strings.Join(wanted, ", "), string(r.Operation)))
	}
	if r.SubResource != "" && !slices.Contains(m.subresources, r.SubResource) {
		out = append(out, mismatch("subresources", strings.Join(m.subresources, ", "), r.SubResource))
	}
	if !m.matchesNamespaceName(r) {
		out = append(out, m.unmatchedNamespace(r))
	}
	if !m.matchesLabels(r) {
		out = append(out, mismatch("match.objectSelector", m.objectSelector.String(), "labels "+labelText(r.Subject())))
	}
	if !m.concerns(r.Subject()) {
		out = append(out, mismatch("only", m.only, "neither hostNetwork nor a hostPort"))
	}
	if i := slices.IndexFunc(m.excludedSubjects, r.User.is); i >= 0 {
		s := m.excludedSubjects[i]
		out = append(out, fmt.Sprintf("match.excludedSubjects: the user %s is excluded by %s", r.User.Name, subjectText(s)))
	}
	return out
}

func (m matcher) unmatchedNamespace(r Request) string {
	namespace := r.Namespace
	if r.isNamespace() {
		namespace = r.Name
	}
	if i := slices.IndexFunc(m.excludedNamespaces, func(glob string) bool { return matchGlob(glob, namespace) }); i >= 0 {
		return fmt.Sprintf("match.excludedNamespaces: %s is excluded by %q", namespace, m.excludedNamespaces[i])
	}
	return mismatch("match.namespaces", strings.Join(m.namespaces, ", "), namespace)
}

func mismatch(part, wanted, found string) string {
	return fmt.Sprintf("%s: wants %s, found %s", part, wanted, found)
}

func labelText(object engine.Document) string {
	if set := objectLabels(object); len(set) > 0 {
		return labels.Set(set).String()
	}
	return "none"
}

func subjectText(s v1alpha1.Subject) string {
	if s.Namespace != "" {
		return s.Kind + " " + s.Namespace + "/" + s.Name
	}
	return s.Kind + " " + s.Name
}
