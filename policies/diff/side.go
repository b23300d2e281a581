package diff

import (
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/sluice-gate/sluice/policies/facts"
	"github.com/sluice-gate/sluice/policies/manifest"
)

// identity is what tells NetworkPolicies apart.
type identity struct{ namespace, name string }

// side is what the manifests of one side hold.
type side struct {
	policies map[string][]*facts.Policy // by namespace
	objects  map[identity]*manifest.Object
	labels   map[string]map[string]string // of Namespaces
	count    int                          // policies
	skipped  map[string]int
	problems []manifest.Problem
}

func (s *side) list(namespace string) []*facts.Policy { return s.policies[namespace] }

func readSide(path string, o Options) *side {
	s := &side{
		policies: map[string][]*facts.Policy{}, objects: map[identity]*manifest.Object{},
		labels: map[string]map[string]string{}, skipped: map[string]int{},
	}
	for _, file := range manifest.ReadPaths([]string{path}, o.Stdin) {
		s.problems = append(s.problems, file.Problems...)
		if n := len(file.Skipped); n > 0 {
			s.skipped["not a Kubernetes object"] += n
		}
		for _, object := range file.Objects {
			s.read(object, o.Namespace)
		}
		if path == "-" && len(file.Objects)+len(file.Skipped)+len(file.Problems) == 0 {
			s.problems = append(s.problems, manifest.Problem{File: file.Name, Message: "nothing to compare: the input holds no object"})
		}
	}
	return s
}

// read takes in a NetworkPolicy or a Namespace, and counts what is neither.
func (s *side) read(object *manifest.Object, namespace string) {
	var into any
	np, ns := &networkingv1.NetworkPolicy{}, &corev1.Namespace{}
	switch object.Kind {
	case "NetworkPolicy":
		into = np
	case "Namespace":
		into = ns
	default:
		s.skipped[kindOf(object)]++
		return
	}
	decoded, problems := manifest.Decode(object, manifest.Options{Namespace: namespace})
	if len(problems) > 0 {
		s.problems = append(s.problems, problems...)
		return
	}
	if !decoded.Known {
		s.skipped[kindOf(object)]++
		return
	}
	if err := json.Unmarshal(decoded.JSON, into); err != nil {
		s.problems = append(s.problems, object.Problem("", err.Error()))
		return
	}
	if into == ns {
		s.namespace(object, ns)
		return
	}
	np.Name = object.Name // of generateName too
	s.policy(object, np)
}

func (s *side) policy(object *manifest.Object, np *networkingv1.NetworkPolicy) {
	id := identity{np.Namespace, np.Name}
	if first := s.objects[id]; first != nil {
		s.problems = append(s.problems, object.Problem("metadata.name",
			fmt.Sprintf("NetworkPolicy %s/%s is there twice, and first in %s:%d: which of them counts?", id.namespace, id.name, first.File, first.Line)))
		return
	}
	s.objects[id] = object
	s.count++
	s.policies[np.Namespace] = append(s.policies[np.Namespace], facts.NewPolicy(np))
}

func (s *side) namespace(object *manifest.Object, ns *corev1.Namespace) {
	if s.labels[ns.Name] != nil {
		s.problems = append(s.problems, object.Problem("metadata.name", fmt.Sprintf("Namespace %s is there twice: which of them counts?", ns.Name)))
		return
	}
	labels := map[string]string{}
	for key, value := range ns.Labels {
		labels[key] = value
	}
	labels[corev1.LabelMetadataName] = ns.Name
	s.labels[ns.Name] = labels
}

// kindOf names a kind with its group, as in apps/Deployment.
func kindOf(object *manifest.Object) string {
	for i := range object.APIVersion {
		if object.APIVersion[i] == '/' {
			return object.APIVersion[:i] + "/" + object.Kind
		}
	}
	return object.Kind
}
