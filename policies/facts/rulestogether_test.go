package facts

import (
	"reflect"
	"strconv"
	"testing"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

type (
	ingressRule = networkingv1.NetworkPolicyIngressRule
	egressRule  = networkingv1.NetworkPolicyEgressRule
)

func ingressOf(rules ...ingressRule) *networkingv1.NetworkPolicy {
	return policy("p", func(np *networkingv1.NetworkPolicy) { np.Spec.Ingress = rules })
}

func from(ports ports, from ...peer) ingressRule { return ingressRule{From: from, Ports: ports} }

func egressOf(rules ...egressRule) *networkingv1.NetworkPolicy {
	return policy("p", func(np *networkingv1.NetworkPolicy) { np.Spec.Egress = rules })
}

func to(ports ports, to ...peer) egressRule { return egressRule{To: to, Ports: ports} }

func TestEveryPodOfSeveralRules(t *testing.T) {
	envX, notX := namespaces(expressions(in("env", "x"))), namespaces(expressions(notIn("env", "x")))
	all := namespaces(&metav1.LabelSelector{})
	https, every := ports{port("", 443, 0)}, ports{port("TCP", nil, 0), port("UDP", nil, 0), port("SCTP", 1, 65535)}
	ingress, egress := EveryPod{Direction: Ingress, Field: "spec.ingress"}, EveryPod{Direction: Egress, Field: "spec.egress"}
	limited := EveryPod{Direction: Egress, Field: "spec.egress", HasPorts: true}
	for _, c := range []struct {
		name string
		np   *networkingv1.NetworkPolicy
		want []EveryPod
	}{
		{"complements", ingressOf(from(nil, envX), from(every, notX)), []EveryPod{ingress}},
		{"complements around another rule", ingressOf(from(nil, envX), from(https, ipBlock("10.0.0.0/8")), from(nil, notX)), []EveryPod{ingress}},
		{"one with ports", ingressOf(from(nil, envX), from(https, notX)), nil},
		{"one with all ports but one", ingressOf(from(nil, envX), from(ports{port("TCP", 2, 65535), port("UDP", nil, 0), port("SCTP", nil, 0)}, notX)), nil},
		{"the one port besides", ingressOf(from(nil, envX), from(every, notX)), []EveryPod{ingress}},
		{"by protocols", ingressOf(from(every[:1], all), from(every[1:], all)), []EveryPod{
			{Direction: Ingress, Field: "spec.ingress[0].from[0]", HasPorts: true}, {Direction: Ingress, Field: "spec.ingress[1].from[0]", HasPorts: true}, ingress}},
		{"by protocols, one to anyone", ingressOf(from(every[:1]), from(every[1:], envX, notX)), []EveryPod{
			{Direction: Ingress, Field: "spec.ingress[1].from", HasPorts: true}, ingress}},
		{"by protocols, all to anyone", ingressOf(from(every[:1]), from(every[1:]), from(nil, envX)), nil},
		{"by protocols, one missing", ingressOf(from(every[:1], all), from(every[2:], all)), []EveryPod{
			{Direction: Ingress, Field: "spec.ingress[0].from[0]", HasPorts: true}, {Direction: Ingress, Field: "spec.ingress[1].from[0]", HasPorts: true}}},
		{"names aren't all ports", ingressOf(from(nil, envX), from(ports{port("TCP", "a", 0), port("UDP", "b", 0), port("SCTP", "c", 0)}, notX)), nil},
		{"one rule suffices", ingressOf(from(nil, envX), from(nil, notX), from(nil, all)), []EveryPod{{Direction: Ingress, Field: "spec.ingress[2].from[0]"}}},
		{"a gap", ingressOf(from(nil, envX), from(nil, namespaces(expressions(notIn("env", "x", "y"))))), nil},
		{"split by pods", ingressOf(from(nil, peer{NamespaceSelector: &metav1.LabelSelector{}, PodSelector: expressions(exists("a"))}),
			from(nil, peer{NamespaceSelector: &metav1.LabelSelector{}, PodSelector: expressions(metav1.LabelSelectorRequirement{Key: "a", Operator: "DoesNotExist"})})), []EveryPod{ingress}},
		{"own namespace and the others", ingressOf(from(nil, peer{PodSelector: &metav1.LabelSelector{}}), from(nil, namespaces(expressions(notIn(namespaceNameLabel, "shop"))))), []EveryPod{ingress}},
		{"egress", egressOf(to(nil, envX), to(every, notX)), []EveryPod{egress}},
		{"egress, a common port", egressOf(to(https, envX), to(ports{port("UDP", 443, 0), port("", 400, 500)}, notX)), []EveryPod{limited}},
		{"egress, a name is any port", egressOf(to(https, envX), to(ports{port("", "web", 0)}, notX)), []EveryPod{limited}},
		{"egress, other ports", egressOf(to(https, envX), to(ports{port("UDP", 443, 0), port("", 444, 500)}, notX)), nil},
		{"egress, alone and together", egressOf(to(https, all), to(nil, envX), to(nil, notX)), []EveryPod{
			{Direction: Egress, Field: "spec.egress[0].to[0]", HasPorts: true}, egress}},
		{"egress to anywhere is another finding", egressOf(to(https), to(https, envX)), nil},
		{"one in each direction", policy("p", func(np *networkingv1.NetworkPolicy) {
			np.Spec.Ingress, np.Spec.Egress = []ingressRule{from(nil, envX)}, []egressRule{to(nil, notX)}
		}), nil},
	} {
		got, err := EveryPodPeers(c.np)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v; want %+v", c.name, got, err, c.want)
		}
	}
}

func TestOpenIngressOfSeveralRules(t *testing.T) {
	https, every := ports{port("", 443, 0)}, ports{port("TCP", nil, 0), port("UDP", nil, 0), port("SCTP", 1, 65535)}
	low, high := ipBlock("0.0.0.0/1"), ipBlock("128.0.0.0/1")
	allButOne := ipBlock("0.0.0.0/0", "203.0.113.7/32")
	open := []OpenRule{{Field: "spec.ingress"}}
	for _, c := range []struct {
		name string
		np   *networkingv1.NetworkPolicy
		want []OpenRule
	}{
		{"halves", ingressOf(from(nil, low), from(every, high)), open},
		{"halves of IPv6", ingressOf(from(nil, ipBlock("8000::/1")), from(nil, ipBlock("::/1"))), open},
		{"halves of two families", ingressOf(from(nil, low), from(nil, ipBlock("8000::/1"))), nil},
		{"one with ports", ingressOf(from(nil, low), from(https, high)), nil},
		{"reopened", ingressOf(from(nil, allButOne), from(https, high), from(nil, ipBlock("203.0.113.7/32"))), open},
		{"reopened on a port", ingressOf(from(nil, allButOne), from(https, ipBlock("203.0.113.7/32"))), nil},
		{"not reopened", ingressOf(from(nil, allButOne), from(nil, ipBlock("203.0.113.8/32"))), nil},
		{"the last address is missing", ingressOf(from(nil, ipBlock("0.0.0.0/0", "255.255.255.255/32")), from(nil, low)), nil},
		{"the first address is missing", ingressOf(from(nil, ipBlock("0.0.0.0/0", "0.0.0.0/32")), from(nil, high)), nil},
		{"one rule suffices", ingressOf(from(nil, low), from(nil, high), from(nil, ipBlock("::/0"))), []OpenRule{{Field: "spec.ingress[2].from"}}},
		{"anyone by protocols", ingressOf(from(every[:1]), from(every[1:2]), from(every[2:])), open},
		{"anyone by ports", ingressOf(from(ports{port("", 1, 1000)}), from(every[1:]), from(ports{port("", 1001, 65535)})), open},
		{"anyone on all ports but one", ingressOf(from(ports{port("", 1, 1000)}), from(every[1:]), from(ports{port("", 1002, 65535)})), nil},
		{"addresses and protocols", ingressOf(from(every[:1]), from(every, low), from(every[1:], high)), open},
		{"a family for each protocol", ingressOf(from(every[:1], ipBlock("0.0.0.0/0")), from(every[1:], ipBlock("::/0"))), nil},
		{"names aren't all ports", ingressOf(from(nil, low), from(ports{port("TCP", "a", 0), port("UDP", "b", 0), port("SCTP", "c", 0)}, high)), nil},
		{"switched off", policy("p", func(np *networkingv1.NetworkPolicy) {
			np.Spec.Ingress = []ingressRule{from(nil, low), from(nil, high)}
			np.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeEgress}
		}), nil},
	} {
		got, err := OpenIngress(c.np)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, %v; want %v", c.name, got, err, c.want)
		}
	}
	if _, err := OpenIngress(ingressOf(from(every[:1], ipBlock("10.0.0.0")), from(every[1:]))); err == nil {
		t.Error("want an error for an address without prefix length")
	}
}

func TestRulesTogetherAreBounded(t *testing.T) {
	const n = 6000
	others := ports{port("UDP", nil, 0), port("SCTP", nil, 0)}
	env := func(op metav1.LabelSelectorRequirement) peer { return namespaces(expressions(op)) }
	unsure := EveryPod{Direction: Egress, Field: "spec.egress", HasPorts: true, Uncertain: true}
	for _, c := range []struct {
		name string
		rule func(i int) (ports, []peer)
		pods []EveryPod
		open []OpenRule
	}{
		{"a port each", func(i int) (ports, []peer) {
			return ports{port("", 1+i, 0)}, []peer{env(in("env", strconv.Itoa(i)))}
		}, nil, nil},
		{"nested ports", func(i int) (ports, []peer) {
			return append(ports{port("", 1+i, int32(lastPort-i))}, others...), []peer{env(notIn("env", strconv.Itoa(i))), ipBlock("0.0.0.0/1")}
		}, []EveryPod{{Direction: Egress, Field: "spec.egress", HasPorts: true}}, nil},
		{"complements that share no port, beside many", func(i int) (ports, []peer) {
			switch {
			case i < n/2:
				return nil, []peer{env(in("env", strconv.Itoa(i)))}
			case i == n/2:
				return ports{port("", 1, 0)}, []peer{env(notIn("env", "x"))}
			case i == n/2+1:
				return ports{port("", 9000, 0)}, []peer{env(exists("env"))}
			}
			return ports{port("", i, 0)}, []peer{env(exists("team" + strconv.Itoa(i%7)))}
		}, []EveryPod{unsure}, nil},
		{"a piece of the ports each", func(i int) (ports, []peer) {
			piece := port("", 1+i*10, int32(i*10+10))
			if i == n-1 {
				piece = port("", 1+i*10, lastPort)
			}
			return append(ports{piece}, others...), []peer{ipBlock("0.0.0.0/0")}
		}, nil, []OpenRule{{Field: "spec.ingress", Uncertain: true}}},
	} {
		np := policy("p", func(np *networkingv1.NetworkPolicy) {
			for i := range n {
				list, peers := c.rule(i)
				np.Spec.Ingress, np.Spec.Egress = append(np.Spec.Ingress, from(list, peers...)), append(np.Spec.Egress, to(list, peers...))
			}
		})
		start := time.Now()
		pods, err := EveryPodPeers(np)
		if err != nil || !reflect.DeepEqual(pods, c.pods) {
			t.Errorf("%s: %+v, %v; want %+v", c.name, pods, err, c.pods)
		}
		between := time.Now()
		open, err := OpenIngress(np)
		if err != nil || !reflect.DeepEqual(open, c.open) {
			t.Errorf("%s: %+v, %v; want %+v", c.name, open, err, c.open)
		}
		t.Logf("%s: pods %v, open %v", c.name, between.Sub(start), time.Since(between))
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("%s: %v", c.name, d)
		}
	}
}
