package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// GateException excuses named objects from named policies, with a reason and an expiry.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=gex,categories=sluice
// +kubebuilder:subresource:status
type GateException struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   GateExceptionSpec   `json:"spec"`
	Status GateExceptionStatus `json:"status,omitempty"`
}

// GateExceptionSpec says who is excused from what, why and until when.
type GateExceptionSpec struct {
	// Policies are names of GatePolicies.
	// +kubebuilder:validation:MinItems=1
	Policies []string `json:"policies"`
	// Match selects the excused objects. All given fields have to match.
	Match ExceptionMatch `json:"match"`
	// Reason is shown wherever the exception counts.
	// +kubebuilder:validation:MinLength=1
	Reason string `json:"reason"`
	// Expires is when the exception stops to excuse.
	Expires metav1.Time `json:"expires"`
}

// ExceptionMatch selects objects.
type ExceptionMatch struct {
	// +optional
	Kinds []string `json:"kinds,omitempty"`
	// +optional
	Namespaces []string `json:"namespaces,omitempty"`
	// +optional
	Names []string `json:"names,omitempty"`
	// +optional
	NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector,omitempty"`
	// +optional
	ObjectSelector *metav1.LabelSelector `json:"objectSelector,omitempty"`
}

// GateExceptionStatus is what the controller last saw of the exception.
type GateExceptionStatus struct {
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// GateExceptionList is a list of GateException.
//
// +kubebuilder:object:root=true
type GateExceptionList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []GateException `json:"items"`
}
