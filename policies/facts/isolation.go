package facts

import (
	"fmt"
	"reflect"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// LostIsolation are pods that a change of a NetworkPolicy leaves without any
// policy for a direction.
type LostIsolation struct {
	Direction string `json:"direction"` // "Ingress" or "Egress"
	// Field is spec.policyTypes where the changed policy leaves the direction
	// out (spec where it has no policyTypes), else spec.podSelector.
	Field string `json:"field"`
	// Pods is the podSelector of the policy as it was, as kubectl writes
	// selectors; empty for all pods.
	Pods string `json:"pods"`
	// Partly is set if other policies, or the changed one, still select some of
	// the pods. Witness are the labels of one that none selects.
	Partly  bool              `json:"partly"`
	Witness map[string]string `json:"witness"`
	// Uncertain is set if the search for such a pod was given up: then there
	// may be none.
	Uncertain bool `json:"uncertain"`
}

// IsolationLost are the directions for which pods that old selects are selected
// neither by changed, which is nil if old is deleted, nor by others. Of others,
// those of another namespace or of old's own name (its stored copy) are skipped.
// Those that are being deleted and wait for a finalizer still isolate, but not
// for long: they count for nothing. For the same reason taking the last
// finalizer off such a policy deletes it.
//
// The order is Ingress, Egress. The error is for a selector of old or changed
// without meaning; one of others selects nothing.
func IsolationLost(old, changed *Policy, others Policies) ([]LostIsolation, error) {
	if changed != nil && changed.DeletionTimestamp != nil && len(changed.Finalizers) == 0 {
		changed = nil
	}
	if changed != nil && keepsPods(old, changed) {
		return nil, nil
	}
	pods, err := old.pods()
	if err != nil {
		return nil, fmt.Errorf("the policy as it was: %w", err)
	}
	var kept Selector
	if changed != nil {
		if kept, err = changed.pods(); err != nil {
			return nil, err
		}
	}
	near := others.meeting(old, nil)
	var lost []LostIsolation
	var before coverSearch // of the other direction: most policies isolate both
	for _, direction := range []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress} {
		if !isolates(old.NetworkPolicy, direction) {
			continue
		}
		var cover []*Policy
		if changed != nil && isolates(changed.NetworkPolicy, direction) {
			if pods.Subset(kept) {
				continue
			}
			cover = append(cover, changed)
		}
		now := coverSearch{cover: remaining(cover, near, direction)}
		if before.done && slices.Equal(before.cover, now.cover) {
			now = before
		} else {
			now.run(pods)
		}
		if before = now; now.verdict == Yes {
			continue
		}
		lost = append(lost, LostIsolation{Direction: string(direction), Field: lostField(changed, direction),
			Pods: writtenPods(old), Partly: now.partly, Witness: now.witness, Uncertain: now.verdict == Unknown})
	}
	return lost, nil
}

// keepsPods tells whether changed is written to select the same pods for the
// same directions or more, whatever its selector means.
func keepsPods(old, changed *Policy) bool {
	for _, direction := range []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress} {
		if isolates(old.NetworkPolicy, direction) && !isolates(changed.NetworkPolicy, direction) {
			return false
		}
	}
	return reflect.DeepEqual(old.Spec.PodSelector, changed.Spec.PodSelector)
}

// coverSearch looks for pods that no policy of a list selects.
type coverSearch struct {
	cover   []*Policy
	done    bool
	verdict Verdict
	witness map[string]string
	partly  bool // the list selects some of the pods
}

func (s *coverSearch) run(pods Selector) {
	var cover []Selector
	for _, p := range s.cover {
		if selected, err := p.pods(); err == nil && selected.Overlap(pods) {
			cover = append(cover, selected)
		}
	}
	s.verdict, s.witness = pods.CoveredBy(cover)
	s.done, s.partly = true, len(cover) > 0
}

// remaining appends to cover those of others that isolate a direction; only the
// first that selects all pods, if there is one.
func remaining(cover, others []*Policy, direction networkingv1.PolicyType) []*Policy {
	for _, o := range others {
		if o.DeletionTimestamp != nil || !isolates(o.NetworkPolicy, direction) {
			continue
		}
		if selectsAll(o.Spec.PodSelector) {
			return []*Policy{o}
		}
		cover = append(cover, o)
	}
	return cover
}

func selectsAll(pods metav1.LabelSelector) bool {
	return len(pods.MatchLabels)+len(pods.MatchExpressions) == 0
}

func lostField(changed *Policy, direction networkingv1.PolicyType) string {
	switch {
	case changed == nil || isolates(changed.NetworkPolicy, direction):
		return "spec.podSelector"
	case len(changed.Spec.PolicyTypes) == 0:
		return "spec"
	}
	return "spec.policyTypes"
}

// writtenPods is the podSelector as kubectl writes it; empty for all pods.
func writtenPods(p *Policy) string {
	if sel := p.Spec.PodSelector; !selectsAll(sel) {
		return metav1.FormatLabelSelector(&sel)
	}
	return ""
}

// Isolation are policies that isolate pods for a direction.
type Isolation struct {
	Direction string `json:"direction"` // "Ingress" or "Egress"
	// Policy is the name of one of them, and Pods its podSelector as in
	// LostIsolation: the first that selects all pods, or else the first.
	Policy string `json:"policy"`
	Pods   string `json:"pods"`
	More   int    `json:"more"` // how many there are beside it
}

// IsolationBy are the directions for which policies isolate any pods, in the
// order Ingress, Egress. Policies that select nothing, and those that are being
// deleted, don't count. The error names a policy whose selector has no meaning.
func IsolationBy(policies []*Policy) ([]Isolation, error) {
	var out []Isolation
	for _, direction := range []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress} {
		var first *Policy
		n, whole := 0, false
		for _, p := range policies {
			if p.DeletionTimestamp != nil || !isolates(p.NetworkPolicy, direction) {
				continue
			}
			pods, err := p.pods()
			if err != nil {
				return nil, fmt.Errorf("NetworkPolicy %s: %w", p.Name, err)
			}
			if pods.MatchesNothing() {
				continue
			}
			n++
			if all := pods.MatchesEverything(); first == nil || all && !whole {
				first, whole = p, all
			}
		}
		if first != nil {
			out = append(out, Isolation{Direction: string(direction), Policy: first.Name, Pods: writtenPods(first), More: n - 1})
		}
	}
	return out, nil
}
