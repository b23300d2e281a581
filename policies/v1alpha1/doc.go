// Package v1alpha1 holds the API types of policy.sluice.dev: GatePolicy switches a rule on, and
// GateException excuses named objects from named policies.
//
// +kubebuilder:object:generate=true
// +groupName=policy.sluice.dev
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Group is the API group of Sluice's own kinds.
const Group = "policy.sluice.dev"

// GroupVersion is the version that this package holds.
func GroupVersion() schema.GroupVersion {
	return schema.GroupVersion{Group: Group, Version: "v1alpha1"}
}

// AddToScheme registers the package's kinds.
func AddToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion(), &GatePolicy{}, &GatePolicyList{}, &GateException{}, &GateExceptionList{})
	metav1.AddToGroupVersion(scheme, GroupVersion())
	return nil
}
