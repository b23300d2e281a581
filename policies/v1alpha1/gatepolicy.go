package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Action says what a policy's findings do to a request.
//
// +kubebuilder:validation:Enum=Deny;Warn;Audit
type Action string

// The actions of a policy. Findings of a rule's warn are never stronger than a warning.
const (
	ActionDeny  Action = "Deny"
	ActionWarn  Action = "Warn"
	ActionAudit Action = "Audit"
)

// GatePolicy is one rule switched on.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=gp,categories=sluice
// +kubebuilder:subresource:status
type GatePolicy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   GatePolicySpec   `json:"spec"`
	Status GatePolicyStatus `json:"status,omitempty"`
}

// GatePolicySpec is a rule, its parameters, what it applies to and what its findings do.
type GatePolicySpec struct {
	// Rule is the id of a rule that Sluice ships or that was given as a file. Exactly one of rule and rego.
	// +optional
	Rule string `json:"rule,omitempty"`
	// Rego is the source of a rule of one's own.
	// +optional
	Rego string `json:"rego,omitempty"`
	// Parameters are checked against the rule's schema, which also holds their defaults.
	// +optional
	// +kubebuilder:pruning:PreserveUnknownFields
	Parameters *runtime.RawExtension `json:"parameters,omitempty"`
	// Action defaults to Deny.
	// +optional
	// +kubebuilder:default=Deny
	Action Action `json:"action,omitempty"`
	// Match narrows what the rule's METADATA says it judges. Empty fields match everything.
	// +optional
	Match Match `json:"match,omitempty"`
	// Message is added to the policy's findings, such as a link to a page that explains them.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
}

// Match narrows the requests that a policy judges. All given fields have to match.
type Match struct {
	// Kinds are group/Kind; the core group is bare. They are a subset of the rule's kinds.
	// +optional
	Kinds []string `json:"kinds,omitempty"`
	// Operations are a subset of the rule's operations.
	// +optional
	Operations []string `json:"operations,omitempty"`
	// Namespaces are names, or globs in which * stands for any characters.
	// +optional
	Namespaces []string `json:"namespaces,omitempty"`
	// ExcludedNamespaces are names or globs, and win over namespaces.
	// +optional
	ExcludedNamespaces []string `json:"excludedNamespaces,omitempty"`
	// NamespaceSelector selects by the labels of the object's namespace; for a Namespace its own.
	// Cluster-scoped objects match.
	// +optional
	NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector,omitempty"`
	// ObjectSelector selects by the labels of the object or of the old object: whoever takes a label off
	// is still judged.
	// +optional
	ObjectSelector *metav1.LabelSelector `json:"objectSelector,omitempty"`
	// ExcludedSubjects are users whose requests are not judged.
	// +optional
	ExcludedSubjects []Subject `json:"excludedSubjects,omitempty"`
}

// Subject names a user, a group or a ServiceAccount, as in RBAC.
type Subject struct {
	// +kubebuilder:validation:Enum=User;Group;ServiceAccount
	Kind string `json:"kind"`
	Name string `json:"name"`
	// Namespace is required for a ServiceAccount.
	// +optional
	Namespace string `json:"namespace,omitempty"`
}

// GatePolicyStatus is what the controller last saw of the policy.
type GatePolicyStatus struct {
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// GatePolicyList is a list of GatePolicy.
//
// +kubebuilder:object:root=true
type GatePolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []GatePolicy `json:"items"`
}
