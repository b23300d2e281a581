package dryrun_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/sluice-gate/sluice/policies/dryrun"
	"github.com/sluice-gate/sluice/policies/report"
)

// generatedByNamespace is a rule that generates what an annotation says.
const generatedByNamespace = `# METADATA
# title: T
# description: D
# custom:
#   severity: low
#   kinds: [Namespace]
#   generates: [networking.k8s.io/NetworkPolicy]
package sluice.own

generate contains json.unmarshal(input.request.object.metadata.annotations.generated)
`

// scene is a namespace with pods, before and after.
type scene struct {
	pods          map[string]labels.Set
	before, after []networkingv1.NetworkPolicy
}

func randomScene(r *rand.Rand, namespace string) (s scene, objects []any) {
	s.pods = map[string]labels.Set{}
	for i := range 1 + r.IntN(4) {
		s.pods[fmt.Sprint("pod-", i)] = randomLabels(r)
	}
	for _, name := range []string{"a", "b", "c"}[:r.IntN(4)] {
		s.before = append(s.before, randomPolicy(r, namespace, name))
	}
	generated := randomPolicy(r, namespace, []string{"a", "generated"}[r.IntN(2)])
	s.after = append(slices.DeleteFunc(slices.Clone(s.before), func(p networkingv1.NetworkPolicy) bool { return p.Name == generated.Name }), generated)
	spec := map[string]any{ // written out, so that nothing of another stays
		"podSelector": generated.Spec.PodSelector, "policyTypes": generated.Spec.PolicyTypes,
		"ingress": append([]networkingv1.NetworkPolicyIngressRule{}, generated.Spec.Ingress...),
		"egress":  append([]networkingv1.NetworkPolicyEgressRule{}, generated.Spec.Egress...),
	}
	text, _ := json.Marshal(map[string]any{"apiVersion": generated.APIVersion, "kind": generated.Kind, "metadata": map[string]any{"name": generated.Name}, "spec": spec})
	ns := corev1.Namespace{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"}}
	ns.Name, ns.Annotations = namespace, map[string]string{"generated": string(text)}
	objects = append(objects, ns)
	for name, set := range s.pods {
		pod := corev1.Pod{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}}
		pod.Name, pod.Namespace, pod.Labels = name, namespace, set
		objects = append(objects, pod)
	}
	for _, p := range s.before {
		objects = append(objects, p)
	}
	return s, objects
}

func randomLabels(r *rand.Rand) labels.Set {
	set := labels.Set{}
	for _, key := range []string{"app", "tier"} {
		if v := r.IntN(3); v > 0 {
			set[key] = strconv.Itoa(v)
		}
	}
	return set
}

func randomPolicy(r *rand.Rand, namespace, name string) networkingv1.NetworkPolicy {
	p := networkingv1.NetworkPolicy{TypeMeta: metav1.TypeMeta{APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy"}}
	p.Name, p.Namespace = name, namespace
	if r.IntN(2) == 0 {
		p.Spec.PodSelector.MatchLabels = randomLabels(r)
	}
	types := []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}
	p.Spec.PolicyTypes = [][]networkingv1.PolicyType{types, types[:1], types[1:]}[r.IntN(3)]
	for range r.IntN(3) {
		p.Spec.Ingress = append(p.Spec.Ingress, networkingv1.NetworkPolicyIngressRule{From: randomPeers(r), Ports: randomPorts(r)})
	}
	for range r.IntN(3) {
		p.Spec.Egress = append(p.Spec.Egress, networkingv1.NetworkPolicyEgressRule{To: randomPeers(r), Ports: randomPorts(r)})
	}
	return p
}

func randomPeers(r *rand.Rand) (peers []networkingv1.NetworkPolicyPeer) {
	blocks := []networkingv1.IPBlock{{CIDR: "0.0.0.0/0"}, {CIDR: "10.0.0.0/8"}, {CIDR: "10.1.0.0/16"}, {CIDR: "0.0.0.0/0", Except: []string{"10.0.0.0/8"}}, {CIDR: "::/0"}}
	for range r.IntN(3) {
		peers = append(peers, networkingv1.NetworkPolicyPeer{IPBlock: new(blocks[r.IntN(len(blocks))])})
	}
	return peers
}

func randomPorts(r *rand.Rand) (ports []networkingv1.NetworkPolicyPort) {
	for range r.IntN(3) {
		p := networkingv1.NetworkPolicyPort{Protocol: new([]corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolUDP}[r.IntN(2)])}
		switch r.IntN(3) {
		case 0:
			p.Port = new(intstr.FromInt32(443))
		case 1:
			p.Port, p.EndPort = new(intstr.FromInt32(80)), new(int32(90))
		}
		ports = append(ports, p)
	}
	return ports
}

// packet is what a dataplane decides about.
type packet struct {
	direction string
	address   netip.Addr
	protocol  corev1.Protocol
	port      int32
}

func packets() (list []packet) {
	for _, direction := range []string{"Ingress", "Egress"} {
		for _, address := range []string{"10.1.0.1", "10.2.0.1", "8.8.8.8", "2001:db8::1"} {
			for _, protocol := range []corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP} {
				for _, port := range []int32{443, 85, 1} {
					list = append(list, packet{direction, netip.MustParseAddr(address), protocol, port})
				}
			}
		}
	}
	return list
}

// passes is what NetworkPolicies mean, by the letter of their documentation.
func (x packet) passes(policies []networkingv1.NetworkPolicy, pod labels.Set) bool {
	isolated := false
	for _, p := range policies {
		selector, err := metav1.LabelSelectorAsSelector(&p.Spec.PodSelector)
		if err != nil || !selector.Matches(pod) || !slices.Contains(p.Spec.PolicyTypes, networkingv1.PolicyType(x.direction)) {
			continue
		}
		isolated = true
		for _, rule := range p.Spec.Ingress {
			if x.direction == "Ingress" && x.isPeer(rule.From) && x.isPort(rule.Ports) {
				return true
			}
		}
		for _, rule := range p.Spec.Egress {
			if x.direction == "Egress" && x.isPeer(rule.To) && x.isPort(rule.Ports) {
				return true
			}
		}
	}
	return !isolated
}

func (x packet) isPeer(peers []networkingv1.NetworkPolicyPeer) bool {
	return len(peers) == 0 || slices.ContainsFunc(peers, func(p networkingv1.NetworkPolicyPeer) bool {
		in := func(cidr string) bool { return netip.MustParsePrefix(cidr).Contains(x.address) }
		return in(p.IPBlock.CIDR) && !slices.ContainsFunc(p.IPBlock.Except, in)
	})
}

func (x packet) isPort(ports []networkingv1.NetworkPolicyPort) bool {
	return len(ports) == 0 || slices.ContainsFunc(ports, func(p networkingv1.NetworkPolicyPort) bool {
		switch {
		case *p.Protocol != x.protocol:
			return false
		case p.Port == nil:
			return true
		case p.EndPort == nil:
			return p.Port.IntVal == x.port
		}
		return p.Port.IntVal <= x.port && x.port <= *p.EndPort
	})
}

// A pod is named if and only if traffic of it is closed or opened, and the example is such traffic.
func TestTrafficIsWhatADataplaneWouldDo(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	scenes := map[string]scene{}
	var objects []any
	for i := range 400 {
		name := fmt.Sprint("ns-", i)
		s, more := randomScene(r, name)
		scenes[name], objects = s, append(objects, more...)
	}
	input, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "items": objects})
	if err != nil {
		t.Fatal(err)
	}
	d := ran(t, dryrun.Options{Policies: set(t, generatedByNamespace)}, string(input))
	if len(d.Errors) > 0 || len(d.Namespaces) != len(scenes) || d.Summary.Closed < 100 || d.Summary.Opened < 100 {
		t.Fatalf("%+v %+v", d.Errors, d.Summary)
	}
	for _, n := range d.Namespaces {
		s := scenes[n.Namespace]
		s.compare(t, n.Namespace+" closes", n.Closes, s.before, s.after)
		s.compare(t, n.Namespace+" opens", n.Opens, s.after, s.before)
	}
}

// compare checks changes against packets that pass by some policies and not by others.
func (s scene) compare(t *testing.T, what string, changes []report.PodChange, some, others []networkingv1.NetworkPolicy) {
	differs := func(x packet, pod string) bool { return x.passes(some, s.pods[pod]) && !x.passes(others, s.pods[pod]) }
	named := map[string]bool{}
	for _, c := range changes {
		for _, pod := range c.Names {
			named[c.Direction+pod] = true
			if !strings.HasPrefix(c.Text, report.PodsText(c.Names)+" may ") || c.Uncertain {
				t.Errorf("%s: %+v", what, c)
			}
			port, err := strconv.ParseInt(c.Example.Port, 10, 32)
			address, bad := netip.ParseAddr(c.Example.Address)
			if err != nil || bad != nil {
				continue // a pod, which no peer of these policies is
			}
			if x := (packet{c.Direction, address, corev1.Protocol(c.Example.Protocol), int32(port)}); !differs(x, pod) {
				t.Errorf("%s: pod %s: no, as %+v shows", what, pod, x)
			}
		}
	}
	for pod := range s.pods {
		for _, x := range packets() {
			if differs(x, pod) && !named[x.direction+pod] {
				t.Errorf("%s: nothing of pod %s, as %+v shows", what, pod, x)
			}
		}
	}
}
