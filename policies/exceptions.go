package policies

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/spelling"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

// exception is a GateException ready for use.
type exception struct {
	name              string
	policies          []string
	kinds             []schema.GroupKind
	namespaces, names []string
	namespaceSelector labels.Selector
	objectSelector    labels.Selector
	reason            string
	expires           time.Time
}

// newExceptions compiles exceptions from policies of the given names. One that names an unknown policy, which may
// come later, excuses from those that it knows.
func newExceptions(sources []v1alpha1.GateException, policies map[string]bool, now time.Time) (out []exception, rejected []Rejected) {
	for i := range sources {
		e, err := newException(&sources[i], now)
		valid, known := err == nil, false
		for j, name := range e.policies {
			if known = known || policies[name]; !policies[name] {
				err = errors.Join(err, fmt.Errorf("spec.policies[%d]: there is no policy %q%s", j, name, spelling.Suggest(name, slices.Sorted(maps.Keys(policies)))))
			}
		}
		if err != nil {
			rejected = append(rejected, Rejected{Kind: ExceptionKind, Name: sources[i].Name, Err: err, InForce: valid && known})
		}
		if valid && known {
			out = append(out, e)
		}
	}
	slices.SortStableFunc(rejected, func(a, b Rejected) int { return cmp.Compare(a.Name, b.Name) })
	return out, rejected
}

func newException(source *v1alpha1.GateException, now time.Time) (exception, error) {
	spec := source.Spec
	e := exception{name: source.Name, policies: spec.Policies, namespaces: spec.Match.Namespaces, names: spec.Match.Names,
		reason: spec.Reason, expires: spec.Expires.Time}
	var errs []error
	if len(spec.Policies) == 0 {
		errs = append(errs, errors.New("spec.policies: name the policies to be excused from"))
	}
	if spec.Reason == "" {
		errs = append(errs, errors.New("spec.reason: missing: say why, for those who come after"))
	}
	if spec.Expires.IsZero() {
		errs = append(errs, errors.New("spec.expires: missing: no exception is for ever"))
	}
	if spec.Expires.After(now.AddDate(1, 0, 0)) {
		errs = append(errs, fmt.Errorf("spec.expires: %s is more than a year ahead: choose a day within a year, and extend the exception when somebody has looked at it again",
			spec.Expires.UTC().Format(time.RFC3339)))
	}
	if m := spec.Match; len(m.Names) == 0 && len(m.Namespaces) == 0 && m.NamespaceSelector == nil && m.ObjectSelector == nil {
		errs = append(errs, errors.New("spec.match: name the excused objects by names, namespaces, namespaceSelector or objectSelector"))
	}
	for i, text := range spec.Match.Kinds {
		kind, err := engine.ParseGroupKind(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("spec.match.kinds[%d]: %w", i, err))
		}
		e.kinds = append(e.kinds, kind)
	}
	var err error
	if e.namespaceSelector, err = selector(spec.Match.NamespaceSelector); err != nil {
		errs = append(errs, fmt.Errorf("spec.match.namespaceSelector: %w", err))
	}
	if e.objectSelector, err = selector(spec.Match.ObjectSelector); err != nil {
		errs = append(errs, fmt.Errorf("spec.match.objectSelector: %w", err))
	}
	return e, errors.Join(errs...)
}

// NextExpiry is when the first of those exceptions that excuse at some time ceases to; false if none does.
func (g *Gate) NextExpiry(at time.Time) (time.Time, bool) {
	var next time.Time
	for _, e := range g.exceptions {
		if at.Before(e.expires) && (next.IsZero() || e.expires.Before(next)) {
			next = e.expires
		}
	}
	return next, !next.IsZero()
}

// excuse takes the effect of findings that an exception covers. They stay visible as audits. An exception
// whose namespaceSelector nobody can answer excuses nothing. A denial names the last one that covered it until
// it expired.
func (g *Gate) excuse(ctx context.Context, r Request, namespace *namespaceLookup, findings []Finding) {
	if len(findings) == 0 {
		return
	}
	var expired []exception
	for _, e := range g.exceptions {
		switch {
		case !e.covers(ctx, r, namespace):
		case !g.now().Before(e.expires):
			expired = append(expired, e)
		default:
			for i := range findings {
				if findings[i].Excused == "" && slices.Contains(e.policies, findings[i].Policy) {
					findings[i].Effect, findings[i].Excused = EffectAudit, fmt.Sprintf("%s: %s", e.name, e.reason)
				}
			}
		}
	}
	slices.SortStableFunc(expired, func(a, b exception) int { return b.expires.Compare(a.expires) })
	for i := range findings {
		at := slices.IndexFunc(expired, func(e exception) bool { return slices.Contains(e.policies, findings[i].Policy) })
		if at >= 0 && findings[i].Effect == EffectDeny {
			findings[i].Message += fmt.Sprintf("; exception %s excused it until %s", expired[at].name, expired[at].expires.UTC().Format(time.RFC3339))
		}
	}
}

// covers tells whether an exception excuses the request's object. An object in no namespace is in none that a
// namespaceSelector selects: what a policy matches in doubt, an exception does not.
func (e exception) covers(ctx context.Context, r Request, namespace *namespaceLookup) bool {
	anyOf := func(globs []string, name string) bool {
		return len(globs) == 0 || slices.ContainsFunc(globs, func(glob string) bool { return matchGlob(glob, name) })
	}
	if len(e.kinds) > 0 && !slices.Contains(e.kinds, r.Kind.GroupKind()) ||
		!anyOf(e.namespaces, r.Namespace) || !anyOf(e.names, r.Name) {
		return false
	}
	if e.objectSelector != nil && !e.objectSelector.Matches(objectLabels(r.Subject())) {
		return false
	}
	if e.namespaceSelector != nil && r.Namespace == "" && !r.isNamespace() {
		return false
	}
	m := matcher{namespaceSelector: e.namespaceSelector}
	matched, err := m.matchesNamespace(ctx, r, namespace)
	return err == nil && matched && !(r.isNamespace() && m.leaves(r)) // what leaves is excused no more
}
