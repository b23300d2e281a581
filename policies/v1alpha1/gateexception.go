package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// GateException excuses named objects from named policies, with a reason and an expiry. It is cluster-scoped:
// who owns a namespace can't excuse themselves.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=gex,categories=sluice
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Policies",type=string,JSONPath=`.spec.policies`
// +kubebuilder:printcolumn:name="Expires",type=string,JSONPath=`.spec.expires`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Why",type=string,JSONPath=`.spec.reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Reason",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
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
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	// +listType=set
	Policies []string `json:"policies"`
	// Match selects the excused objects. All given fields have to match.
	Match ExceptionMatch `json:"match"`
	// Reason is shown wherever the exception counts.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Reason string `json:"reason"`
	// Expires is when the exception stops to excuse, at most a year ahead.
	Expires metav1.Time `json:"expires"`
}

// ExceptionMatch selects objects.
//
// +kubebuilder:validation:XValidation:rule="has(self.names) || has(self.namespaces) || has(self.namespaceSelector) || has(self.objectSelector)",message="name the excused objects by names, namespaces, namespaceSelector or objectSelector"
type ExceptionMatch struct {
	// Kinds are group/Kind; the core group is bare.
	// +optional
	// +kubebuilder:validation:MaxItems=64
	// +listType=set
	Kinds []string `json:"kinds,omitempty"`
	// Namespaces are names, or globs in which * stands for any characters.
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1024
	// +kubebuilder:validation:items:MinLength=1
	// +listType=set
	Namespaces []string `json:"namespaces,omitempty"`
	// Names are names of objects, or globs.
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1024
	// +kubebuilder:validation:items:MinLength=1
	// +listType=set
	Names []string `json:"names,omitempty"`
	// NamespaceSelector selects by the labels of the object's namespace; cluster-scoped objects are not selected.
	// +optional
	NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector,omitempty"`
	// ObjectSelector selects by the labels of the object.
	// +optional
	ObjectSelector *metav1.LabelSelector `json:"objectSelector,omitempty"`
}

// GateExceptionStatus is what the controller last saw of the exception.
type GateExceptionStatus struct {
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Conditions are Ready: the exception excuses what it matches.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// The reasons of a GateException's condition Ready, beside ReasonActive.
const (
	// ReasonExpired: the exception excuses nothing any more.
	ReasonExpired = "Expired"
	// ReasonInvalid: the exception excuses nothing because its spec is wrong.
	ReasonInvalid = "Invalid"
	// ReasonUnknownPolicy: a named policy does not exist. The others are excused.
	ReasonUnknownPolicy = "UnknownPolicy"
)

// GateExceptionList is a list of GateException.
//
// +kubebuilder:object:root=true
type GateExceptionList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []GateException `json:"items"`
}
