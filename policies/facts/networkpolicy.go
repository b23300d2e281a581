package facts

import (
	"slices"
	"strconv"

	networkingv1 "k8s.io/api/networking/v1"
)

// The directions of a NetworkPolicy, as in policyTypes.
const (
	Ingress = string(networkingv1.PolicyTypeIngress)
	Egress  = string(networkingv1.PolicyTypeEgress)
)

// PolicyTypes are the directions that np isolates, after the API server's
// defaulting: without policyTypes Ingress, and Egress if there is at least one
// egress rule. The order is Ingress, Egress.
func PolicyTypes(np *networkingv1.NetworkPolicy) []string {
	types := make([]string, 0, 2)
	if isolates(np, networkingv1.PolicyTypeIngress) {
		types = append(types, Ingress)
	}
	if isolates(np, networkingv1.PolicyTypeEgress) {
		types = append(types, Egress)
	}
	return types
}

func isolates(np *networkingv1.NetworkPolicy, direction networkingv1.PolicyType) bool {
	if np == nil {
		return false
	}
	if len(np.Spec.PolicyTypes) == 0 {
		return direction == networkingv1.PolicyTypeIngress || len(np.Spec.Egress) > 0
	}
	return slices.Contains(np.Spec.PolicyTypes, direction)
}

// IgnoredRule are rules that policyTypes switches off.
type IgnoredRule struct {
	Direction string `json:"direction"` // "Ingress" or "Egress"
	Field     string `json:"field"`     // "spec.ingress" or "spec.egress"
	Rules     int    `json:"rules"`     // how many
}

// IgnoredRules are the rules of np that have no effect, because policyTypes
// does not name their direction: at most one result per direction.
func IgnoredRules(np *networkingv1.NetworkPolicy) []IgnoredRule {
	if np == nil {
		return nil
	}
	var ignored []IgnoredRule
	if n := len(np.Spec.Ingress); n > 0 && !isolates(np, networkingv1.PolicyTypeIngress) {
		ignored = append(ignored, IgnoredRule{Direction: Ingress, Field: "spec.ingress", Rules: n})
	}
	if n := len(np.Spec.Egress); n > 0 && !isolates(np, networkingv1.PolicyTypeEgress) {
		ignored = append(ignored, IgnoredRule{Direction: Egress, Field: "spec.egress", Rules: n})
	}
	return ignored
}

// rule is an ingress or egress rule without its direction.
type rule struct {
	direction string
	index     int
	peers     []networkingv1.NetworkPolicyPeer
	ports     []networkingv1.NetworkPolicyPort
}

// rulesOf are the rules of np that have an effect, in their order.
func rulesOf(np *networkingv1.NetworkPolicy) []rule {
	if np == nil {
		return nil
	}
	rules := make([]rule, 0, len(np.Spec.Ingress)+len(np.Spec.Egress))
	if isolates(np, networkingv1.PolicyTypeIngress) {
		for i := range np.Spec.Ingress {
			r := &np.Spec.Ingress[i]
			rules = append(rules, rule{Ingress, i, r.From, r.Ports})
		}
	}
	if isolates(np, networkingv1.PolicyTypeEgress) {
		for i := range np.Spec.Egress {
			r := &np.Spec.Egress[i]
			rules = append(rules, rule{Egress, i, r.To, r.Ports})
		}
	}
	return rules
}

// field is spec.ingress[i] or spec.egress[i].
func (r rule) field() string {
	name := "spec.ingress["
	if r.direction == Egress {
		name = "spec.egress["
	}
	return name + strconv.Itoa(r.index) + "]"
}

// peersField is where the peers of r are listed.
func (r rule) peersField() string {
	if r.direction == Egress {
		return r.field() + ".to"
	}
	return r.field() + ".from"
}

func (r rule) peerField(i int) string { return r.peersField() + "[" + strconv.Itoa(i) + "]" }
