package dryrun

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/maruel/natural"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/sluice-gate/sluice/policies/facts"
	"github.com/sluice-gate/sluice/policies/report"
)

// traffic says what the NetworkPolicies that are new or changed do to the pods of a namespace, and how many pods lose
// some. Where no pods are known it is said of selectors, as a diff does.
func (c *cluster) traffic(namespace string, updated []*facts.Policy, into *report.PlannedNamespace) (affected int, err error) {
	pods := c.pods[namespace]
	into.Pods = len(pods)
	before := c.policies[namespace]
	after := slices.DeleteFunc(slices.Clone(before), func(p *facts.Policy) bool {
		return slices.ContainsFunc(updated, func(q *facts.Policy) bool { return p.Name == q.Name })
	})
	after = append(after, updated...)
	if len(updated) == 0 {
		return 0, nil
	}
	t := tally{closes: map[string]*report.PodChange{}, opens: map[string]*report.PodChange{}}
	if !c.hasPods {
		err = t.compare(nil, before, after)
	} else {
		s := newSelection(before, after)
		var groups []*group
		if groups, into.HostNetwork, err = s.groups(pods); err != nil {
			return 0, err
		}
		for _, g := range groups {
			if err = t.compare(g.pods, s.seen(g, before), s.seen(g, after)); err != nil {
				break
			}
		}
	}
	if err != nil {
		return 0, err
	}
	into.Closes, into.Opens = told(t.closes), told(t.opens)
	lose := map[string]bool{}
	for _, change := range into.Closes {
		for _, name := range change.Names {
			lose[name] = true
		}
	}
	return len(lose), nil
}

// selection tells which policies select which pods.
type selection struct {
	policies  []*facts.Policy
	selectors []labels.Selector
	errs      []error
	everyPod  map[*facts.Policy]*facts.Policy // as it is for a pod that it selects
}

func newSelection(lists ...[]*facts.Policy) *selection {
	s := &selection{everyPod: map[*facts.Policy]*facts.Policy{}}
	for _, list := range lists {
		for _, p := range list {
			if s.everyPod[p] != nil {
				continue
			}
			np := *p.NetworkPolicy
			np.Spec.PodSelector = metav1.LabelSelector{}
			s.everyPod[p] = facts.NewPolicy(&np)
			selector, err := metav1.LabelSelectorAsSelector(&p.Spec.PodSelector)
			if err != nil {
				err = fmt.Errorf("NetworkPolicy %q: spec.podSelector: %w", p.Name, err)
			}
			s.policies, s.selectors, s.errs = append(s.policies, p), append(s.selectors, selector), append(s.errs, err)
		}
	}
	return s
}

// group are pods that the same policies select: to a NetworkPolicy they are one.
type group struct {
	pods     []pod
	selected map[*facts.Policy]bool
}

// groups are the pods of a namespace, without those that have their node's network.
func (s *selection) groups(pods []pod) (list []*group, hostNetwork []string, err error) {
	for _, err := range s.errs {
		if err != nil {
			return nil, nil, err
		}
	}
	known := map[string]*group{}
	for _, p := range pods {
		if p.hostNetwork {
			hostNetwork = append(hostNetwork, p.name)
			continue
		}
		key := make([]byte, len(s.policies))
		selected := map[*facts.Policy]bool{}
		for i, selector := range s.selectors {
			if selector.Matches(labels.Set(p.labels)) {
				key[i], selected[s.policies[i]] = 1, true
			}
		}
		g := known[string(key)]
		if g == nil {
			g = &group{selected: selected}
			known[string(key)], list = g, append(list, g)
		}
		g.pods = append(g.pods, p)
	}
	return list, hostNetwork, nil
}

// seen are those of the policies that select the pods of a group, as if there were no other pods.
func (s *selection) seen(g *group, policies []*facts.Policy) []*facts.Policy {
	var list []*facts.Policy
	for _, p := range policies {
		if g.selected[p] {
			list = append(list, s.everyPod[p])
		}
	}
	return list
}

// tally is what was found so far, by what it says. Pods of which the same is said share an entry.
type tally struct{ closes, opens map[string]*report.PodChange }

func (t *tally) compare(pods []pod, before, after []*facts.Policy) error {
	closed, err := facts.Opened(after, before, facts.OpenOptions{Closing: true})
	if err != nil {
		return err
	}
	opened, err := facts.Opened(before, after, facts.OpenOptions{})
	if err != nil {
		return err
	}
	for _, o := range closed.List {
		if o.Unisolated && !o.Uncertain {
			o.Text += staysOpen(o.Direction, after)
		}
		t.add(t.closes, o, pods)
	}
	for _, o := range opened.List {
		t.add(t.opens, o, pods)
	}
	return nil
}

// staysOpen names the policies that select every pod, by which these keep some traffic when they become isolated.
func staysOpen(direction string, after []*facts.Policy) string {
	var names []string
	for _, p := range after {
		rules := len(p.Spec.Ingress)
		if direction == facts.Egress {
			rules = len(p.Spec.Egress)
		}
		selector := p.Spec.PodSelector
		all := len(selector.MatchLabels)+len(selector.MatchExpressions) == 0
		if all && rules > 0 && slices.Contains(facts.PolicyTypes(p.NetworkPolicy), direction) {
			names = append(names, p.Name)
		}
	}
	slices.Sort(names)
	switch len(names) {
	case 0:
		return ""
	case 1:
		return ", but for what " + names[0] + " allows"
	}
	const most = 3
	return ", but for what " + report.Listed(names, most) + " allow"
}

func (t *tally) add(into map[string]*report.PodChange, o facts.Opening, pods []pod) {
	key := strings.Join([]string{o.Direction, o.Policy, o.Field, o.Text}, "\x00")
	change := into[key]
	if change == nil {
		change = &report.PodChange{Opening: o}
		into[key] = change
		if len(pods) > 0 {
			change.Example.Pod = pods[0].labels
		}
	}
	for _, p := range pods {
		change.Names = append(change.Names, p.name)
	}
}

// told are changes with their pods, sorted.
func told(changes map[string]*report.PodChange) []report.PodChange {
	var list []report.PodChange
	for _, change := range changes {
		if slices.SortFunc(change.Names, natural.Compare); len(change.Names) > 0 {
			change.Opening = change.About(report.PodsText(change.Names))
		}
		list = append(list, *change)
	}
	slices.SortFunc(list, func(a, b report.PodChange) int {
		return cmp.Or(cmp.Compare(a.Direction, b.Direction), slices.CompareFunc(a.Names, b.Names, natural.Compare),
			cmp.Compare(a.Text, b.Text), cmp.Compare(a.Policy, b.Policy), cmp.Compare(a.Field, b.Field))
	})
	return list
}
