package dryrun

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/maruel/natural"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/facts"
	"github.com/sluice-gate/sluice/policies/manifest"
	"github.com/sluice-gate/sluice/policies/state"
)

// The kinds that a dry run is about.
var (
	namespaceKind     = schema.GroupKind{Kind: "Namespace"}
	podKind           = schema.GroupKind{Kind: "Pod"}
	networkPolicyKind = schema.GroupKind{Group: networkingv1.GroupName, Kind: "NetworkPolicy"}
)

// identity is what tells objects apart.
type identity struct {
	kind            schema.GroupKind
	namespace, name string
}

// pod is what is known of a Pod.
type pod struct {
	name        string
	labels      map[string]string
	hostNetwork bool
}

// cluster is what exists.
type cluster struct {
	options    Options
	wanted     map[schema.GroupKind]bool // kinds that are read as a whole
	state      state.Files               // all objects of these kinds
	namespaces map[string]engine.Document
	policies   map[string][]*facts.Policy // by namespace
	pods       map[string][]pod
	hasPods    bool            // in some of the namespaces
	homes      map[string]bool // namespaces that objects of Paths are in
	seen       map[identity]*manifest.Object
	inState    bool // State is being read
	inputs     int  // objects of Paths
	skipped    map[string]int
	problems   []manifest.Problem
}

func readCluster(o Options, gate *policies.Gate, objects state.Files) *cluster {
	c := &cluster{
		options: o, wanted: map[schema.GroupKind]bool{namespaceKind: true, networkPolicyKind: true}, state: objects,
		namespaces: map[string]engine.Document{}, policies: map[string][]*facts.Policy{}, pods: map[string][]pod{},
		homes: map[string]bool{}, seen: map[identity]*manifest.Object{}, skipped: map[string]int{},
	}
	for _, p := range gate.Policies() {
		if p.Rule.States(engine.Generate) {
			for _, kind := range slices.Concat(p.Rule.Generates, p.Rule.State) {
				c.wanted[kind] = true
			}
		}
	}
	c.add(manifest.ReadDumps(o.Paths, o.Stdin, c.outline))
	c.checkInput()
	c.inState = true
	stdin := o.Stdin
	if slices.Contains(o.Paths, "-") {
		stdin = nil
	}
	c.add(manifest.ReadDumps(o.State, stdin, c.outline))
	c.checkNamespaces()
	for namespace, list := range c.pods {
		slices.SortFunc(list, func(a, b pod) int { return natural.Compare(a.name, b.name) })
		c.hasPods = c.hasPods || c.namespaces[namespace].Exists()
	}
	return c
}

// outline leaves out most of the objects that nobody asks about.
func (c *cluster) outline(apiVersion, kind string) (fields []string, whole bool) {
	switch k := groupKind(apiVersion, kind); {
	case c.wanted[k]:
		return nil, true
	case k == podKind:
		return []string{"metadata.labels", "spec.hostNetwork"}, false
	}
	return nil, c.isNamesake(kind)
}

// isNamesake tells whether a kind bears the name of one that is wanted, in whatever letters. It may be one that is not
// served, which is an error.
func (c *cluster) isNamesake(kind string) bool {
	for k := range c.wanted {
		if strings.EqualFold(k.Kind, kind) {
			return true
		}
	}
	return strings.EqualFold(podKind.Kind, kind)
}

// add takes in files, of which it leaves out what other files had already, if they are State.
func (c *cluster) add(files []manifest.File) {
	for _, file := range files {
		c.problems = append(c.problems, file.Problems...)
		for _, skipped := range file.Skipped {
			if c.isNamesake(skipped.Kind) {
				c.problems = append(c.problems, skipped.Half())
				continue
			}
			c.skipped["not a Kubernetes object"]++
		}
		for _, object := range file.Objects {
			if !c.inState {
				c.inputs++
			}
			c.object(object)
		}
	}
}

func (c *cluster) object(object *manifest.Object) {
	kind := groupKind(object.APIVersion, object.Kind)
	switch {
	case kind == podKind && !c.wanted[podKind] && object.APIVersion == "v1":
		c.pod(object)
		return
	case !c.wanted[kind] && !c.isNamesake(object.Kind):
		c.skipped[engine.FormatGroupKind(kind)]++
		return
	}
	decoded, problems := manifest.Decode(object, manifest.Options{Namespace: c.options.Namespace})
	if len(problems) > 0 {
		c.problems = append(c.problems, problems...)
		return
	}
	if !c.wanted[kind] {
		c.skipped[engine.FormatGroupKind(kind)]++
		return
	}
	document, err := engine.ParseJSON(decoded.JSON)
	if err != nil {
		c.problem(object, "", err.Error())
		return
	}
	if c.isNew(identity{kind, decoded.Namespace, object.Name}, object) {
		c.store(object, kind, decoded, document)
	}
}

func (c *cluster) store(object *manifest.Object, kind schema.GroupKind, decoded manifest.Decoded, document engine.Document) {
	c.state.Put(document)
	switch kind {
	case podKind:
		c.pod(object)
	case namespaceKind:
		switch {
		case document.Get("metadata", "name").Text() == "":
			c.problem(object, "metadata.generateName", "a Namespace that exists has a name")
		case !c.inState:
			c.namespaces[object.Name] = document
		}
	case networkPolicyKind:
		policy, err := policyOf(decoded.JSON)
		if err != nil {
			c.problem(object, "", err.Error())
			return
		}
		policy.Name = object.Name // of generateName too
		c.inhabit(decoded.Namespace)
		c.policies[decoded.Namespace] = append(c.policies[decoded.Namespace], policy)
	}
}

func policyOf(text []byte) (*facts.Policy, error) {
	np := &networkingv1.NetworkPolicy{}
	if err := json.Unmarshal(text, np); err != nil {
		return nil, err
	}
	return facts.NewPolicy(np), nil
}

// isNew tells that an object is the first of its identity. A second one in State is left out, any other is a problem.
func (c *cluster) isNew(id identity, object *manifest.Object) bool {
	first := c.seen[id]
	if first == nil {
		c.seen[id] = object
		return true
	}
	if !c.inState {
		c.problem(object, "metadata.name", fmt.Sprintf("%s %s is there twice, and first in %s:%d: which of them counts?",
			id.kind.Kind, strings.TrimPrefix(id.namespace+"/"+id.name, "/"), first.File, first.Line))
	}
	return false
}

// pod takes in what an outline has of a Pod.
func (c *cluster) pod(object *manifest.Object) {
	document, err := engine.ParseJSON(object.JSON)
	if err != nil {
		c.problem(object, "", err.Error())
		return
	}
	labels, spec := document.Get("metadata", "labels"), document.Get("spec")
	hostNetwork := spec.Get("hostNetwork")
	switch {
	case labels.Exists() && (!labels.IsObject() || len(labels.StringMap()) != labels.Len()):
		c.problem(object, "metadata.labels", "expected a mapping of strings, got "+labels.String())
		return
	case spec.Exists() && !spec.IsObject():
		c.problem(object, "spec", "expected a mapping, got "+spec.String())
		return
	case hostNetwork.Exists() && !hostNetwork.Bool() && hostNetwork.String() != "false":
		c.problem(object, "spec.hostNetwork", "expected true or false, got "+hostNetwork.String())
		return
	}
	namespace := c.home(object)
	if !c.wanted[podKind] && !c.isNew(identity{podKind, namespace, object.Name}, object) {
		return
	}
	c.inhabit(namespace)
	c.pods[namespace] = append(c.pods[namespace], pod{object.Name, labels.StringMap(), hostNetwork.Bool()})
}

// inhabit remembers that something is in a namespace.
func (c *cluster) inhabit(namespace string) {
	if !c.inState {
		c.homes[namespace] = true
	}
}

// home is the namespace of a Pod.
func (c *cluster) home(object *manifest.Object) string {
	return cmp.Or(object.Namespace, c.options.Namespace, metav1.NamespaceDefault)
}

func (c *cluster) problem(object *manifest.Object, field, message string) {
	c.problems = append(c.problems, object.Problem(field, message))
}

func groupKind(apiVersion, kind string) schema.GroupKind {
	gv, err := schema.ParseGroupVersion(apiVersion)
	if err != nil {
		gv.Group = apiVersion
	}
	return schema.GroupKind{Group: gv.Group, Kind: kind}
}
