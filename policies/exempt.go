package policies

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

// SystemNamespaces are never judged: the cluster has to be able to repair itself.
func SystemNamespaces() []string { return []string{"kube-node-lease", "kube-public", "kube-system"} }

// NeverMatchable names why a kind can't be judged by any policy; "" if it can. A policy on these would
// stop the cluster's heartbeat, or the way to undo the policy itself.
func NeverMatchable(kind schema.GroupKind) string {
	switch kind.Group {
	case v1alpha1.Group:
		return "policies judge policies through their own validation"
	case "coordination.k8s.io", "events.k8s.io":
		return "it is the cluster's heartbeat"
	case "authentication.k8s.io", "authorization.k8s.io":
		return "access reviews decide every other request"
	case "admissionregistration.k8s.io":
		return "webhook configurations are the way to undo a policy"
	case "apiextensions.k8s.io", "apiregistration.k8s.io":
		return "it defines what the API server serves"
	case "":
		if slices.Contains([]string{"Node", "Event"}, kind.Kind) {
			return "it is the cluster's heartbeat"
		}
		if slices.Contains([]string{"Binding", "ComponentStatus"}, kind.Kind) {
			return "it is no object that a person writes"
		}
	}
	return ""
}

// exemption says why a request is not judged, whatever the policies are; "" if it is.
func (g *Gate) exemption(r Request) string {
	if g.isSelf(r.User) {
		return ownRequest
	}
	kind := r.Kind.GroupKind()
	if reason := NeverMatchable(kind); reason != "" {
		return kind.String() + " is never judged: " + reason
	}
	namespace := r.Namespace
	if kind.Group == "" && kind.Kind == "Namespace" {
		namespace = r.Name
	}
	if namespace != "" && slices.ContainsFunc(g.exemptNamespaces, func(glob string) bool { return matchGlob(glob, namespace) }) {
		return "namespace " + namespace + " is exempt"
	}
	if APIServerKeeps(kind) && namespace == "default" && r.Name == "kubernetes" {
		return "default/kubernetes is the API server's own"
	}
	return ""
}

// APIServerKeeps tells the kinds of which the API server writes an object of its own, default/kubernetes.
func APIServerKeeps(kind schema.GroupKind) bool {
	switch kind {
	case schema.GroupKind{Kind: "Service"}, schema.GroupKind{Kind: "Endpoints"}, schema.GroupKind{Group: "discovery.k8s.io", Kind: "EndpointSlice"}:
		return true
	}
	return false
}

// matchGlob matches a name against a pattern in which * stands for any characters.
func matchGlob(glob, name string) bool {
	parts := strings.Split(glob, "*")
	if len(parts) == 1 {
		return glob == name
	}
	if !strings.HasPrefix(name, parts[0]) {
		return false
	}
	name = name[len(parts[0]):]
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(name, part)
		if i < 0 {
			return false
		}
		name = name[i+len(part):]
	}
	return strings.HasSuffix(name, parts[len(parts)-1])
}
