package diff

import (
	"encoding/json"
	"runtime"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/sluice-gate/sluice/policies/facts"
	"github.com/sluice-gate/sluice/policies/manifest"
)

// content is what the text of one file says.
type content struct {
	policies   []policyAt
	namespaces []namespaceAt
	skipped    []string
	problems   []manifest.Problem
	empty      bool // there is nothing in it, not even something wrong
}

type policyAt struct {
	object *manifest.Object
	policy *facts.Policy
}

type namespaceAt struct {
	object *manifest.Object
	labels map[string]string
}

// readAll reads sources, as many at a time as there are processors: that takes longer than to compare what is in them.
// What has the text of another is read once: most files are often the same on both sides.
func readAll(sources []manifest.Source, namespace string) []*content {
	out := make([]*content, len(sources))
	first := map[string]int{} // by text
	running := make(chan struct{}, runtime.GOMAXPROCS(0))
	var all sync.WaitGroup
	for i, source := range sources {
		if _, known := first[string(source.Data)]; known {
			continue
		}
		first[string(source.Data)] = i
		running <- struct{}{}
		all.Go(func() {
			out[i] = readContent(source, namespace)
			<-running
		})
	}
	all.Wait()
	for i, source := range sources {
		if out[i] == nil {
			out[i] = out[first[string(source.Data)]].in(source.Name)
		}
	}
	return out
}

// in is the same content in a file of another name.
func (c *content) in(name string) *content {
	moved := *c
	moved.problems = make([]manifest.Problem, len(c.problems))
	for i, p := range c.problems {
		p.File = name
		moved.problems[i] = p
	}
	return &moved
}

func readContent(source manifest.Source, namespace string) *content {
	file := manifest.Read(source.Name, source.Data)
	c := &content{problems: file.Problems, empty: len(file.Objects)+len(file.Skipped)+len(file.Problems) == 0}
	for _, skipped := range file.Skipped {
		if isCompared(skipped.Kind) {
			c.problems = append(c.problems, skipped.Half())
			continue
		}
		c.skipped = append(c.skipped, "not a Kubernetes object")
	}
	for _, object := range file.Objects {
		c.read(object, namespace)
	}
	return c
}

// isCompared tells the names of the kinds that matter to a comparison, in whatever letters: what is misspelt is an error.
func isCompared(kind string) bool {
	return strings.EqualFold(kind, "NetworkPolicy") || strings.EqualFold(kind, "Namespace")
}

// read takes in a NetworkPolicy or a Namespace, and names the kind of what is neither.
func (c *content) read(object *manifest.Object, namespace string) {
	if !isCompared(object.Kind) {
		c.skipped = append(c.skipped, kindOf(object))
		return
	}
	decoded, problems := manifest.Decode(object, manifest.Options{Namespace: namespace})
	switch {
	case len(problems) > 0:
		c.problems = append(c.problems, problems...)
	case !decoded.Known:
		c.skipped = append(c.skipped, kindOf(object))
	case object.Kind == "Namespace":
		var ns corev1.Namespace
		if c.decode(object, decoded, &ns) {
			c.namespace(object, &ns)
		}
	default:
		np := &networkingv1.NetworkPolicy{}
		if c.decode(object, decoded, np) {
			np.Name = object.Name // of generateName too
			c.policies = append(c.policies, policyAt{object, facts.NewPolicy(np)})
		}
	}
}

func (c *content) decode(object *manifest.Object, decoded manifest.Decoded, into any) bool {
	if err := json.Unmarshal(decoded.JSON, into); err != nil {
		c.problems = append(c.problems, object.Problem("", err.Error()))
		return false
	}
	return true
}

// namespace gives a Namespace the label that the API server does.
func (c *content) namespace(object *manifest.Object, ns *corev1.Namespace) {
	labels := map[string]string{}
	for key, value := range ns.Labels {
		labels[key] = value
	}
	labels[corev1.LabelMetadataName] = ns.Name
	c.namespaces = append(c.namespaces, namespaceAt{object, labels})
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
