package controllers

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/engine"
)

// hook is one of the entries of the shipped webhook configurations. Workloads have entries of their own, which
// a missing Sluice does not hold up.
type hook struct {
	mutating bool
	workload bool
	// core is the entry whose matchConditions keep from Sluice what the API server and Sluice themselves write. Conditions cost an
	// API server as much as a tenth of a review: the kinds that people write most have none.
	core bool
	// only is engine.HostNetwork for the entry whose matchConditions keep all other workloads from Sluice.
	only string
	// keeps is the name of an entry by which what policies generated is kept; "" for those that judge and repair.
	keeps string
}

// The entries by which what policies generated is kept.
const (
	guardGenerated  = "guard-generated"  // what was generated can't be changed
	guardNamespaces = "guard-namespaces" // nor the label of namespaces whose pods need not wait
	guardPods       = "guard-pods"       // nor the gate of pods that wait
	holdPods        = "hold-pods"        // which this one gives them
)

// holdHook is the one whose rules wait until all namespaces that need not wait are marked.
func holdHook() hook { return hook{mutating: true, keeps: holdPods} }

// hooks are in the order in which they are shipped: whoever applies a list settles its order.
func hooks() []hook {
	return []hook{{}, {workload: true}, {workload: true, only: engine.HostNetwork}, {mutating: true}, {mutating: true, workload: true},
		{keeps: guardGenerated}, {keeps: guardNamespaces}, {keeps: guardPods}, holdHook(), {core: true}, {mutating: true, core: true}}
}

// wider is the entry that sends all that h sends, and more.
func (h hook) wider() hook {
	return hook{mutating: h.mutating, workload: h.workload, core: h.core, keeps: h.keeps}
}

// name is the entry's name in its configuration.
func (h hook) name() string {
	if h.keeps != "" {
		return h.keeps + ".sluice.dev"
	}
	name := "validate"
	if h.mutating {
		name = "mutate"
	}
	switch {
	case h.only != "":
		name += "-" + h.only
	case h.workload:
		name += "-workloads"
	case h.core:
		name += "-core"
	}
	return name + ".sluice.dev"
}

// isWorkload tells kinds whose objects are pods or have templates of pods.
func isWorkload(kind schema.GroupKind) bool {
	switch kind.Group {
	case "apps", "batch":
		return true
	case "":
		return kind.Kind == "Pod" || kind.Kind == "ReplicationController" || kind.Kind == "PodTemplate"
	}
	return false
}

// isCore tells kinds of which not only people write objects: default/kubernetes is the API server's, and Sluice marks namespaces.
func isCore(kind schema.GroupKind) bool {
	return kind == namespaceKind || policies.APIServerKeeps(kind)
}

// interest is all that policies want to know of one kind at one hook.
type interest struct {
	operations   []engine.Operation
	subresources []string
}

// rulesFor are the rules of each hook that send what the policies want to be asked about and nothing else, and the
// kinds that the API server does not serve. matchPolicy Equivalent sends other versions of a kind too, converted. It is an
// error if nobody can tell whether a kind is served: then no rule may be taken away.
func rulesFor(interests []policies.Interest, mapper meta.RESTMapper) (map[hook][]admissionv1.RuleWithOperations, []schema.GroupKind, error) {
	wanted := wantedOf(interests)
	rules := map[hook][]admissionv1.RuleWithOperations{}
	var unserved []schema.GroupKind
	for h, kinds := range wanted {
		for kind, i := range kinds {
			mapping, err := mapper.RESTMapping(kind)
			switch {
			case meta.IsNoMatchError(err):
				unserved = append(unserved, kind)
			case err != nil:
				return nil, nil, fmt.Errorf("ask whether the API server serves %s: %w", engine.FormatGroupKind(kind), err)
			default:
				rules[h] = append(rules[h], i.rule(mapping))
			}
		}
		slices.SortFunc(rules[h], func(a, b admissionv1.RuleWithOperations) int {
			return cmp.Or(cmp.Compare(a.APIGroups[0], b.APIGroups[0]), cmp.Compare(a.Resources[0], b.Resources[0]))
		})
	}
	return rules, unserved, nil
}

// wantedOf is what is wanted of each kind at each hook. A kind that some policy wants all objects of is sent by one entry
// alone, so that no object is reviewed twice.
func wantedOf(interests []policies.Interest) map[hook]map[schema.GroupKind]*interest {
	wanted := map[hook]map[schema.GroupKind]*interest{}
	for _, narrow := range []bool{false, true} {
		for _, i := range interests {
			if narrow != (i.Only != "") {
				continue
			}
			for _, kind := range i.Kinds {
				h := hook{workload: isWorkload(kind), core: isCore(kind), only: i.Only}
				if wanted[h.wider()][kind] != nil {
					h = h.wider()
				}
				if i.Judges {
					want(wanted, h, kind, i)
				}
				if i.Patches {
					want(wanted, hook{mutating: true, workload: h.workload, core: h.core}, kind, i)
				}
			}
			if i.Leaving && i.Judges {
				want(wanted, hook{core: true}, namespaceKind, policies.Interest{Operations: []engine.Operation{engine.Update}})
			}
		}
	}
	for _, i := range interests {
		wantKept(wanted, i)
	}
	return wanted
}

// wantKept adds what has to be known to keep what a policy generates.
func wantKept(wanted map[hook]map[schema.GroupKind]*interest, i policies.Interest) {
	if !i.Keeps {
		return
	}
	for _, kind := range i.Generates {
		want(wanted, hook{keeps: guardGenerated}, kind, policies.Interest{Operations: []engine.Operation{engine.Create, engine.Update, engine.Delete}})
	}
	if i.HoldsPods {
		want(wanted, hook{keeps: guardNamespaces}, namespaceKind, policies.Interest{
			Operations: []engine.Operation{engine.Create, engine.Update}, Subresources: []string{"finalize", "status"}})
		want(wanted, hook{keeps: guardPods}, podKind, policies.Interest{Operations: []engine.Operation{engine.Update}})
		want(wanted, holdHook(), podKind, policies.Interest{Operations: []engine.Operation{engine.Create}})
	}
}

// want adds what a policy wants to know of a kind at a hook. A rule has to have operations: one that the API server
// refuses would keep it from taking any other.
func want(wanted map[hook]map[schema.GroupKind]*interest, h hook, kind schema.GroupKind, i policies.Interest) {
	operations := i.Operations
	if h.mutating { // on DELETE there is nothing to patch
		operations = slices.DeleteFunc(slices.Clone(operations), func(o engine.Operation) bool { return o == engine.Delete })
	}
	if len(operations) == 0 {
		return
	}
	if wanted[h] == nil {
		wanted[h] = map[schema.GroupKind]*interest{}
	}
	if wanted[h][kind] == nil {
		wanted[h][kind] = &interest{}
	}
	all := wanted[h][kind]
	all.operations = append(all.operations, operations...)
	all.subresources = append(all.subresources, i.Subresources...)
}

func (i *interest) rule(mapping *meta.RESTMapping) admissionv1.RuleWithOperations {
	scope := admissionv1.ClusterScope
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		scope = admissionv1.NamespacedScope
	}
	rule := admissionv1.RuleWithOperations{Rule: admissionv1.Rule{
		APIGroups: []string{mapping.Resource.Group}, APIVersions: []string{mapping.Resource.Version},
		Resources: []string{mapping.Resource.Resource}, Scope: &scope,
	}}
	slices.Sort(i.operations)
	for _, operation := range slices.Compact(i.operations) {
		rule.Operations = append(rule.Operations, admissionv1.OperationType(operation))
	}
	slices.SortFunc(i.subresources, strings.Compare)
	for _, subresource := range slices.Compact(i.subresources) {
		rule.Resources = append(rule.Resources, mapping.Resource.Resource+"/"+subresource)
	}
	return rule
}

// covers tells whether some of the rules sends everything that the wanted rule does.
func covers(rules []admissionv1.RuleWithOperations, wanted admissionv1.RuleWithOperations) bool {
	return slices.ContainsFunc(rules, func(r admissionv1.RuleWithOperations) bool {
		return containsAll(r.APIGroups, wanted.APIGroups) && containsAll(r.APIVersions, wanted.APIVersions) &&
			containsAll(r.Resources, wanted.Resources) && containsAll(r.Operations, wanted.Operations) &&
			(r.Scope == nil || *r.Scope == admissionv1.AllScopes || *r.Scope == *wanted.Scope)
	})
}

// containsAll tells whether all wanted values are among those given; * is any.
func containsAll[T ~string](given, wanted []T) bool {
	for _, w := range wanted {
		if !slices.Contains(given, w) && !slices.Contains(given, "*") {
			return false
		}
	}
	return true
}
