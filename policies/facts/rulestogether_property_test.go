package facts

import (
	"math/rand/v2"
	"slices"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
)

// testPorts are ports of one protocol each between whose neighbours the rules
// of somePorts change.
var testPorts = []PortRange{{"TCP", 1, 1}, {"TCP", 80, 80}, {"TCP", 443, 443}, {"TCP", lastPort, lastPort}, {"UDP", 53, 53}, {"SCTP", 7, 7}}

func somePorts(r *rand.Rand) ports {
	rest := ports{port("UDP", nil, 0), port("SCTP", nil, 0)}
	return pick(r, nil, nil, ports{port("TCP", 1, 79), port("UDP", nil, 0)}, append(ports{port("TCP", 80, lastPort)}, rest...),
		append(ports{port("TCP", 1, 443)}, rest...), ports{port("TCP", 400, lastPort)}, rest, ports{port("", nil, 0)}, ports{port("", 443, 0)}, ports{port("TCP", "web", 0)})
}

// appliesTo reports whether the ports include one; names as a test of all
// ports takes them, or as one of some port does.
func appliesTo(t *testing.T, list ports, at PortRange, names bool) bool {
	if !names && len(list) > 0 {
		list = slices.DeleteFunc(slices.Clone(list), func(p networkingv1.NetworkPolicyPort) bool { return portName(&p) != "" })
		if len(list) == 0 {
			return false
		}
	}
	ranges, err := PortRanges(list)
	if err != nil {
		t.Fatal(err)
	}
	return Includes(ranges, at.Protocol, at.From)
}

func TestRulesTogetherAgainstEnumeration(t *testing.T) {
	worlds := allLabels([]string{"a", "b"}, testValues)
	seen := map[string]int{}
	forSeeds(t, 8000, func(t *testing.T, r *rand.Rand) {
		var in []ingressRule
		var out []egressRule
		openTo := make([][]bool, 2) // the pods that ingress lets in on each port, and egress reaches
		openTo[0], openTo[1] = make([]bool, len(testPorts)*len(worlds)), make([]bool, len(testPorts)*len(worlds))
		anyone := make([]bool, len(testPorts))
		for range 2 + r.IntN(3) {
			list := somePorts(r)
			var peers []peer
			reached := make([]bool, len(worlds))
			for range 1 + r.IntN(2) {
				sel := randomSelector(r, "a", "b")
				peers = append(peers, namespaces(sel))
				for i, yes := range labelsSelected(t, sel, worlds) {
					reached[i] = reached[i] || yes
				}
			}
			nobody := r.IntN(8) == 0 // the ingress rule has no from
			for p, at := range testPorts {
				for i := range worlds {
					k := p*len(worlds) + i
					openTo[0][k] = openTo[0][k] || (reached[i] || nobody) && appliesTo(t, list, at, false)
					openTo[1][k] = openTo[1][k] || reached[i] && appliesTo(t, list, at, true)
				}
				anyone[p] = anyone[p] || nobody && appliesTo(t, list, at, false)
			}
			out = append(out, to(list, peers...))
			if nobody {
				peers = nil
			}
			in = append(in, from(list, peers...))
		}
		np := policy("p", func(np *networkingv1.NetworkPolicy) { np.Spec.Ingress, np.Spec.Egress = in, out })
		got, err := EveryPodPeers(np)
		if err != nil {
			t.Fatal(err)
		}
		open, err := OpenIngress(np)
		if err != nil {
			t.Fatal(err)
		}
		everyPort := !slices.Contains(openTo[0], false)
		if has := len(open) > 0 || slices.ContainsFunc(got, func(e EveryPod) bool { return e.Direction == Ingress && !e.HasPorts }); has != everyPort {
			t.Errorf("ingress %+v: %+v, %v; want %v", in, got, open, everyPort)
		}
		if want := !slices.Contains(anyone, false); want != (len(open) > 0) {
			t.Errorf("ingress %+v: %v; want %v", in, open, want)
		}
		somePort := false
		for p := range testPorts {
			somePort = somePort || !slices.Contains(openTo[1][p*len(worlds):(p+1)*len(worlds)], false)
		}
		if has := slices.ContainsFunc(got, func(e EveryPod) bool { return e.Direction == Egress }); has != somePort {
			t.Errorf("egress %+v: %+v; want %v", out, got, somePort)
		}
		for _, e := range got {
			seen[e.Field]++
		}
		for _, o := range open {
			seen["open "+o.Field]++
		}
	})
	for _, field := range []string{"spec.ingress", "spec.egress", "open spec.ingress"} {
		if seen[field] < 30 {
			t.Errorf("%s is found %d times: the generator says little", field, seen[field])
		}
	}
}

func TestOpenIngressAgainstEnumeration(t *testing.T) {
	eighths := []string{"0.0.0.0/3", "32.0.0.0/3", "64.0.0.0/3", "96.0.0.0/3", "128.0.0.0/3", "160.0.0.0/3", "192.0.0.0/3", "224.0.0.0/3"}
	yes := 0
	forSeeds(t, 4000, func(t *testing.T, r *rand.Rand) {
		var rules []ingressRule
		opened := make([]bool, len(testPorts)*len(eighths))
		for range 2 + r.IntN(4) {
			list, first, n := somePorts(r), r.IntN(len(eighths)), 3+r.IntN(6)
			var peers []peer
			for i := first; i < min(first+n, len(eighths)); i++ {
				peers = append(peers, ipBlock(eighths[i]))
				for p, at := range testPorts {
					opened[p*len(eighths)+i] = opened[p*len(eighths)+i] || appliesTo(t, list, at, false)
				}
			}
			rules = append(rules, from(list, peers...))
		}
		want := !slices.Contains(opened, false)
		got, err := OpenIngress(ingressOf(rules...))
		if err != nil || want != (len(got) > 0) {
			t.Errorf("%+v: %v, %v; want %v", rules, got, err, want)
		}
		if want && got[0].Field == "spec.ingress" {
			yes++
		}
	})
	if yes < 50 {
		t.Errorf("only %d cases are open together: the generator says little", yes)
	}
}
