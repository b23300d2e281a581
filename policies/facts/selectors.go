package facts

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Domain says what a selector selects, because not all labels can exist on
// everything.
type Domain uint8

const (
	// Pods may have any labels.
	Pods Domain = iota
	// Namespaces always have the label kubernetes.io/metadata.name, which is
	// the namespace's name, a DNS label.
	Namespaces
)

// namespaceNameLabel is set on every namespace by the API server and can't be
// changed (KEP-2161, stable since 1.22).
const namespaceNameLabel = "kubernetes.io/metadata.name"

// Selector is a label selector by meaning: for each key the values that it
// admits. Two selectors of one domain are equal in meaning if each is a Subset
// of the other. The zero value selects every pod.
type Selector struct {
	domain      Domain
	constraints []constraint // sorted by key, one per key, none that admits all
}

type constraint struct {
	key    string
	admits values
}

// Compile reads a label selector. Like apimachinery, it takes nil to select
// nothing, and refuses unknown operators, In and NotIn without values, Exists
// and DoesNotExist with values, and values that no label can have.
func Compile(sel *metav1.LabelSelector, domain Domain) (Selector, error) {
	s := Selector{domain: domain}
	if sel == nil {
		s.constraints = []constraint{{key: "", admits: values{}}}
		return s, nil
	}
	n := len(sel.MatchLabels) + len(sel.MatchExpressions)
	if n == 0 && domain == Pods {
		return s, nil
	}
	s.constraints = make([]constraint, 0, n+1)
	if domain == Namespaces {
		s.constraints = append(s.constraints, namespaceName)
	}
	for k, v := range sel.MatchLabels {
		if !isLabelValue(v) {
			return Selector{}, fmt.Errorf("matchLabels[%s]: %q can't be the value of a label", k, v)
		}
		s.constraints = append(s.constraints, constraint{k, values{listed: []string{v}}})
	}
	for i := range sel.MatchExpressions {
		v, err := requirement(&sel.MatchExpressions[i])
		if err != nil {
			return Selector{}, fmt.Errorf("matchExpressions[%d].%w", i, err)
		}
		s.constraints = append(s.constraints, constraint{sel.MatchExpressions[i].Key, v})
	}
	s.normalize()
	return s, nil
}

// namespaceName is what every namespace satisfies.
var namespaceName = constraint{namespaceNameLabel, values{others: true}}

func requirement(r *metav1.LabelSelectorRequirement) (values, error) {
	needsValues := r.Operator == metav1.LabelSelectorOpIn || r.Operator == metav1.LabelSelectorOpNotIn
	if needsValues != (len(r.Values) > 0) {
		if needsValues {
			return values{}, fmt.Errorf("values: expected at least one for operator %s", r.Operator)
		}
		if r.Operator == metav1.LabelSelectorOpExists || r.Operator == metav1.LabelSelectorOpDoesNotExist {
			return values{}, fmt.Errorf("values: expected none for operator %s, not %d", r.Operator, len(r.Values))
		}
	}
	for i, v := range r.Values {
		if !isLabelValue(v) {
			return values{}, fmt.Errorf("values[%d]: %q can't be the value of a label", i, v)
		}
	}
	switch r.Operator {
	case metav1.LabelSelectorOpIn:
		return values{listed: sortedSet(r.Values)}, nil
	case metav1.LabelSelectorOpNotIn:
		return values{absent: true, others: true, listed: sortedSet(r.Values)}, nil
	case metav1.LabelSelectorOpExists:
		return values{others: true}, nil
	case metav1.LabelSelectorOpDoesNotExist:
		return values{absent: true}, nil
	}
	return values{}, fmt.Errorf("operator: expected In, NotIn, Exists or DoesNotExist, not %q", string(r.Operator))
}

func sortedSet(list []string) []string {
	set := slices.Clone(list)
	slices.Sort(set)
	return slices.Compact(set)
}

// normalize sorts the constraints and intersects those of one key.
func (s *Selector) normalize() {
	slices.SortFunc(s.constraints, func(a, b constraint) int { return strings.Compare(a.key, b.key) })
	kept := s.constraints[:0]
	for _, c := range s.constraints {
		if s.domain == Namespaces && c.key == namespaceNameLabel {
			c.admits = c.admits.onlyNames()
		}
		if n := len(kept) - 1; n >= 0 && kept[n].key == c.key {
			kept[n].admits = kept[n].admits.and(c.admits)
			continue
		}
		kept = append(kept, c)
	}
	s.constraints = slices.DeleteFunc(kept, func(c constraint) bool { return c.admits.isAll() })
}

// everything is the selector of a domain that selects all there is.
func everything(domain Domain) Selector {
	s := Selector{domain: domain}
	if domain == Namespaces {
		s.constraints = []constraint{namespaceName}
	}
	return s
}

// Matches reports whether s selects an object with these labels.
func (s Selector) Matches(labels map[string]string) bool {
	for _, c := range s.constraints {
		v, ok := labels[c.key]
		if !c.admits.has(v, ok) {
			return false
		}
	}
	return true
}

// MatchesNothing reports whether s contradicts itself, so that no labels that
// could exist satisfy it.
func (s Selector) MatchesNothing() bool {
	for _, c := range s.constraints {
		if c.admits.isEmpty() {
			return true
		}
	}
	return false
}

// MatchesEverything reports whether every set of labels that could exist in
// the domain satisfies s.
func (s Selector) MatchesEverything() bool { return everything(s.domain).Subset(s) }

// Witness is a smallest set of labels that s selects; nil if there is none.
// Keys that may be absent are.
func (s Selector) Witness() map[string]string {
	if s.MatchesNothing() {
		return nil
	}
	labels := make(map[string]string, len(s.constraints))
	for _, c := range s.constraints {
		if !c.admits.absent {
			labels[c.key] = c.admits.example()
		}
	}
	return labels
}

// with returns s with the constraint of one key replaced or added.
func (s Selector) with(key string, admits values) Selector {
	t := Selector{domain: s.domain, constraints: make([]constraint, 0, len(s.constraints)+1)}
	i, found := s.find(key)
	t.constraints = append(t.constraints, s.constraints[:i]...)
	t.constraints = append(t.constraints, constraint{key, admits})
	if found {
		i++
	}
	t.constraints = append(t.constraints, s.constraints[i:]...)
	return t
}

func (s Selector) find(key string) (int, bool) {
	return slices.BinarySearchFunc(s.constraints, key, func(c constraint, k string) int { return strings.Compare(c.key, k) })
}

// admits are the values of key that s admits.
func (s Selector) admits(key string) values {
	if i, ok := s.find(key); ok {
		return s.constraints[i].admits
	}
	return values{absent: true, others: true}
}
