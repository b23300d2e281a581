package policies

import (
	"slices"

	"github.com/sluice-gate/sluice/policies/engine"
)

// concerns tells whether an object is one of those that the rule is for, by custom.only in its METADATA.
func (m matcher) concerns(object engine.Document) bool {
	return m.only != engine.HostNetwork || onHostNetwork(object)
}

// onHostNetwork tells whether a pod, or the pods of a workload, have the network of their node or a port of it. The entry
// validate-host-network.sluice.dev in config/webhook asks the same of the API server, which may send more and must never
// send less. Ephemeral containers have no ports.
func onHostNetwork(object engine.Document) bool {
	pod := podSpec(object)
	return isSet(pod.Get("hostNetwork")) ||
		slices.ContainsFunc(pod.Get("containers").Elements(), hasHostPort) ||
		slices.ContainsFunc(pod.Get("initContainers").Elements(), hasHostPort)
}

// podSpec is the spec of a pod, or of the pods that a workload makes.
func podSpec(object engine.Document) engine.Document {
	spec := object.Get("spec")
	if job := spec.Get("jobTemplate", "spec"); job.Exists() {
		spec = job
	}
	if template := spec.Get("template"); template.Exists() {
		return template.Get("spec")
	}
	return spec
}

func hasHostPort(container engine.Document) bool {
	return slices.ContainsFunc(container.Get("ports").Elements(), func(port engine.Document) bool { return isSet(port.Get("hostPort")) })
}

// isSet tells whether a field says anything but false, 0 or null. What is of another type than it should be counts as set.
func isSet(field engine.Document) bool {
	return field.Exists() && !field.IsFalseOrZero()
}
