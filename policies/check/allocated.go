package check

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sluice-gate/sluice/policies/engine"
)

// WithAllocated is the Service of an update with what the API server keeps of the stored one before it asks a validating
// webhook: addresses, IP families and node ports that the update leaves out (patchAllocatedValues and initIPFamilyFields in
// pkg/registry/core/service/storage). Any other object stays as it is.
func WithAllocated(object, stored engine.Document) (engine.Document, error) {
	spec, before := object.Get("spec"), stored.Get("spec")
	if identityOf(object).kind != (schema.GroupKind{Kind: "Service"}) || isAlias(spec) || isAlias(before) {
		return object, nil
	}
	single := spec.Get("ipFamilyPolicy").Text() == string(corev1.IPFamilyPolicySingleStack)
	for _, key := range []string{"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"} {
		if given := spec.Get(key); given.Text() != "" || given.Len() > 0 {
			continue
		}
		value := before.Get(key)
		if single && value.Len() > 1 {
			var err error
			if value, err = engine.FromGo(value.Elements()[:1]); err != nil {
				return object, fmt.Errorf("keep the first of %s: %w", key, err)
			}
		}
		spec = spec.With(key, value)
	}
	if checksHealth(spec) && checksHealth(before) && spec.Get("healthCheckNodePort").Int() == 0 {
		spec = spec.With("healthCheckNodePort", before.Get("healthCheckNodePort"))
	}
	if opensNodePorts(spec) && opensNodePorts(before) && spec.Get("ports").Len() > 0 {
		ports, err := engine.FromGo(withNodePorts(spec.Get("ports").Elements(), before.Get("ports").Elements()))
		if err != nil {
			return object, fmt.Errorf("keep node ports: %w", err)
		}
		spec = spec.With("ports", ports)
	}
	return object.With("spec", spec), nil
}

// withNodePorts are ports with the node ports of stored ones of the same names, but for those that the update gives to
// other ports.
func withNodePorts(ports, stored []engine.Document) []engine.Document {
	out := slices.Clone(ports)
	for i, port := range out {
		for _, old := range stored {
			number := old.Get("nodePort")
			given := slices.ContainsFunc(ports, func(p engine.Document) bool { return p.Get("nodePort").Int() == number.Int() })
			if port.Get("nodePort").Int() == 0 && !given && old.Get("name").Text() == port.Get("name").Text() {
				out[i] = port.With("nodePort", number)
			}
		}
	}
	return out
}

func isAlias(spec engine.Document) bool {
	return spec.Get("type").Text() == string(corev1.ServiceTypeExternalName)
}

func isBalancer(spec engine.Document) bool {
	return spec.Get("type").Text() == string(corev1.ServiceTypeLoadBalancer)
}

func opensNodePorts(spec engine.Document) bool {
	if allocate := spec.Get("allocateLoadBalancerNodePorts"); isBalancer(spec) {
		return !allocate.Exists() || allocate.Bool()
	}
	return spec.Get("type").Text() == string(corev1.ServiceTypeNodePort)
}

func checksHealth(spec engine.Document) bool {
	return isBalancer(spec) && spec.Get("externalTrafficPolicy").Text() == string(corev1.ServiceExternalTrafficPolicyLocal)
}
