package v1alpha1

// Retention says what becomes of generated objects that are no longer asked for.
//
// +kubebuilder:validation:Enum=Retain;Delete
type Retention string

// The retentions.
const (
	Retain Retention = "Retain"
	Remove Retention = "Delete"
)

// Generate says how the objects that a rule generates are kept.
type Generate struct {
	// Existing: objects that are older than the policy get what it generates, too. By default only those that are created
	// after it do, and those that hold something of it already.
	// +optional
	Existing bool `json:"existing,omitempty"`
	// OnUnmatch says what becomes of what was generated for an object that no longer matches, by its labels or the
	// policy's match. What is retained can't be changed as long as the policy exists.
	// +optional
	// +kubebuilder:default=Retain
	OnUnmatch Retention `json:"onUnmatch,omitempty"`
	// OnDelete says what becomes of everything that was generated when the policy is deleted. What is retained is an object
	// like any other from then on.
	// +optional
	// +kubebuilder:default=Retain
	OnDelete Retention `json:"onDelete,omitempty"`
	// HoldPods: pods that are created in a matching namespace wait for what is generated for it, by the scheduling gate
	// policy.sluice.dev/baseline. The label of this name on a namespace says that it has everything.
	// +optional
	HoldPods bool `json:"holdPods,omitempty"`
}

// GenerateStatus counts the objects that a policy generates for, such as namespaces.
type GenerateStatus struct {
	// Matched is Satisfied, Pending and Failed together.
	Matched int64 `json:"matched"`
	// Satisfied have everything that is generated for them. With action Warn or Audit they happen to have it.
	Satisfied int64 `json:"satisfied"`
	// Pending wait for their turn. With action Warn or Audit they would be given something.
	Pending int64 `json:"pending"`
	// Failed could not be given everything. It is tried again, ever more seldom, at least once a minute.
	Failed int64 `json:"failed"`
	// Older match, but are older than the policy, which leaves them alone unless spec.generate.existing is set.
	// +optional
	Older int64 `json:"older,omitempty"`
	// Examples are some of those that failed; with action Warn or Audit, some of those that would be given something.
	// +optional
	// +kubebuilder:validation:MaxItems=10
	// +listType=atomic
	Examples []GenerateExample `json:"examples,omitempty"`
}

// GenerateExample is what there is to say of one object that a policy generates for.
type GenerateExample struct {
	Kind string `json:"kind"`
	// +optional
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
	Message   string `json:"message"`
}

// The marks of generated objects.
const (
	// GeneratedByLabel holds the policy's name.
	GeneratedByLabel = Group + "/generated-by"
	// RuleAnnotation holds the id of the policy's rule, PolicyGenerationAnnotation the policy's generation when the object was
	// last written, and TriggerAnnotation the object because of which the generated one exists, as group/Kind and name, such as
	// Namespace/shop or networking.k8s.io/Ingress/shop/web.
	RuleAnnotation             = Group + "/rule"
	PolicyGenerationAnnotation = Group + "/policy-generation"
	TriggerAnnotation          = Group + "/trigger"
)

// BaselineMark is the name of the scheduling gate of pods that wait for what is generated for their namespace, and of the
// label, with the value BaselineReady, of a namespace whose pods need not wait.
const (
	BaselineMark  = Group + "/baseline"
	BaselineReady = "ready"
)
