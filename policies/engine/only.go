package engine

import (
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// HostNetwork is the value of custom.only for a rule about pods that have the network of their node or a port of it, and
// about what makes such pods: the API server sends nothing else for it.
const HostNetwork = "host-network"

// podKinds are the kinds whose objects are pods or make pods.
func podKinds() []schema.GroupKind {
	return []schema.GroupKind{
		{Kind: "Pod"}, {Kind: "ReplicationController"},
		{Group: "apps", Kind: "DaemonSet"}, {Group: "apps", Kind: "Deployment"}, {Group: "apps", Kind: "ReplicaSet"}, {Group: "apps", Kind: "StatefulSet"},
		{Group: "batch", Kind: "CronJob"}, {Group: "batch", Kind: "Job"},
	}
}

// only needs kinds that have pods: no object of another kind would ever be judged.
func (r *customReader) only(kinds []schema.GroupKind) string {
	value, ok := r.get("only")
	if !ok {
		return ""
	}
	if value != HostNetwork {
		r.bad("only", "want %s, or no such key", HostNetwork)
		return ""
	}
	only := HostNetwork
	for _, kind := range kinds {
		if !slices.Contains(podKinds(), kind) {
			r.bad("only", "%s makes no pods, so that the rule would judge none", FormatGroupKind(kind))
			only = ""
		}
	}
	return only
}
