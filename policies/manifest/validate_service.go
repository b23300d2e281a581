package manifest

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// validateService refuses what ValidateService in
// k8s.io/kubernetes/pkg/apis/core/validation refuses about types, ports and
// addresses.
func validateService(s *corev1.Service) field.ErrorList {
	path, spec := field.NewPath("spec"), &s.Spec
	errs := validateServiceType(spec, path)
	errs = append(errs, metavalidation.ValidateLabels(spec.Selector, path.Child("selector"))...)
	errs = append(errs, validateServicePorts(spec, path.Child("ports"))...)
	for i, ip := range spec.ExternalIPs {
		errs = append(errs, validation.IsValidIPForLegacyField(path.Child("externalIPs").Index(i), ip, false, nil)...)
	}
	return append(errs, validateSourceRanges(s, path.Child("loadBalancerSourceRanges"))...)
}

func validateServiceType(spec *corev1.ServiceSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	types := []corev1.ServiceType{corev1.ServiceTypeClusterIP, corev1.ServiceTypeExternalName,
		corev1.ServiceTypeLoadBalancer, corev1.ServiceTypeNodePort}
	if !slices.Contains(types, spec.Type) {
		errs = append(errs, field.NotSupported(path.Child("type"), spec.Type, types))
	}
	headless := spec.ClusterIP == corev1.ClusterIPNone
	switch spec.Type {
	case corev1.ServiceTypeExternalName:
		name := strings.TrimSuffix(spec.ExternalName, ".")
		if name == "" {
			return append(errs, field.Required(path.Child("externalName"), "the DNS name that the Service stands for"))
		}
		return append(errs, invalid(path.Child("externalName"), spec.ExternalName, validation.IsDNS1123Subdomain(name))...)
	case corev1.ServiceTypeNodePort, corev1.ServiceTypeLoadBalancer:
		if headless {
			errs = append(errs, field.Invalid(path.Child("clusterIP"), spec.ClusterIP,
				fmt.Sprintf("may not be None for a Service of type %s", spec.Type)))
		}
	}
	if spec.ClusterIP != "" && !headless {
		errs = append(errs, validation.IsValidIPForLegacyField(path.Child("clusterIP"), spec.ClusterIP, false, nil)...)
	}
	if len(spec.Ports) == 0 && !headless {
		errs = append(errs, field.Required(path.Child("ports"), "at least one port"))
	}
	return errs
}

func validateServicePorts(spec *corev1.ServiceSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	names := map[string]bool{}
	type number struct {
		protocol corev1.Protocol
		port     int32
	}
	numbers := map[number]bool{}
	for i, port := range spec.Ports {
		at := path.Index(i)
		switch {
		case port.Name == "" && len(spec.Ports) > 1:
			errs = append(errs, field.Required(at.Child("name"), "every port of a Service with several ports has a name"))
		case port.Name != "" && names[port.Name]:
			errs = append(errs, field.Duplicate(at.Child("name"), port.Name))
		case port.Name != "":
			errs = append(errs, invalid(at.Child("name"), port.Name, validation.IsDNS1123Label(port.Name))...)
		}
		names[port.Name] = true
		errs = append(errs, validatePortNumber(port.Port, at.Child("port"))...)
		errs = append(errs, validateProtocol(port.Protocol, at.Child("protocol"))...)
		if port.TargetPort.IntVal != port.Port {
			errs = append(errs, validatePortNumberOrName(port.TargetPort, at.Child("targetPort"))...)
		}
		errs = append(errs, validateNodePort(spec.Type, port.NodePort, at.Child("nodePort"))...)
		if key := (number{port.Protocol, port.Port}); numbers[key] {
			errs = append(errs, field.Duplicate(at, fmt.Sprintf("%s %d", port.Protocol, port.Port)))
		} else {
			numbers[key] = true
		}
	}
	return errs
}

// validateNodePort leaves the range to the cluster, which may have its own.
func validateNodePort(serviceType corev1.ServiceType, port int32, path *field.Path) field.ErrorList {
	switch {
	case port == 0:
		return nil
	case serviceType == corev1.ServiceTypeClusterIP || serviceType == corev1.ServiceTypeExternalName:
		return field.ErrorList{field.Forbidden(path, fmt.Sprintf("may not be used when `type` is %s", serviceType))}
	}
	return validatePortNumber(port, path)
}

// validateSourceRanges checks the field, or the annotation that stood for it
// before, which counts when the field is empty.
func validateSourceRanges(s *corev1.Service, path *field.Path) field.ErrorList {
	ranges := s.Spec.LoadBalancerSourceRanges
	at := func(i int) *field.Path { return path.Index(i) }
	if len(ranges) > 0 && s.Spec.Type != corev1.ServiceTypeLoadBalancer {
		return field.ErrorList{field.Forbidden(path, "may only be used when `type` is LoadBalancer")}
	}
	if value := strings.TrimSpace(s.Annotations[corev1.AnnotationLoadBalancerSourceRangesKey]); len(ranges) == 0 && value != "" {
		ranges = strings.Split(value, ",")
		annotation := field.NewPath("metadata", "annotations").Key(corev1.AnnotationLoadBalancerSourceRangesKey)
		at = func(int) *field.Path { return annotation }
	}
	var errs field.ErrorList
	for i, r := range ranges {
		errs = append(errs, validation.IsValidCIDRForLegacyField(at(i), strings.TrimSpace(r), false, nil)...)
	}
	return errs
}
