package manifest

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// The validation here covers what rules rely on. It accepts everything that an
// API server accepts in some configuration: CIDRs and addresses in legacy forms
// pass, because a rule judges them.

// invalid makes an error of every message.
func invalid(path *field.Path, value any, messages []string) field.ErrorList {
	var errs field.ErrorList
	for _, message := range messages {
		errs = append(errs, field.Invalid(path, value, message))
	}
	return errs
}

// validateMetadata checks names and labels. An object that is to get a generated
// name is checked with one, as the API server does.
func validateMetadata(object metav1.Object, k kind) field.ErrorList {
	if prefix := object.GetGenerateName(); object.GetName() == "" && prefix != "" {
		const longestPrefix, suffix = 58, "00000" // k8s.io/apiserver/pkg/storage/names
		object.SetName(prefix[:min(len(prefix), longestPrefix)] + suffix)
		defer object.SetName("")
	}
	names := apivalidation.NameIsDNSSubdomain
	if k.name == "Service" || k.name == "Namespace" {
		names = apivalidation.NameIsDNSLabel
	}
	return apivalidation.ValidateObjectMetaAccessor(object, k.namespaced, names, field.NewPath("metadata"))
}

func validateNamespace(*corev1.Namespace) field.ErrorList { return nil }

func validateIngressClass(c *networkingv1.IngressClass) field.ErrorList {
	path := field.NewPath("spec", "controller")
	if c.Spec.Controller == "" {
		return field.ErrorList{field.Required(path, "the name of a controller, such as k8s.io/ingress-nginx")}
	}
	return validation.IsDomainPrefixedPath(path, c.Spec.Controller)
}

func protocols() []corev1.Protocol {
	return []corev1.Protocol{corev1.ProtocolSCTP, corev1.ProtocolTCP, corev1.ProtocolUDP}
}

func validateProtocol(protocol corev1.Protocol, path *field.Path) field.ErrorList {
	for _, p := range protocols() {
		if protocol == p {
			return nil
		}
	}
	return field.ErrorList{field.NotSupported(path, protocol, protocols())}
}

func validatePortNumber(port int32, path *field.Path) field.ErrorList {
	return invalid(path, port, validation.IsValidPortNum(int(port)))
}

func validatePortNumberOrName(port intstr.IntOrString, path *field.Path) field.ErrorList {
	if port.Type == intstr.Int {
		return validatePortNumber(port.IntVal, path)
	}
	return invalid(path, port.StrVal, validation.IsValidPortName(port.StrVal))
}

func validateSelector(selector *metav1.LabelSelector, path *field.Path) field.ErrorList {
	return metavalidation.ValidateLabelSelector(selector, metavalidation.LabelSelectorValidationOptions{}, path)
}

// validateWorkload checks a workload with a selector.
func validateWorkload(selector *metav1.LabelSelector, template *corev1.PodTemplateSpec) field.ErrorList {
	spec := field.NewPath("spec")
	errs := validateTemplate(template, spec)
	if selector == nil {
		return append(errs, field.Required(spec.Child("selector"), "the labels of the template's pods"))
	}
	errs = append(errs, validateSelector(selector, spec.Child("selector"))...)
	if parsed, err := metav1.LabelSelectorAsSelector(selector); err == nil && !parsed.Matches(labelSet(template.Labels)) {
		errs = append(errs, field.Invalid(spec.Child("template", "metadata", "labels"), template.Labels,
			"`selector` does not match template `labels`"))
	}
	return errs
}

func validateReplicationController(r *corev1.ReplicationController) field.ErrorList {
	if r.Spec.Template == nil {
		return field.ErrorList{field.Required(field.NewPath("spec", "template"), "what its pods are made of")}
	}
	var selector *metav1.LabelSelector
	if len(r.Spec.Selector) > 0 {
		selector = &metav1.LabelSelector{MatchLabels: r.Spec.Selector}
	}
	return validateWorkload(selector, r.Spec.Template)
}

// labelSet are labels as selectors read them.
type labelSet map[string]string

func (l labelSet) Has(label string) bool { _, ok := l[label]; return ok }

func (l labelSet) Get(label string) string { return l[label] }

func (l labelSet) Lookup(label string) (string, bool) { value, ok := l[label]; return value, ok }

func validateTemplate(template *corev1.PodTemplateSpec, above *field.Path) field.ErrorList {
	path := above.Child("template")
	errs := metavalidation.ValidateLabels(template.Labels, path.Child("metadata", "labels"))
	return append(errs, validatePodSpec(&template.Spec, path.Child("spec"))...)
}

func validatePodSpec(spec *corev1.PodSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if len(spec.Containers) == 0 {
		errs = append(errs, field.Required(path.Child("containers"), "a pod has at least one container"))
	}
	errs = append(errs, validateContainers(spec.InitContainers, path.Child("initContainers"))...)
	return append(errs, validateContainers(spec.Containers, path.Child("containers"))...)
}

func validateContainers(containers []corev1.Container, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, container := range containers {
		for j, port := range container.Ports {
			at := path.Index(i).Child("ports").Index(j)
			errs = append(errs, validatePortNumber(port.ContainerPort, at.Child("containerPort"))...)
			if port.HostPort != 0 {
				errs = append(errs, validatePortNumber(port.HostPort, at.Child("hostPort"))...)
			}
			errs = append(errs, validateProtocol(port.Protocol, at.Child("protocol"))...)
		}
	}
	return errs
}
