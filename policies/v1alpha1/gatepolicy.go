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
// +kubebuilder:printcolumn:name="Rule",type=string,JSONPath=`.status.rule`
// +kubebuilder:printcolumn:name="Action",type=string,JSONPath=`.spec.action`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Findings",type=integer,JSONPath=`.status.audit.findings`
// +kubebuilder:printcolumn:name="Satisfied",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Satisfied")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Reason",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 63",message="a policy's name has at most 63 characters"
type GatePolicy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   GatePolicySpec   `json:"spec"`
	Status GatePolicyStatus `json:"status,omitempty"`
}

// GatePolicySpec is a rule, its parameters, what it applies to and what its findings do.
//
// +kubebuilder:validation:XValidation:rule="has(self.rule) != has(self.rego)",message="give exactly one of rule and rego"
// +kubebuilder:validation:XValidation:rule="has(self.rego) || !has(self.libs)",message="libs belong to rego"
type GatePolicySpec struct {
	// Rule is the id of a rule that Sluice ships or that was given as a file. Exactly one of rule and rego.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Rule string `json:"rule,omitempty"`
	// Rego is the source of a rule of one's own. It may import data.sluice.lib.*.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=131072
	Rego string `json:"rego,omitempty"`
	// Libs are further modules that the rego imports, each in a package below data.sluice.lib. They are this
	// policy's alone.
	// +optional
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=65536
	// +listType=atomic
	Libs []string `json:"libs,omitempty"`
	// Parameters are checked against the rule's schema, which also holds their defaults.
	// +optional
	// +kubebuilder:pruning:PreserveUnknownFields
	// +kubebuilder:validation:Type=object
	Parameters *runtime.RawExtension `json:"parameters,omitempty"`
	// Action defaults to Deny.
	// +optional
	// +kubebuilder:default=Deny
	Action Action `json:"action,omitempty"`
	// Match narrows what the rule's METADATA says it judges. Empty fields match everything.
	// +optional
	Match Match `json:"match,omitempty"`
	// Generate says how what the rule generates is kept. It is for rules that generate.
	// +optional
	Generate *Generate `json:"generate,omitempty"`
	// Message is added to the policy's findings, such as a link to a page that explains them.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
}

// Match narrows the requests that a policy judges. All given fields have to match.
type Match struct {
	// Kinds are group/Kind; the core group is bare. They are a subset of the rule's kinds.
	// +optional
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=317
	// +listType=set
	Kinds []string `json:"kinds,omitempty"`
	// Operations are a subset of the rule's operations.
	// +optional
	// +kubebuilder:validation:MaxItems=3
	// +kubebuilder:validation:items:Enum=CREATE;UPDATE;DELETE
	// +listType=set
	Operations []string `json:"operations,omitempty"`
	// Namespaces are names, or globs in which * stands for any characters.
	// +optional
	// +kubebuilder:validation:MaxItems=1024
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	// +listType=set
	Namespaces []string `json:"namespaces,omitempty"`
	// ExcludedNamespaces are names or globs, and win over namespaces.
	// +optional
	// +kubebuilder:validation:MaxItems=1024
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	// +listType=set
	ExcludedNamespaces []string `json:"excludedNamespaces,omitempty"`
	// NamespaceSelector selects by the labels of the object's namespace; for a Namespace by its own, or those of its
	// old object: whoever takes a label off is still judged.
	// Cluster-scoped objects match.
	// +optional
	NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector,omitempty"`
	// ObjectSelector selects by the labels of the object or of the old object: whoever takes a label off
	// is still judged.
	// +optional
	ObjectSelector *metav1.LabelSelector `json:"objectSelector,omitempty"`
	// ExcludedSubjects are users whose requests are not judged.
	// +optional
	// +kubebuilder:validation:MaxItems=256
	// +listType=atomic
	ExcludedSubjects []Subject `json:"excludedSubjects,omitempty"`
}

// Subject names a user, a group or a ServiceAccount, as in RBAC.
//
// +kubebuilder:validation:XValidation:rule="(self.kind == 'ServiceAccount') == has(self.namespace)",message="a ServiceAccount needs a namespace, a User or Group has none"
type Subject struct {
	// +kubebuilder:validation:Enum=User;Group;ServiceAccount
	Kind string `json:"kind"`
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Name string `json:"name"`
	// Namespace is required for a ServiceAccount.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`
}

// GatePolicyStatus is what the controller last saw of the policy.
type GatePolicyStatus struct {
	// ObservedGeneration is the generation that the conditions are about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Conditions are Compiled (this generation is a valid policy), Ready (this generation judges what it
	// matches) and, of a policy that generates, Satisfied (everything exists that it asks for).
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// Rule is the id of the rule in use, whether it was named or written inline.
	// +optional
	Rule string `json:"rule,omitempty"`
	// LastGood is the newest version that compiled. It stays in use while the spec does not compile.
	// +optional
	LastGood *LastGood `json:"lastGood,omitempty"`
	// Audit is what the policy says of the objects that exist.
	// +optional
	Audit *AuditStatus `json:"audit,omitempty"`
	// Generate is for how many objects the policy has generated what they need.
	// +optional
	Generate *GenerateStatus `json:"generate,omitempty"`
}

// LastGood is a version of a policy that compiled.
type LastGood struct {
	Generation int64          `json:"generation"`
	Spec       GatePolicySpec `json:"spec"`
	// Kinds and Operations are what this version judged. A policy whose rule is gone denies these.
	// +optional
	// +listType=atomic
	Kinds []string `json:"kinds,omitempty"`
	// +optional
	// +listType=atomic
	Operations []string `json:"operations,omitempty"`
}

// AuditStatus counts what a policy finds in the objects that exist.
type AuditStatus struct {
	// Findings is how many findings the policy has that no exception excuses, whatever its action.
	Findings int64 `json:"findings"`
	// Excused is how many findings exceptions excuse.
	// +optional
	Excused int64 `json:"excused,omitempty"`
	// Time is when the objects were judged.
	Time metav1.Time `json:"time"`
	// Examples are some of the objects that have findings.
	// +optional
	// +kubebuilder:validation:MaxItems=10
	// +listType=atomic
	Examples []AuditExample `json:"examples,omitempty"`
}

// AuditExample is one finding.
type AuditExample struct {
	Kind string `json:"kind"`
	// +optional
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
	Message   string `json:"message"`
}

// The condition types of GatePolicies and GateExceptions.
const (
	ConditionReady     = "Ready"
	ConditionCompiled  = "Compiled"
	ConditionSatisfied = "Satisfied"
)

// The reasons of a GatePolicy's conditions.
const (
	// ReasonCompiled and ReasonNotCompiled are of the condition Compiled.
	ReasonCompiled    = "Compiled"
	ReasonNotCompiled = "NotCompiled"
	// ReasonActive: the policy judges what it matches.
	ReasonActive = "Active"
	// ReasonLastGoodActive: the spec does not compile, an older version of the policy is in use.
	ReasonLastGoodActive = "LastGoodActive"
	// ReasonKindNotServed: the API server doesn't know a kind of the policy; it may come with a CRD.
	ReasonKindNotServed = "KindNotServed"
	// ReasonMissingRights: Sluice may not read or write what the policy needs.
	ReasonMissingRights = "MissingRights"
	// ReasonStateNotSynced: objects that the rule asks about are still being read.
	ReasonStateNotSynced = "StateNotSynced"
	// ReasonSatisfied, ReasonPending and ReasonFailed are of the condition Satisfied; so is ReasonReportOnly, of a policy whose
	// action is not Deny.
	ReasonSatisfied  = "Satisfied"
	ReasonPending    = "Pending"
	ReasonFailed     = "Failed"
	ReasonReportOnly = "ReportOnly"
	// ReasonNotIntercepted: the webhook configurations don't send the policy's kinds to Sluice.
	ReasonNotIntercepted = "NotIntercepted"
)

// GatePolicyList is a list of GatePolicy.
//
// +kubebuilder:object:root=true
type GatePolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []GatePolicy `json:"items"`
}
