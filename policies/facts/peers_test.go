package facts

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

type (
	peer  = networkingv1.NetworkPolicyPeer
	ports = []networkingv1.NetworkPolicyPort
)

func namespaces(ns *metav1.LabelSelector) peer { return peer{NamespaceSelector: ns} }

func ipBlock(cidr string, except ...string) peer {
	return peer{IPBlock: &networkingv1.IPBlock{CIDR: cidr, Except: except}}
}

func ingressFrom(ports ports, from ...peer) *networkingv1.NetworkPolicy {
	return policy("p", func(np *networkingv1.NetworkPolicy) {
		np.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{From: from, Ports: ports}}
	})
}

func egressTo(name string, ports ports, to ...peer) *networkingv1.NetworkPolicy {
	return policy(name, func(np *networkingv1.NetworkPolicy) {
		np.Spec.Egress = []networkingv1.NetworkPolicyEgressRule{{To: to, Ports: ports}}
	})
}

func TestEveryPodPeers(t *testing.T) {
	all, app := &metav1.LabelSelector{}, &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}
	https := ports{port("", 443, 0)}
	for _, c := range []struct {
		name string
		np   *networkingv1.NetworkPolicy
		want []EveryPod
	}{
		{"every namespace", egressTo("p", nil, ipBlock("10.0.0.0/8"), namespaces(all)), []EveryPod{{Direction: Egress, Field: "spec.egress[0].to[1]"}}},
		{"every pod of it", ingressFrom(https, peer{NamespaceSelector: all, PodSelector: all}), []EveryPod{{Direction: Ingress, Field: "spec.ingress[0].from[0]", HasPorts: true}}},
		{"ports that don't limit", ingressFrom(ports{port("TCP", nil, 0), port("UDP", nil, 0), port("SCTP", nil, 0)}, namespaces(all)), []EveryPod{{Direction: Ingress, Field: "spec.ingress[0].from[0]"}}},
		{"name label exists", ingressFrom(nil, namespaces(expressions(exists(namespaceNameLabel)))), []EveryPod{{Direction: Ingress, Field: "spec.ingress[0].from[0]"}}},
		{"name and team label", ingressFrom(nil, namespaces(expressions(exists(namespaceNameLabel), exists("team")))), nil},
		{"some pods", ingressFrom(nil, peer{NamespaceSelector: all, PodSelector: app}), nil},
		{"own namespace", egressTo("p", nil, peer{PodSelector: all}), nil},
		{"env in and not in", egressTo("p", nil, namespaces(expressions(in("env", "x"))), namespaces(expressions(notIn("env", "x")))), []EveryPod{{Direction: Egress, Field: "spec.egress[0].to"}}},
		{"env in and exists", egressTo("p", nil, namespaces(expressions(in("env", "x"))), namespaces(expressions(exists("env")))), nil},
		{"own namespace and all others", egressTo("p", nil, peer{PodSelector: all}, namespaces(expressions(notIn(namespaceNameLabel, "shop")))), []EveryPod{{Direction: Egress, Field: "spec.egress[0].to"}}},
		{"own namespace and all but another", egressTo("p", nil, peer{PodSelector: all}, namespaces(expressions(notIn(namespaceNameLabel, "shop", "bank")))), nil},
		{"split by pods", egressTo("p", nil, peer{NamespaceSelector: all, PodSelector: app}, peer{NamespaceSelector: all, PodSelector: expressions(notIn("app", "web"))}), []EveryPod{{Direction: Egress, Field: "spec.egress[0].to"}}},
		{"no peers", egressTo("p", nil), nil},
		{"switched off", policy("p", func(np *networkingv1.NetworkPolicy) {
			np.Spec = egressTo("p", nil, namespaces(all)).Spec
			np.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
		}), nil},
	} {
		got, err := EveryPodPeers(c.np)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v; want %+v", c.name, got, err, c.want)
		}
	}
	for want, np := range map[string]*networkingv1.NetworkPolicy{
		"spec.egress[0].to[0]: expected":                                                egressTo("p", nil, peer{}),
		"spec.egress[0].to[0].namespaceSelector.matchExpressions[0].operator: expected": egressTo("p", nil, namespaces(expressions(metav1.LabelSelectorRequirement{Key: "a", Operator: "Has"}))),
		"spec.ingress[0].from[0].podSelector.matchExpressions[0].values: expected":      ingressFrom(nil, peer{PodSelector: expressions(notIn("a"))}),
		"spec.ingress[0].ports[0].port: expected":                                       ingressFrom(ports{port("", 0, 0)}),
	} {
		if _, err := EveryPodPeers(np); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s…", err, want)
		}
	}
}

func TestEveryPodAgainstEnumeration(t *testing.T) {
	var nsLabels []map[string]string
	for _, name := range []string{"shop", "x", "y", "z", "another"} {
		for _, l := range allLabels([]string{"a"}, testValues) {
			l[namespaceNameLabel] = name
			nsLabels = append(nsLabels, l)
		}
	}
	podLabels := allLabels([]string{"a", "b"}, testValues)
	yes := 0
	forSeeds(t, 2000, func(t *testing.T, r *rand.Rand) {
		var peers []peer
		for range 1 + r.IntN(4) {
			var p peer
			if r.IntN(4) > 0 {
				p.NamespaceSelector = randomSelector(r, "a", namespaceNameLabel)
			}
			if p.NamespaceSelector == nil || r.IntN(3) == 0 {
				p.PodSelector = randomSelector(r, "a", "b")
			}
			peers = append(peers, p)
		}
		reached := make([]bool, len(nsLabels)*len(podLabels)) // pods that some peer selects
		for _, p := range peers {
			inPods := selectedBy(t, p.PodSelector, podLabels)
			for i, in := range selectedBy(t, p.NamespaceSelector, nsLabels) {
				if p.NamespaceSelector == nil {
					in = nsLabels[i][namespaceNameLabel] == "shop"
				}
				for j := range podLabels {
					reached[i*len(podLabels)+j] = reached[i*len(podLabels)+j] || in && inPods[j]
				}
			}
		}
		want := !slices.Contains(reached, false)
		got, err := EveryPodPeers(egressTo("p", nil, peers...))
		if err != nil || (len(got) > 0) != want {
			t.Errorf("%v: %v, %v; want %v", peers, got, err, want)
		}
		if want {
			yes++
		}
	})
	if yes < 300 {
		t.Errorf("only %d cases select every pod: the generator says little", yes)
	}
}

// selectedBy are those of all that sel selects; all if there is no selector.
func selectedBy(t *testing.T, sel *metav1.LabelSelector, all []map[string]string) []bool {
	if sel == nil {
		sel = &metav1.LabelSelector{}
	}
	return labelsSelected(t, sel, all)
}

func TestOpenIngress(t *testing.T) {
	https := ports{port("", 443, 0)}
	for _, c := range []struct {
		name string
		np   *networkingv1.NetworkPolicy
		want []OpenRule
	}{
		{"neither", ingressFrom(nil), []OpenRule{{Field: "spec.ingress[0]"}}},
		{"ports", ingressFrom(https), nil},
		{"everything by address", ingressFrom(nil, ipBlock("0.0.0.0/0")), []OpenRule{{Field: "spec.ingress[0].from"}}},
		{"everything in halves", ingressFrom(nil, ipBlock("::/1"), ipBlock("8000::/1")), []OpenRule{{Field: "spec.ingress[0].from"}}},
		{"reopened", ingressFrom(nil, ipBlock("0.0.0.0/0", "10.0.0.0/8"), ipBlock("10.0.0.0/7")), []OpenRule{{Field: "spec.ingress[0].from"}}},
		{"all but one", ingressFrom(nil, ipBlock("0.0.0.0/0", "10.0.0.1/32")), nil},
		{"everything on a port", ingressFrom(https, ipBlock("0.0.0.0/0")), nil},
		{"every port", ingressFrom(ports{port("TCP", nil, 0), port("UDP", nil, 0), port("SCTP", 1, 65535)}), []OpenRule{{Field: "spec.ingress[0]"}}},
		{"a name of each protocol", ingressFrom(ports{port("TCP", "sip", 0), port("UDP", "sip-udp", 0), port("SCTP", "sip-sctp", 0)}), nil},
		{"names beside every port", ingressFrom(ports{port("TCP", nil, 0), port("UDP", nil, 0), port("SCTP", nil, 0), port("TCP", "sip", 0)}),
			[]OpenRule{{Field: "spec.ingress[0]"}}},
		{"own namespace", ingressFrom(nil, peer{PodSelector: &metav1.LabelSelector{}}), nil},
	} {
		got, err := OpenIngress(c.np)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, %v; want %v", c.name, got, err, c.want)
		}
	}
	if _, err := OpenIngress(ingressFrom(nil, ipBlock("10.0.0.0"))); err == nil {
		t.Error("want an error for an address without prefix length")
	}
}
