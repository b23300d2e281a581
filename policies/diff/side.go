package diff

import (
	"fmt"
	"slices"

	"github.com/sluice-gate/sluice/policies/facts"
	"github.com/sluice-gate/sluice/policies/manifest"
)

// identity is what tells NetworkPolicies apart.
type identity struct{ namespace, name string }

// found is where a policy stands.
type found struct {
	file   string
	object *manifest.Object
}

// side is what the manifests of one side hold.
type side struct {
	policies map[string][]*facts.Policy // by namespace
	places   map[identity]found
	labels   map[string]map[string]string // of Namespaces
	skipped  map[string]int
	problems []manifest.Problem
}

func (s *side) list(namespace string) []*facts.Policy { return s.policies[namespace] }

func readSides(o Options) (before, after *side) {
	old, oldProblems := manifest.Paths([]string{o.Old}, o.Stdin)
	updated, newProblems := manifest.Paths([]string{o.New}, o.Stdin)
	contents := readAll(slices.Concat(old, updated), o.Namespace)
	return newSide(old, contents[:len(old)], oldProblems), newSide(updated, contents[len(old):], newProblems)
}

func newSide(sources []manifest.Source, contents []*content, problems []manifest.Problem) *side {
	s := &side{
		policies: map[string][]*facts.Policy{}, places: map[identity]found{},
		labels: map[string]map[string]string{}, skipped: map[string]int{}, problems: problems,
	}
	for i, c := range contents {
		s.add(sources[i].Name, c)
		if c.empty && sources[i].Name == manifest.StdinName {
			s.problems = append(s.problems, manifest.Problem{File: manifest.StdinName, Message: "nothing to compare: the input holds no object"})
		}
	}
	return s
}

// add takes in the content of a file.
func (s *side) add(file string, c *content) {
	s.problems = append(s.problems, c.problems...)
	for _, what := range c.skipped {
		s.skipped[what]++
	}
	for _, n := range c.namespaces {
		name := n.object.Name
		if s.labels[name] != nil {
			s.twice(file, n.object, fmt.Sprintf("Namespace %s is there twice: which of them counts?", name))
			continue
		}
		s.labels[name] = n.labels
	}
	for _, p := range c.policies {
		id := identity{p.policy.Namespace, p.policy.Name}
		if first, is := s.places[id]; is {
			s.twice(file, p.object, fmt.Sprintf("NetworkPolicy %s/%s is there twice, and first in %s:%d: which of them counts?",
				id.namespace, id.name, first.file, first.object.Line))
			continue
		}
		s.places[id] = found{file, p.object}
		s.policies[id.namespace] = append(s.policies[id.namespace], p.policy)
	}
}

func (s *side) twice(file string, object *manifest.Object, message string) {
	p := object.Problem("metadata.name", message)
	p.File = file
	s.problems = append(s.problems, p)
}
