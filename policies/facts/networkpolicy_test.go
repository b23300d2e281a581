package facts

import (
	"reflect"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func TestPolicyTypes(t *testing.T) {
	in, out := networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress
	ingressRules, egressRules := make([]networkingv1.NetworkPolicyIngressRule, 2), make([]networkingv1.NetworkPolicyEgressRule, 1)
	for _, c := range []struct {
		name    string
		spec    networkingv1.NetworkPolicySpec
		types   []string
		ignored []IgnoredRule
	}{
		{"empty", networkingv1.NetworkPolicySpec{}, []string{Ingress}, nil},
		{"egress list empty", networkingv1.NetworkPolicySpec{Egress: egressRules[:0]}, []string{Ingress}, nil},
		{"egress rule", networkingv1.NetworkPolicySpec{Egress: egressRules}, []string{Ingress, Egress}, nil},
		{"both", networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{out, in}, Egress: egressRules, Ingress: ingressRules}, []string{Ingress, Egress}, nil},
		{"egress ignored", networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{in}, Egress: egressRules}, []string{Ingress}, []IgnoredRule{{Egress, "spec.egress", 1}}},
		{"ingress ignored", networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{out}, Ingress: ingressRules}, []string{Egress}, []IgnoredRule{{Ingress, "spec.ingress", 2}}},
		{"egress type only", networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{out}}, []string{Egress}, nil},
	} {
		np := policy("p", func(np *networkingv1.NetworkPolicy) { np.Spec = c.spec })
		if got := PolicyTypes(np); !reflect.DeepEqual(got, c.types) {
			t.Errorf("%s: types %v, want %v", c.name, got, c.types)
		}
		if got := IgnoredRules(np); !reflect.DeepEqual(got, c.ignored) {
			t.Errorf("%s: ignored %v, want %v", c.name, got, c.ignored)
		}
	}
	if len(PolicyTypes(nil)) != 0 || IgnoredRules(nil) != nil {
		t.Error("nil policy")
	}
}

func port(protocol corev1.Protocol, port any, end int32) networkingv1.NetworkPolicyPort {
	var p networkingv1.NetworkPolicyPort
	if protocol != "" {
		p.Protocol = &protocol
	}
	switch v := port.(type) {
	case int:
		value := intstr.FromInt32(int32(v))
		p.Port = &value
	case string:
		value := intstr.FromString(v)
		p.Port = &value
	}
	if end != 0 {
		p.EndPort = &end
	}
	return p
}

func TestPortRanges(t *testing.T) {
	for _, c := range []struct {
		name  string
		ports []networkingv1.NetworkPolicyPort
		want  []PortRange
		all   bool
	}{
		{"none", nil, allPorts, true},
		{"no protocol is TCP", []networkingv1.NetworkPolicyPort{port("", 443, 0)}, []PortRange{{"TCP", 443, 443}}, false},
		{"nothing at all is TCP", []networkingv1.NetworkPolicyPort{{}}, []PortRange{{"TCP", 1, 65535}}, false},
		{"protocol only", []networkingv1.NetworkPolicyPort{port("SCTP", nil, 0)}, []PortRange{{"SCTP", 1, 65535}}, false},
		{"named", []networkingv1.NetworkPolicyPort{port("UDP", "dns", 0)}, []PortRange{{"UDP", 1, 65535}}, false},
		{"range", []networkingv1.NetworkPolicyPort{port("TCP", 8000, 8999)}, []PortRange{{"TCP", 8000, 8999}}, false},
		{"every protocol", []networkingv1.NetworkPolicyPort{port("TCP", nil, 0), port("UDP", 1, 65535), port("SCTP", 2, 65535), port("SCTP", 1, 0)},
			[]PortRange{{"TCP", 1, 65535}, {"UDP", 1, 65535}, {"SCTP", 2, 65535}, {"SCTP", 1, 1}}, true},
		{"all but one", []networkingv1.NetworkPolicyPort{port("TCP", nil, 0), port("UDP", 1, 65535), port("SCTP", 2, 65535)},
			[]PortRange{{"TCP", 1, 65535}, {"UDP", 1, 65535}, {"SCTP", 2, 65535}}, false},
	} {
		got, err := PortRanges(c.ports)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, %v; want %v", c.name, got, err, c.want)
		}
		if IsAllPorts(got) != c.all {
			t.Errorf("%s: IsAllPorts is %v", c.name, !c.all)
		}
	}
	for want, p := range map[string]networkingv1.NetworkPolicyPort{
		`ports[0].protocol: expected TCP, UDP or SCTP, not "ICMP"`: port("ICMP", 1, 0),
		"ports[0].port: expected 1 to 65535, not 65536":            port("", 65536, 0),
		"ports[0].port: expected 1 to 65535, not 0":                port("", 0, 0),
		"ports[0].endPort: expected 80 to 65535, not 79":           port("", 80, 79),
		"ports[0].endPort: expected 80 to 65535, not 65536":        port("", 80, 65536),
	} {
		if _, err := PortRanges([]networkingv1.NetworkPolicyPort{p}); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestPortsText(t *testing.T) {
	for want, ranges := range map[string][]PortRange{
		"all":           {{"TCP", 1, 100}, {"TCP", 101, 65535}},
		"443":           {{"TCP", 443, 443}},
		"80, 8000-8999": {{"TCP", 8443, 8999}, {"TCP", 8000, 8443}, {"TCP", 80, 80}},
		"1, 3, 5, 7, 9 and 1 more": {{"TCP", 1, 1}, {"TCP", 3, 3}, {"TCP", 5, 5}, {"TCP", 7, 7}, {"TCP", 9, 9},
			{"TCP", 11, 11}},
	} {
		if got := portsText(mergePorts(ranges)); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if !Includes(allPorts, "UDP", 1) || Includes([]PortRange{{"TCP", 80, 81}}, "TCP", 82) || Includes([]PortRange{{"TCP", 80, 81}}, "UDP", 80) {
		t.Error("Includes")
	}
}
