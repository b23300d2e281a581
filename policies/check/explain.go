package check

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/manifest"
	"github.com/sluice-gate/sluice/policies/report"
)

// Explained is how one policy judged one object, and what it said.
type Explained struct {
	policies.Explanation
	Object    *manifest.Object // nil if no input could be read
	Namespace string           // of the object; empty for cluster-scoped kinds
	Operation engine.Operation
	Findings  []policies.Finding // of the policy
	// Report has the policy's results and patches for the object, and whatever could not be judged.
	Report report.Report
}

// Explain judges as Run does, and explains one policy on one of the objects. selector is kind/name or
// kind/namespace/name, or empty if there is only one object that the policy could judge. The error is for
// policies that don't compile, a policy that there isn't, and a selector that doesn't choose one object.
func Explain(ctx context.Context, o Options, policy, selector string) (Explained, error) {
	s, err := newSession(o)
	if err != nil {
		return Explained{}, err
	}
	at := slices.IndexFunc(s.gate.Policies(), func(p policies.PolicyInfo) bool { return p.Name == policy })
	if at < 0 {
		return Explained{}, unknownPolicy(policy, s.gate.Policies())
	}
	inputs := readInputs(o.Paths, o.Stdin)
	var out Explained
	chosen, err := s.choose(inputs, s.gate.Policies()[at].Rule.Kinds, selector)
	if err != nil {
		for _, in := range inputs {
			s.fileProblems(in.file)
		}
		if inputs.objects() == 0 && s.report.Summary.Errors > 0 {
			out.Report = s.finish()
			return out, nil
		}
		return out, err
	}
	err = s.each(ctx, inputs, func(object *manifest.Object) {
		if object == chosen {
			out = s.explain(ctx, object, policy)
			s.watched = object
		}
		s.judge(ctx, object)
	})
	if err != nil {
		return Explained{}, fmt.Errorf("explain %w", err)
	}
	for _, f := range s.seen {
		if f.Policy == policy {
			out.Findings = append(out.Findings, f)
		}
	}
	out.Report = only(s.finish(), chosen, policy)
	if out.Operation != "" && out.Exempt == "" && len(out.Unmatched) == 0 {
		out.Report.Summary.Objects = 1
	}
	return out, nil
}

func unknownPolicy(name string, all []policies.PolicyInfo) error {
	names := make([]string, len(all))
	for i, p := range all {
		names[i] = p.Name
	}
	return fmt.Errorf("there is no policy %q; the policies are %s", name, strings.Join(names, ", "))
}

// explain follows an object on the way that judge takes, and leaves no trace in the session.
func (s *session) explain(ctx context.Context, object *manifest.Object, policy string) Explained {
	out := Explained{Object: object}
	quiet := *s
	quiet.report = report.Report{}
	request := policies.Request{Kind: groupKind(object).WithVersion("")}
	document, namespace, decoded := quiet.decode(object)
	if decoded {
		composed, err := s.compose(document)
		if err != nil {
			return out // judge says so
		}
		request, out.Namespace, out.Operation = composed, namespace, composed.Operation
	} else if quiet.report.Summary.Errors > 0 {
		return out // the same
	}
	patched, err := request.Patched(s.gate.Mutate(ctx, request).Patches)
	if err != nil {
		return out
	}
	for _, part := range []struct {
		request policies.Request
		verbs   []engine.Verb
	}{{request, []engine.Verb{engine.Patch}}, {patched, []engine.Verb{engine.Deny, engine.Warn, engine.Generate}}} {
		e, err := s.gate.Explain(ctx, part.request, policy, part.verbs...)
		if err != nil {
			return out
		}
		e.Verbs, e.Unasked = append(out.Verbs, e.Verbs...), append(out.Unasked, e.Unasked...)
		out.Explanation = e
	}
	first := groupKind(object) == namespaceKind && out.Operation == engine.Create && !s.begun[object.Name]
	if out.Policy.Rule.States(engine.Generate) && !first {
		out.Unasked = append(out.Unasked, "generate is not asked: check generates only for Namespaces that are created, and once for each")
		out.Verbs = slices.DeleteFunc(out.Verbs, func(v engine.Explanation) bool { return v.Verb == engine.Generate })
	}
	return out
}

// choose finds the object to explain.
func (s *session) choose(inputs inputs, kinds []schema.GroupKind, selector string) (*manifest.Object, error) {
	var all []*manifest.Object
	for _, in := range inputs {
		all = append(all, in.file.Objects...)
	}
	candidates := all
	if selector != "" {
		want, err := s.parseSelector(selector)
		if err != nil {
			return nil, err
		}
		candidates = slices.DeleteFunc(slices.Clone(all), func(o *manifest.Object) bool { return !want(o) })
	} else if judged := slices.DeleteFunc(slices.Clone(all), func(o *manifest.Object) bool { return !slices.Contains(kinds, groupKind(o)) }); len(judged) > 0 {
		candidates = judged
	}
	switch {
	case len(candidates) == 1:
		return candidates[0], nil
	case len(candidates) == 0 && selector != "":
		return nil, fmt.Errorf("--object %s chooses none of %d objects%s", selector, len(all), suggest(all))
	case len(candidates) == 0:
		return nil, errors.New("nothing to explain: the input holds no object")
	case selector != "":
		return nil, fmt.Errorf("--object %s chooses %d objects, expected one%s", selector, len(candidates), suggest(candidates))
	}
	return nil, fmt.Errorf("%d objects to explain, expected one; choose it with --object%s", len(candidates), suggest(candidates))
}

// maxSuggested bounds a list of objects to choose from.
const maxSuggested = 10

func suggest(objects []*manifest.Object) string {
	var out strings.Builder
	for i, o := range objects {
		if i == maxSuggested {
			fmt.Fprintf(&out, "\n\tand %d more", len(objects)-i)
			break
		}
		fmt.Fprintf(&out, "\n\t--object %s (%s:%d)", selectorOf(o), o.File, o.Line)
	}
	return out.String()
}

func selectorOf(o *manifest.Object) string {
	if o.Namespace == "" {
		return o.Kind + "/" + o.Name
	}
	return o.Kind + "/" + o.Namespace + "/" + o.Name
}

// parseSelector reads kind/name and kind/namespace/name. The case of the kind doesn't matter.
func (s *session) parseSelector(text string) (func(*manifest.Object) bool, error) {
	parts := strings.Split(text, "/")
	if len(parts) < 2 || len(parts) > 3 || slices.Contains(parts, "") {
		return nil, fmt.Errorf("--object %s: expected KIND/NAME or KIND/NAMESPACE/NAME, such as Ingress/shop/web", text)
	}
	home := s.options.Namespace
	if home == "" {
		home = "default"
	}
	return func(o *manifest.Object) bool {
		if !strings.EqualFold(o.Kind, parts[0]) || o.Name != parts[len(parts)-1] {
			return false
		}
		return len(parts) == 2 || o.Namespace == parts[1] || o.Namespace == "" && parts[1] == home
	}, nil
}

// only is the part of a report that is about one object and one policy, and what could not be judged at all.
func only(r report.Report, object *manifest.Object, policy string) report.Report {
	here := func(file string, namespace, kind, name string) bool {
		return file == object.File && kind == object.Kind && name == object.Name && (object.Namespace == "" || namespace == object.Namespace)
	}
	out := report.Report{ToolVersion: r.ToolVersion}
	acts := map[string]bool{}
	for _, result := range r.Results {
		broken := result.Policy == "" && result.Action == report.ActionError
		if broken || result.Policy == policy && here(result.File, result.Namespace, result.Kind, result.Name) {
			out.Results = append(out.Results, result)
			acts[result.Action] = true
			if result.Action == report.ActionError {
				out.Summary.Errors++
			}
		}
	}
	for _, p := range r.Patched {
		if p.Policy == policy && here(p.File, p.Namespace, p.Kind, p.Name) {
			out.Patched = append(out.Patched, p)
		}
	}
	if acts[report.ActionDeny] {
		out.Summary.Denied = 1
	}
	if acts[report.ActionWarn] {
		out.Summary.Warned = 1
	}
	return out
}
