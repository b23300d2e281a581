package policies

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

// matcher is a compiled v1alpha1.Match, narrowed to what the rule judges.
type matcher struct {
	kinds              []schema.GroupKind
	operations         []engine.Operation
	subresources       []string
	only               string // as METADATA says
	namespaces         []string
	excludedNamespaces []string
	namespaceSelector  labels.Selector // nil matches everything
	objectSelector     labels.Selector // nil matches everything
	excludedSubjects   []v1alpha1.Subject
	// leaving: updates of Namespaces that leave the namespaceSelector are asked about, whatever the kinds.
	leaving bool
}

// newMatcher checks a match against its rule. Errors carry the field path.
func newMatcher(m v1alpha1.Match, rule *engine.Rule) (matcher, error) {
	out := matcher{
		kinds: rule.Kinds, operations: rule.Operations, subresources: rule.Subresources, only: rule.Only,
		namespaces: m.Namespaces, excludedNamespaces: m.ExcludedNamespaces, excludedSubjects: m.ExcludedSubjects,
		leaving: rule.Leaving && m.NamespaceSelector != nil,
	}
	var errs []error
	if len(m.Kinds) > 0 {
		out.kinds = nil
	}
	for i, text := range m.Kinds {
		kind, err := engine.ParseGroupKind(text)
		if err == nil && !slices.Contains(rule.Kinds, kind) {
			err = fmt.Errorf("%q: the rule %s does not judge it", text, rule.ID)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("spec.match.kinds[%d]: %w", i, err))
		}
		out.kinds = append(out.kinds, kind)
	}
	if len(m.Operations) > 0 {
		out.operations = nil
	}
	for i, text := range m.Operations {
		if !slices.Contains(rule.Operations, engine.Operation(text)) {
			errs = append(errs, fmt.Errorf("spec.match.operations[%d]: %q: the rule %s is for %s", i, text, rule.ID, operationNames(rule.Operations)))
		}
		out.operations = append(out.operations, engine.Operation(text))
	}
	for i, kind := range out.kinds {
		reason, field := NeverMatchable(kind), "METADATA custom.kinds"
		if len(m.Kinds) > 0 {
			field = fmt.Sprintf("spec.match.kinds[%d]", i)
		}
		if reason != "" {
			errs = append(errs, fmt.Errorf("%s: %s can't be matched: %s", field, engine.FormatGroupKind(kind), reason))
		}
	}
	for i, s := range m.ExcludedSubjects {
		if err := checkSubject(s); err != nil {
			errs = append(errs, fmt.Errorf("spec.match.excludedSubjects[%d]: %w", i, err))
		}
	}
	var err error
	if out.namespaceSelector, err = selector(m.NamespaceSelector); err != nil {
		errs = append(errs, fmt.Errorf("spec.match.namespaceSelector: %w", err))
	}
	if out.objectSelector, err = selector(m.ObjectSelector); err != nil {
		errs = append(errs, fmt.Errorf("spec.match.objectSelector: %w", err))
	}
	return out, errors.Join(errs...)
}

// asked are the kinds of the requests that may match.
func (m matcher) asked() []schema.GroupKind {
	namespace := schema.GroupKind{Kind: "Namespace"}
	if m.leaving && !slices.Contains(m.kinds, namespace) {
		return append(slices.Clone(m.kinds), namespace)
	}
	return m.kinds
}

// operationNames are operations as a person lists them, such as "CREATE, UPDATE".
func operationNames(operations []engine.Operation) string {
	names := make([]string, len(operations))
	for i, operation := range operations {
		names[i] = string(operation)
	}
	return strings.Join(names, ", ")
}

func selector(s *metav1.LabelSelector) (labels.Selector, error) {
	if s == nil {
		return nil, nil
	}
	return metav1.LabelSelectorAsSelector(s)
}

func checkSubject(s v1alpha1.Subject) error {
	switch {
	case !slices.Contains([]string{"User", "Group", "ServiceAccount"}, s.Kind):
		return fmt.Errorf("kind %q: want User, Group or ServiceAccount", s.Kind)
	case s.Name == "":
		return errors.New("name is missing")
	case s.Kind == "ServiceAccount" && s.Namespace == "":
		return errors.New("a ServiceAccount needs a namespace")
	}
	return nil
}

// matches tells whether the policy judges the request, apart from the namespace's labels.
func (m matcher) matches(r Request) bool {
	return (m.matchesObject(r) || m.leaving && r.isNamespace() && m.leaves(r)) &&
		(r.SubResource == "" || slices.Contains(m.subresources, r.SubResource)) &&
		m.matchesNamespaceName(r) &&
		!slices.ContainsFunc(m.excludedSubjects, r.User.is)
}

func (m matcher) matchesObject(r Request) bool {
	return slices.Contains(m.kinds, r.Kind.GroupKind()) && slices.Contains(m.operations, r.Operation) && m.matchesLabels(r) && m.concerns(r.Subject())
}

// leaves tells whether an update takes the object out of the match by its labels: a Namespace out of the
// namespaceSelector, anything else out of the objectSelector.
func (m matcher) leaves(r Request) bool {
	selector := m.objectSelector
	if r.isNamespace() {
		selector = m.namespaceSelector
	}
	return r.Operation == engine.Update && selector != nil &&
		selector.Matches(objectLabels(r.OldObject)) && !selector.Matches(objectLabels(r.Object))
}

func (m matcher) matchesNamespaceName(r Request) bool {
	namespace := r.Namespace
	if r.isNamespace() {
		namespace = r.Name
	}
	return namespace == "" || m.admitsNamespace(namespace) // without one it is cluster-scoped
}

// admitsNamespace tells whether the match's names and globs admit a namespace.
func (m matcher) admitsNamespace(namespace string) bool {
	in := func(globs []string) bool {
		return slices.ContainsFunc(globs, func(glob string) bool { return matchGlob(glob, namespace) })
	}
	return (len(m.namespaces) == 0 || in(m.namespaces)) && !in(m.excludedNamespaces)
}

func (m matcher) matchesLabels(r Request) bool {
	if m.objectSelector == nil {
		return true
	}
	return m.objectSelector.Matches(objectLabels(r.Object)) ||
		r.OldObject.Exists() && m.objectSelector.Matches(objectLabels(r.OldObject))
}

// matchedBefore tells whether the old object of an update was the policy's business too: a label or the host's network
// that brings it under the policy is a change.
func (m matcher) matchedBefore(r Request) bool {
	return m.concerns(r.OldObject) && (m.objectSelector == nil || m.objectSelector.Matches(objectLabels(r.OldObject)))
}

func objectLabels(object engine.Document) labels.Set {
	return object.Get("metadata", "labels").StringMap()
}

func (r Request) isNamespace() bool { return r.Kind.Group == "" && r.Kind.Kind == "Namespace" }

// is tells whether the user is the subject, as RBAC reads it.
func (u User) is(s v1alpha1.Subject) bool {
	switch s.Kind {
	case "User":
		return u.Name == s.Name
	case "Group":
		return slices.Contains(u.Groups, s.Name)
	case "ServiceAccount":
		return u.Name == "system:serviceaccount:"+s.Namespace+":"+s.Name
	}
	return false
}

// Namespaces finds the Namespace object of a request.
type Namespaces interface {
	// Namespace is an error if the namespace can't be resolved: then a policy that needs it can't
	// be judged.
	Namespace(ctx context.Context, name string) (engine.Document, error)
}

// namespaceLookup resolves the request's namespace at most once, and only if some policy needs it.
type namespaceLookup struct {
	source Namespaces
	done   bool
	object engine.Document
	err    error
}

func (l *namespaceLookup) get(ctx context.Context, r Request) (engine.Document, error) {
	switch {
	case l.done:
	case r.isNamespace():
		l.object = r.Subject()
	case r.Namespace == "":
	case l.source == nil:
		l.err = fmt.Errorf("the labels of namespace %s are not known: give its Namespace object", r.Namespace)
	default:
		l.object, l.err = l.source.Namespace(ctx, r.Namespace)
	}
	l.done = true
	return l.object, l.err
}

// matchesNamespace tells whether the namespace's labels match; in an update of the Namespace itself, whether the new or
// the old ones do: a label is no way out. An error means that nobody can tell.
func (m matcher) matchesNamespace(ctx context.Context, r Request, namespace *namespaceLookup) (bool, error) {
	if m.namespaceSelector == nil || r.Namespace == "" && !r.isNamespace() {
		return true, nil
	}
	object, err := namespace.get(ctx, r)
	if err != nil {
		return false, err
	}
	return m.namespaceSelector.Matches(objectLabels(object)) || r.isNamespace() && m.leaves(r), nil
}
