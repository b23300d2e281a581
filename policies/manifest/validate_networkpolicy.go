package manifest

import (
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"
)

// validateNetworkPolicy refuses what ValidateNetworkPolicySpec in
// k8s.io/kubernetes/pkg/apis/networking/validation refuses, with
// StrictIPCIDRValidation off.
func validateNetworkPolicy(p *networkingv1.NetworkPolicy) field.ErrorList {
	spec := field.NewPath("spec")
	errs := validateSelector(&p.Spec.PodSelector, spec.Child("podSelector"))
	for i, rule := range p.Spec.Ingress {
		at := spec.Child("ingress").Index(i)
		errs = append(errs, validatePeers(rule.From, at.Child("from"))...)
		errs = append(errs, validatePolicyPorts(rule.Ports, at.Child("ports"))...)
	}
	for i, rule := range p.Spec.Egress {
		at := spec.Child("egress").Index(i)
		errs = append(errs, validatePeers(rule.To, at.Child("to"))...)
		errs = append(errs, validatePolicyPorts(rule.Ports, at.Child("ports"))...)
	}
	return append(errs, validatePolicyTypes(p.Spec.PolicyTypes, spec.Child("policyTypes"))...)
}

func validatePolicyTypes(types []networkingv1.PolicyType, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	allowed := []networkingv1.PolicyType{networkingv1.PolicyTypeEgress, networkingv1.PolicyTypeIngress}
	if len(types) > len(allowed) {
		errs = append(errs, field.TooMany(path, len(types), len(allowed)))
	}
	for i, t := range types {
		if t != networkingv1.PolicyTypeIngress && t != networkingv1.PolicyTypeEgress {
			errs = append(errs, field.NotSupported(path.Index(i), t, allowed))
		}
	}
	return errs
}

func validatePolicyPorts(ports []networkingv1.NetworkPolicyPort, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, port := range ports {
		at := path.Index(i)
		if port.Protocol != nil {
			errs = append(errs, validateProtocol(*port.Protocol, at.Child("protocol"))...)
		}
		if port.Port != nil {
			errs = append(errs, validatePortNumberOrName(*port.Port, at.Child("port"))...)
		}
		if port.EndPort == nil {
			continue
		}
		end := at.Child("endPort")
		switch {
		case port.Port == nil:
			errs = append(errs, field.Invalid(end, *port.EndPort, "needs `port`, the first port of the range"))
		case port.Port.Type == intstr.String:
			errs = append(errs, field.Invalid(end, *port.EndPort, "needs a numeric `port`; a named port has no range"))
		default:
			if *port.EndPort < port.Port.IntVal {
				errs = append(errs, field.Invalid(end, *port.EndPort, "must be greater than or equal to `port`"))
			}
			errs = append(errs, validatePortNumber(*port.EndPort, end)...)
		}
	}
	return errs
}

func validatePeers(peers []networkingv1.NetworkPolicyPeer, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, peer := range peers {
		at := path.Index(i)
		selectors := peer.PodSelector != nil || peer.NamespaceSelector != nil
		switch {
		case peer.IPBlock == nil && !selectors:
			errs = append(errs, field.Required(at, "must specify a peer: ipBlock, podSelector or namespaceSelector"))
		case peer.IPBlock != nil && selectors:
			errs = append(errs, field.Forbidden(at, "may not specify both ipBlock and another peer; make them two items"))
		}
		if peer.PodSelector != nil {
			errs = append(errs, validateSelector(peer.PodSelector, at.Child("podSelector"))...)
		}
		if peer.NamespaceSelector != nil {
			errs = append(errs, validateSelector(peer.NamespaceSelector, at.Child("namespaceSelector"))...)
		}
		if peer.IPBlock != nil {
			errs = append(errs, validateIPBlock(peer.IPBlock, at.Child("ipBlock"))...)
		}
	}
	return errs
}

func validateIPBlock(block *networkingv1.IPBlock, path *field.Path) field.ErrorList {
	cidrPath := path.Child("cidr")
	if block.CIDR == "" {
		return field.ErrorList{field.Required(cidrPath, "a CIDR such as 10.0.0.0/8")}
	}
	errs := validation.IsValidCIDRForLegacyField(cidrPath, block.CIDR, false, nil)
	_, outer, outerErr := netutils.ParseCIDRSloppy(block.CIDR)
	for i, except := range block.Except {
		at := path.Child("except").Index(i)
		errs = append(errs, validation.IsValidCIDRForLegacyField(at, except, false, nil)...)
		_, inner, err := netutils.ParseCIDRSloppy(except)
		if err != nil || outerErr != nil {
			continue
		}
		outerBits, _ := outer.Mask.Size()
		innerBits, _ := inner.Mask.Size()
		if !outer.Contains(inner.IP) || innerBits <= outerBits {
			errs = append(errs, field.Invalid(at, except, "must be a strict subset of `cidr`, "+block.CIDR))
		}
	}
	return errs
}
