package facts

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Sources are what the source ranges of a load balancer let in.
type Sources struct {
	// Wide are the families in which they let in more than the limit, IPv4 first.
	Wide []WideSource `json:"wide"`
	// Unlisted are the families of the Service of which there is no range, though there are of the other:
	// kube-proxy then lets every address of the family in.
	Unlisted []UnlistedSource `json:"unlisted"`
}

// WideSource is a family in which source ranges let in more public addresses
// than the limit.
type WideSource struct {
	Family string `json:"family"` // "IPv4" or "IPv6"
	Reach  string `json:"reach"`  // such as "33,554,432 public addresses"
	// Field is the range that contributes most, or the annotation that holds it; empty if there are no ranges.
	Field string `json:"field"`
}

// UnlistedSource is a family without a source range.
type UnlistedSource struct {
	Family string `json:"family"`
	Field  string `json:"field"` // where the ranges of the other family are
}

// SourceRangesAnnotation counts where spec.loadBalancerSourceRanges is empty.
const SourceRangesAnnotation = corev1.AnnotationLoadBalancerSourceRangesKey

// LoadBalancerSources judges the source ranges of a Service of type
// LoadBalancer: those of the spec or, if there are none, those of the legacy
// annotation, read as the API server and the cloud providers read it. The
// error names the field of a range that is no CIDR.
func LoadBalancerSources(s *corev1.Service, limits Limits) (Sources, error) {
	ranges, list := SourceRanges(s)
	wide, err := WideRanges(ranges, limits)
	if err != nil {
		return Sources{}, fmt.Errorf("%s%w", list, err)
	}
	at := func(i int) string {
		switch {
		case i < 0:
			return ""
		case len(s.Spec.LoadBalancerSourceRanges) > 0:
			return fmt.Sprintf("%s[%d]", list, i)
		}
		return list
	}
	var out Sources
	for _, w := range wide {
		out.Wide = append(out.Wide, WideSource{Family: w.Family, Reach: w.Reach, Field: at(w.Index)})
	}
	for _, family := range unlistedFamilies(s, ranges) {
		out.Unlisted = append(out.Unlisted, UnlistedSource{Family: family, Field: list})
	}
	return out, nil
}

// SourceRanges are the source ranges that count, and the field that holds them.
func SourceRanges(s *corev1.Service) (ranges []string, field string) {
	if ranges := s.Spec.LoadBalancerSourceRanges; len(ranges) > 0 {
		return ranges, "spec.loadBalancerSourceRanges"
	}
	field = "metadata.annotations[" + SourceRangesAnnotation + "]"
	text := strings.TrimSpace(s.Annotations[SourceRangesAnnotation])
	if text == "" {
		return nil, field
	}
	return strings.Split(text, ","), field
}

// unlistedFamilies are the families that the Service has or asks for and that
// none of the ranges is of; none where there are no ranges at all.
func unlistedFamilies(s *corev1.Service, ranges []string) []string {
	var listed []string
	for _, r := range ranges {
		n, err := parseNetwork(strings.TrimSpace(r))
		switch {
		case err != nil: // WideRanges has said so
		case n.prefix.Addr().Is4() || n.everyIPv4:
			listed = append(listed, IPv4)
		default:
			listed = append(listed, IPv6)
		}
	}
	if len(listed) == 0 {
		return nil
	}
	var out []string
	for _, family := range []string{IPv4, IPv6} {
		if !slices.Contains(listed, family) && hasFamily(s, corev1.IPFamily(family)) {
			out = append(out, family)
		}
	}
	return out
}

// hasFamily tells whether a Service has addresses of a family, or will as far
// as what was asked for tells.
func hasFamily(s *corev1.Service, family corev1.IPFamily) bool {
	policy := s.Spec.IPFamilyPolicy
	return slices.Contains(s.Spec.IPFamilies, family) ||
		policy != nil && (*policy == corev1.IPFamilyPolicyRequireDualStack ||
			*policy == corev1.IPFamilyPolicyPreferDualStack && len(s.Spec.IPFamilies) == 0)
}
