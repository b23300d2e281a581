package facts

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
)

// worlds is how many are asked. Each has both directions.
const worlds = 100_000

// TestOpenedAgainstWorlds changes, creates and deletes policies and asks
// everybody in the world what they may do now and could not before.
func TestOpenedAgainstWorlds(t *testing.T) {
	const parts = 8
	for part := range parts {
		t.Run(strconv.Itoa(part), func(t *testing.T) {
			t.Parallel()
			seen := map[string]int{}
			for seed := part; seed < worlds; seed += parts {
				oneWorld(t, rand.New(rand.NewPCG(uint64(seed), 4)), seen)
				if t.Failed() {
					t.Fatalf("seed %d", seed)
				}
			}
			for _, what := range []string{"opened", "unisolated", "nothing"} {
				if seen[what] < worlds/parts/20 {
					t.Errorf("the generator says little: %v", seen)
				}
			}
			if seen["uncertain"] > 0 {
				t.Errorf("%d searches in so small a world were given up", seen["uncertain"])
			}
		})
	}
}

func oneWorld(t *testing.T, r *rand.Rand, seen map[string]int) {
	var before, after []*networkingv1.NetworkPolicy
	for i := range r.IntN(4) {
		np := randomTraffic(r, fmt.Sprintf("o%d", i))
		before, after = append(before, np), append(after, np)
	}
	var old, updated *Policy
	if kind := r.IntN(3); kind != 0 {
		np := randomTraffic(r, "p")
		old, before = NewPolicy(np), append(before, np)
		if kind == 1 {
			changed := np.DeepCopy()
			other := randomTraffic(r, "p")
			switch r.IntN(4) { // changes that leave much as it is
			case 0:
				changed.Spec.PodSelector = other.Spec.PodSelector
			case 1:
				changed.Spec.Egress, changed.Spec.Ingress = append(changed.Spec.Egress, other.Spec.Egress...), other.Spec.Ingress
			case 2:
				changed.Spec.PolicyTypes = other.Spec.PolicyTypes
			default:
				changed = other
			}
			updated, after = NewPolicy(changed), append(after, changed)
		}
	} else {
		np := randomTraffic(r, "p")
		updated, after = NewPolicy(np), append(after, np)
	}
	others := prepared(before)
	byOne, err := OpenedBy(old, updated, NewPolicies(others), OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	all, err := Opened(others, prepared(after), OpenOptions{})
	if err != nil || !reflect.DeepEqual(byOne, all) {
		t.Fatalf("of one policy %+v, of all %+v, %v", byOne, all, err)
	}
	for _, direction := range []string{Ingress, Egress} {
		checkWorld(t, before, after, updated, direction, byOne.List, seen)
	}
}

// checkWorld compares what was found in a direction with what the world says.
func checkWorld(t *testing.T, before, after []*networkingv1.NetworkPolicy, updated *Policy, direction string, found []Opening, seen map[string]int) {
	was, is := evaluations(before, direction), evaluations(after, direction)
	want := map[string]bool{} // fields
	var rules []string
	var mine *eval
	if updated != nil {
		mine = evaluate(updated.NetworkPolicy, direction)
		for _, r := range worldRules(updated.NetworkPolicy, direction) {
			if len(r.peers) == 0 {
				rules = append(rules, r.field())
			}
			for i := range r.peers {
				rules = append(rules, r.peerField(i))
			}
		}
	}
	for pod := range worldPods {
		had, wasIsolated := at(was, pod)
		_, isIsolated := at(is, pod)
		if wasIsolated && !isIsolated && everythingOpen.exceeds(&had) != 0 {
			want["unisolated"] = true
		}
		if !wasIsolated || mine == nil || !mine.isolates[pod] {
			continue
		}
		for i := range mine.rules {
			if mine.rules[i].exceeds(&had) != 0 {
				want[rules[i]] = true
			}
		}
	}
	got := map[string]bool{}
	for _, o := range found {
		if o.Direction != direction {
			continue
		}
		got[o.Field] = !o.Unisolated
		if o.Unisolated {
			delete(got, o.Field)
			got["unisolated"] = true
			seen["unisolated"]++
		}
		if o.Uncertain {
			seen["uncertain"]++
			continue
		}
		seen["opened"]++
		if opensIn(before, o.Example, direction) || !opensIn(after, o.Example, direction) {
			t.Errorf("%s: it is not so", o.Text)
		}
		checkPods(t, before, updated, o)
	}
	if len(want) == 0 {
		seen["nothing"]++
	}
	if fmt.Sprint(want) != fmt.Sprint(got) {
		t.Errorf("%s: want %v, got %v", direction, want, got)
		for _, o := range found {
			t.Errorf("%s %s", o.Field, o.Text)
		}
		t.Errorf("before %+v\nafter %+v", specs(before), specs(after))
	}
}

// checkPods checks that what is said of all pods that a policy selects is so.
func checkPods(t *testing.T, before []*networkingv1.NetworkPolicy, updated *Policy, o Opening) {
	if updated == nil || o.Unisolated || o.Pods != selectorText(&updated.Spec.PodSelector) {
		return
	}
	for _, labels := range worldPods {
		e := o.Example
		e.Pod = labels
		if selects(&updated.Spec.PodSelector, labels) && opensIn(before, e, o.Direction) {
			t.Errorf("%s: not for %v", o.Text, labels)
		}
	}
}

func specs(list []*networkingv1.NetworkPolicy) string {
	var b strings.Builder
	for _, np := range list {
		fmt.Fprintf(&b, "%s %s\n", np.Name, np.Spec.String())
	}
	return b.String()
}

func evaluations(list []*networkingv1.NetworkPolicy, direction string) []*eval {
	out := make([]*eval, len(list))
	for i, np := range list {
		out[i] = evaluate(np, direction)
	}
	return out
}

// opensIn reports whether the policies allow an example, whose labels, address
// and port need not be of the world. A named port is open if the name is, or
// every port.
func opensIn(policies []*networkingv1.NetworkPolicy, e Example, direction string) bool {
	peer := worldPeer{pod: e.Peer, namespace: e.Namespace}
	if e.Address != "" {
		peer = worldPeer{address: netip.MustParseAddr(e.Address)}
	}
	isolated := false
	open := map[int32]bool{}
	for _, np := range policies {
		if !slices.Contains(np.Spec.PolicyTypes, networkingv1.PolicyType(direction)) || !selects(&np.Spec.PodSelector, e.Pod) {
			continue
		}
		isolated = true
		for _, r := range worldRules(np, direction) {
			if len(r.peers) > 0 && !slices.ContainsFunc(r.peers, func(p networkingv1.NetworkPolicyPeer) bool { return meets(&p, &peer, np.Namespace) }) {
				continue
			}
			number, err := strconv.Atoi(e.Port)
			for _, n := range append(slices.Clone(worldPorts), int32(number)) {
				if err == nil && n != int32(number) {
					continue
				}
				open[n] = open[n] || opensPort(r.ports, e, n)
			}
		}
	}
	if !isolated {
		return true
	}
	if _, err := strconv.Atoi(e.Port); err != nil {
		delete(open, 0)
		return len(open) == len(worldPorts) && !slices.ContainsFunc(worldPorts, func(n int32) bool { return !open[n] })
	}
	for _, is := range open {
		return is
	}
	return false
}

func opensPort(ports []networkingv1.NetworkPolicyPort, e Example, n int32) bool {
	return len(ports) == 0 || slices.ContainsFunc(ports, func(p networkingv1.NetworkPolicyPort) bool {
		return string(*p.Protocol) == e.Protocol && (p.Port == nil || p.Port.StrVal != "" && p.Port.StrVal == e.Port ||
			p.Port.StrVal == "" && (p.Port.IntVal == n || p.EndPort != nil && p.Port.IntVal <= n && n <= *p.EndPort))
	})
}
