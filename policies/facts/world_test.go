package facts

import (
	"math/rand/v2"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// A world is small enough to ask everybody: every pod by its labels, every
// peer, every port. It holds each value that selectors of randomTraffic name,
// and one more of each.

var worldPods = allLabels([]string{"a", "b"}, []string{"", "x", "y", "z"})

// worldPeer is an address or a pod in a namespace.
type worldPeer struct {
	address        netip.Addr
	pod, namespace map[string]string
}

var worldPeers = func() []worldPeer {
	var all []worldPeer
	for _, a := range []string{"10.0.0.0", "10.0.0.1", "10.0.0.2", "10.0.0.3", "8.8.8.8", "fd00::", "fd00::1", "fd00::2", "fd00::3", "2600::1"} {
		all = append(all, worldPeer{address: netip.MustParseAddr(a)})
	}
	for _, name := range []string{"shop", "data", "third"} {
		for _, ns := range allLabels([]string{"e"}, []string{"", "x", "z"}) {
			ns[namespaceNameLabel] = name
			for _, pod := range allLabels([]string{"a"}, []string{"", "x", "z"}) {
				all = append(all, worldPeer{pod: pod, namespace: ns})
			}
		}
	}
	return all
}()

var (
	worldPorts = []int32{1, 2, 3, 4, 65535} // 5 to 65534 are as 65535
	worldNames = []string{"n", "m"}
)

// peerSet has a bit for each of worldPeers.
type peerSet uint64

const everyPeer = peerSet(1)<<37 - 1

// openTo are the peers by protocol and port, and by protocol and name.
type openTo struct {
	numbers [3][5]peerSet
	names   [3][2]peerSet
}

// eval says for each of worldPods whether a policy isolates it and what it
// opens to it. It knows nothing of the code under test.
type eval struct {
	isolates [16]bool
	rules    []openTo // by rule and peer, see peerIndex
	all      openTo
}

func (o *openTo) unite(p *openTo) {
	for i := range o.numbers {
		for j := range o.numbers[i] {
			o.numbers[i][j] |= p.numbers[i][j]
		}
		for j := range o.names[i] {
			o.names[i][j] |= p.names[i][j]
		}
	}
}

func selects(s *metav1.LabelSelector, labels map[string]string) bool {
	for k, v := range s.MatchLabels {
		if have, ok := labels[k]; !ok || have != v {
			return false
		}
	}
	for _, r := range s.MatchExpressions {
		v, ok := labels[r.Key]
		switch r.Operator {
		case metav1.LabelSelectorOpIn:
			if !ok || !slices.Contains(r.Values, v) {
				return false
			}
		case metav1.LabelSelectorOpNotIn:
			if ok && slices.Contains(r.Values, v) {
				return false
			}
		case metav1.LabelSelectorOpExists:
			if !ok {
				return false
			}
		default:
			if ok {
				return false
			}
		}
	}
	return true
}

func meets(p *networkingv1.NetworkPolicyPeer, q *worldPeer, own string) bool {
	if p.IPBlock != nil {
		in := func(cidr string) bool { return netip.MustParsePrefix(cidr).Contains(q.address) }
		return q.address.IsValid() && in(p.IPBlock.CIDR) && !slices.ContainsFunc(p.IPBlock.Except, in)
	}
	if q.address.IsValid() {
		return false
	}
	if p.NamespaceSelector == nil && q.namespace[namespaceNameLabel] != own ||
		p.NamespaceSelector != nil && !selects(p.NamespaceSelector, q.namespace) {
		return false
	}
	return p.PodSelector == nil || selects(p.PodSelector, q.pod)
}

func evaluate(np *networkingv1.NetworkPolicy, direction string) *eval {
	e := &eval{}
	if !slices.Contains(np.Spec.PolicyTypes, networkingv1.PolicyType(direction)) {
		return e
	}
	for i, labels := range worldPods {
		e.isolates[i] = selects(&np.Spec.PodSelector, labels)
	}
	for _, r := range worldRules(np, direction) {
		targets := []peerSet{everyPeer}
		if len(r.peers) > 0 {
			targets = nil
		}
		for i := range r.peers {
			var set peerSet
			for j := range worldPeers {
				if meets(&r.peers[i], &worldPeers[j], np.Namespace) {
					set |= 1 << j
				}
			}
			targets = append(targets, set)
		}
		for _, set := range targets {
			o := openPorts(r.ports, set)
			e.rules = append(e.rules, o)
			e.all.unite(&o)
		}
	}
	return e
}

func worldRules(np *networkingv1.NetworkPolicy, direction string) []rule {
	var rules []rule
	if direction == Ingress {
		for i, r := range np.Spec.Ingress {
			rules = append(rules, rule{direction, i, r.From, r.Ports})
		}
		return rules
	}
	for i, r := range np.Spec.Egress {
		rules = append(rules, rule{direction, i, r.To, r.Ports})
	}
	return rules
}

func openPorts(ports []networkingv1.NetworkPolicyPort, set peerSet) openTo {
	var o openTo
	for i, protocol := range protocols {
		for j, n := range worldPorts {
			open := len(ports) == 0
			for _, p := range ports {
				open = open || *p.Protocol == protocol && (p.Port == nil || p.Port.Type == intstr.Int &&
					(p.Port.IntVal == n || p.EndPort != nil && p.Port.IntVal <= n && n <= *p.EndPort))
			}
			if open {
				o.numbers[i][j] = set
			}
		}
		for j, name := range worldNames {
			for _, p := range ports {
				if *p.Protocol == protocol && p.Port != nil && p.Port.StrVal == name {
					o.names[i][j] = set
				}
			}
		}
	}
	return o
}

// exceeds are the peers with whom o opens some port that before does not,
// for some meaning of the names: every name is any port, or none.
func (o *openTo) exceeds(before *openTo) peerSet {
	var more peerSet
	for i := range protocols {
		for j := range worldPorts {
			more |= o.numbers[i][j] &^ before.numbers[i][j]
		}
		for name := range worldNames {
			for port := range worldPorts { // what the name means; the other name means nothing
				more |= o.names[i][name] &^ before.numbers[i][port] &^ before.names[i][name]
			}
		}
	}
	return more
}

// everythingOpen is what a pod has that nobody isolates.
var everythingOpen = openPorts(nil, everyPeer)

// at is what policies open to a pod, and whether one of them isolates it.
func at(policies []*eval, pod int) (openTo, bool) {
	var o openTo
	isolated := false
	for _, e := range policies {
		if e.isolates[pod] {
			isolated = true
			o.unite(&e.all)
		}
	}
	if !isolated {
		return everythingOpen, false
	}
	return o, true
}

// randomTraffic is a policy of few rules in one direction or both.
func randomTraffic(r *rand.Rand, name string) *networkingv1.NetworkPolicy {
	np := policy(name, nil)
	np.Spec.PodSelector = *pick(r, randomSelectorOf(r, []string{"a", "b"}, "x", "y"), &metav1.LabelSelector{})
	np.Spec.PolicyTypes = pick(r, []networkingv1.PolicyType{"Egress"}, []networkingv1.PolicyType{"Ingress"}, []networkingv1.PolicyType{"Ingress", "Egress"})
	for range r.IntN(3) {
		np.Spec.Egress = append(np.Spec.Egress, networkingv1.NetworkPolicyEgressRule{To: randomPeers(r), Ports: randomPorts(r)})
	}
	for range r.IntN(3) {
		np.Spec.Ingress = append(np.Spec.Ingress, networkingv1.NetworkPolicyIngressRule{From: randomPeers(r), Ports: randomPorts(r)})
	}
	return np
}

func randomSelectorOf(r *rand.Rand, keys []string, values ...string) *metav1.LabelSelector {
	s := &metav1.LabelSelector{}
	for range r.IntN(3) {
		req := metav1.LabelSelectorRequirement{Key: pick(r, keys...), Operator: pick(r,
			metav1.LabelSelectorOpIn, metav1.LabelSelectorOpIn, metav1.LabelSelectorOpNotIn, metav1.LabelSelectorOpExists, metav1.LabelSelectorOpDoesNotExist)}
		if req.Operator == metav1.LabelSelectorOpIn || req.Operator == metav1.LabelSelectorOpNotIn {
			req.Values = []string{pick(r, values...)}
			if r.IntN(3) == 0 {
				req.Values = append(req.Values, pick(r, values...))
			}
		}
		s.MatchExpressions = append(s.MatchExpressions, req)
	}
	return s
}

func randomPeers(r *rand.Rand) []networkingv1.NetworkPolicyPeer {
	blocks := []string{"10.0.0.0/30", "10.0.0.0/31", "10.0.0.2/31", "10.0.0.1/32", "0.0.0.0/0", "::/0", "fd00::/126", "fd00::2/127", "fd00::1/128"}
	var list []networkingv1.NetworkPolicyPeer
	for range r.IntN(4) {
		if r.IntN(2) == 0 {
			b := &networkingv1.IPBlock{CIDR: pick(r, blocks...)}
			for range r.IntN(3) {
				b.Except = append(b.Except, pick(r, blocks...))
			}
			list = append(list, networkingv1.NetworkPolicyPeer{IPBlock: b})
			continue
		}
		p := networkingv1.NetworkPolicyPeer{PodSelector: randomSelectorOf(r, []string{"a"}, "x")}
		switch r.IntN(3) {
		case 0:
			p.NamespaceSelector = randomSelectorOf(r, []string{"e"}, "x")
		case 1:
			p.NamespaceSelector, p.PodSelector = randomSelectorOf(r, []string{namespaceNameLabel}, "shop", "data"), nil
		}
		list = append(list, p)
	}
	return list
}

func randomPorts(r *rand.Rand) []networkingv1.NetworkPolicyPort {
	var list []networkingv1.NetworkPolicyPort
	for range r.IntN(4) {
		protocol := pick(r, corev1.ProtocolTCP, corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP)
		p := networkingv1.NetworkPolicyPort{Protocol: &protocol}
		switch r.IntN(6) {
		case 0:
		case 1:
			name := intstr.FromString(pick(r, worldNames...))
			p.Port = &name
		default:
			first := intstr.FromInt32(1 + r.Int32N(4))
			p.Port = &first
			if r.IntN(2) == 0 {
				last := pick(r, min(first.IntVal+1, 4), 4, 65535)
				p.EndPort = &last
			}
		}
		list = append(list, p)
	}
	return list
}
