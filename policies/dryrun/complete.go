package dryrun

import (
	"maps"
	"slices"

	"github.com/sluice-gate/sluice/policies/manifest"
	"github.com/sluice-gate/sluice/policies/report"
)

const howToGet = "kubectl get namespaces,pods,networkpolicies -A -o yaml prints what is needed"

// checkInput tells of an input in which there is nothing to generate for: a pipe whose first command failed must not pass.
func (c *cluster) checkInput() {
	if len(c.namespaces) > 0 || len(c.problems) > 0 {
		return
	}
	message := "the input holds no Namespace, so that nothing is generated; " + howToGet
	if c.inputs == 0 {
		message = "the input holds no object; " + howToGet
	}
	c.problems = append(c.problems, manifest.Problem{Message: message})
}

// checkNamespaces tells of objects of the input whose Namespaces nobody gave: nothing would be said of them.
func (c *cluster) checkNamespaces() {
	if len(c.problems) > 0 {
		return
	}
	missing := slices.DeleteFunc(slices.Sorted(maps.Keys(c.homes)), func(namespace string) bool {
		return c.seen[identity{namespaceKind, "", namespace}] != nil
	})
	if len(missing) > 0 {
		const most = 10
		c.problems = append(c.problems, manifest.Problem{Message: "there are objects in namespaces whose Namespace is not given: " +
			report.Listed(missing, most) + "; " + howToGet})
	}
}
