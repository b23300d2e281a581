package facts

import (
	"math/rand/v2"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const rangesField, rangesAnnotation = "spec.loadBalancerSourceRanges", "metadata.annotations[" + SourceRangesAnnotation + "]"

func balancer(ranges []string, annotations map[string]string, families ...corev1.IPFamily) *corev1.Service {
	return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Annotations: annotations},
		Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, LoadBalancerSourceRanges: ranges, IPFamilies: families}}
}

func legacyRanges(text string) map[string]string {
	return map[string]string{SourceRangesAnnotation: text}
}

func TestLoadBalancerSources(t *testing.T) {
	whole := func(field string) []WideSource {
		return []WideSource{{"IPv4", "the whole IPv4 internet", field}}
	}
	for name, c := range map[string]struct {
		service *corev1.Service
		want    Sources
	}{
		"no ranges": {balancer(nil, nil, "IPv4", "IPv6"), Sources{Wide: []WideSource{
			{"IPv4", "the whole IPv4 internet", ""}, {"IPv6", "the whole IPv6 internet", ""}}}},
		"blanks in the annotation": {balancer(nil, legacyRanges(" ")), Sources{Wide: []WideSource{
			{"IPv4", "the whole IPv4 internet", ""}, {"IPv6", "the whole IPv6 internet", ""}}}},
		"narrow":              {balancer([]string{"192.0.2.0/24"}, nil), Sources{}},
		"padded":              {balancer([]string{" 0.0.0.0/0\t"}, nil), Sources{Wide: whole(rangesField + "[0]")}},
		"annotation":          {balancer(nil, legacyRanges(" 10.0.0.0/8 ,0.0.0.0/0 ")), Sources{Wide: whole(rangesAnnotation)}},
		"field before":        {balancer([]string{"10.0.0.0/8"}, legacyRanges("0.0.0.0/0")), Sources{}},
		"IPv4-mapped":         {balancer([]string{"::ffff:0:0/96"}, nil), Sources{Wide: whole(rangesField + "[0]")}},
		"a family is missing": {balancer([]string{"10.0.0.0/8"}, nil, "IPv4", "IPv6"), Sources{Unlisted: []UnlistedSource{{"IPv6", rangesField}}}},
		"the other one":       {balancer(nil, legacyRanges("fd00::/8"), "IPv4"), Sources{Unlisted: []UnlistedSource{{"IPv4", rangesAnnotation}}}},
		"both families":       {balancer([]string{"10.0.0.0/8", "fd00::/8"}, nil, "IPv4", "IPv6"), Sources{}},
		"mapped and more":     {balancer([]string{"::ffff:0.0.0.0/90"}, nil, "IPv4"), Sources{Wide: whole(rangesField + "[0]")}},
		"mapped is IPv4":      {balancer([]string{"::ffff:10.0.0.0/104"}, nil, "IPv4"), Sources{}},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := LoadBalancerSources(c.service, Limits{}); err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %+v, %v; want %+v", got, err, c.want)
			}
		})
	}
}

func TestMalformedSourceRanges(t *testing.T) {
	for where, s := range map[string]*corev1.Service{
		rangesField + "[1]: ":      balancer([]string{"10.0.0.0/8", "10.0.0.1"}, nil),
		rangesField + "[0]: ":      balancer([]string{""}, nil),
		rangesAnnotation + "[1]: ": balancer(nil, legacyRanges("10.0.0.0/8,")),
		rangesAnnotation + "[0]: ": balancer(nil, legacyRanges("10.0.0.0/8;11.0.0.0/8")),
	} {
		if _, err := LoadBalancerSources(s, Limits{}); err == nil || !strings.HasPrefix(err.Error(), where) {
			t.Errorf("got %v, want an error about %s", err, where)
		}
	}
}

func TestServiceClaims(t *testing.T) {
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{
			"metallb.io/loadBalancerIPs":        "192.0.2.1, 192.0.2.77 ,x,",
			"projectcalico.org/loadBalancerIPs": `["192.0.2.2", "192.0.2.78"]`,
			"lbipam.cilium.io/ips":              " ",
			"example.com/ips":                   "192.0.2.79",
		}},
		Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, LoadBalancerIP: "192.0.2.80",
			ExternalIPs: []string{"192.0.2.3", "::ffff:192.0.2.3", "192.0.2.003", "2001:db8::1"}},
		Status: corev1.ServiceStatus{LoadBalancer: corev1.LoadBalancerStatus{Ingress: []corev1.LoadBalancerIngress{
			{Hostname: "lb.example.com"}, {IP: "192.0.2.4"}, {IP: "192.0.2.81"}}}},
	}
	const metallb, calico = "metallb.io/loadBalancerIPs", "projectcalico.org/loadBalancerIPs"
	want := Claims{Requests: 7, Outside: []OutsideAddress{
		{Address: "2001:db8::1", Field: "spec.externalIPs[3]", Via: ViaSpec},
		{Address: "192.0.2.80", Field: "spec.loadBalancerIP", Via: ViaSpec},
		{Address: "192.0.2.77", Field: "metadata.annotations[" + metallb + "]", Via: ViaAnnotation, Annotation: metallb},
		{Address: "x", Field: "metadata.annotations[" + metallb + "]", Via: ViaAnnotation, Annotation: metallb, Unreadable: true},
		{Field: "metadata.annotations[" + metallb + "]", Via: ViaAnnotation, Annotation: metallb, Unreadable: true},
		{Address: "192.0.2.78", Field: "metadata.annotations[" + calico + "]", Via: ViaAnnotation, Annotation: calico},
		{Address: "192.0.2.81", Field: "status.loadBalancer.ingress[2].ip", Via: ViaStatus},
	}}
	if got, err := ServiceClaims(s, []string{"192.0.2.0/29", "2001:db8:1::/48"}); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	s.Spec.Type = corev1.ServiceTypeClusterIP
	want = Claims{Outside: []OutsideAddress{want.Outside[0], want.Outside[6]}}
	if got, err := ServiceClaims(s, []string{"192.0.2.0/29"}); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("ClusterIP: got %+v, %v; want %+v", got, err, want)
	}
}

func TestCalicoAddressesAreJSON(t *testing.T) {
	for _, text := range []string{"192.0.2.1", "[192.0.2.1]", `"192.0.2.1"`, `{"a": "192.0.2.1"}`, `["192.0.2.1"`, "[192]"} {
		got, err := ServiceClaims(balancer(nil, map[string]string{calicoAddresses: text}), []string{"192.0.2.0/24"})
		if readable := text == "192.0.2.1"; err != nil || got.Requests != 1 || len(got.Outside) == 0 != readable {
			t.Errorf("%s: got %+v, %v", text, got, err)
		}
	}
	got, err := ServiceClaims(balancer(nil, map[string]string{calicoAddresses: "[]"}), nil)
	if err != nil || got.Requests != 0 || got.Outside != nil {
		t.Errorf("an empty list: got %+v, %v", got, err)
	}
}

func TestMalformedPrefixes(t *testing.T) {
	for _, text := range []string{"", "192.0.2.0", "192.0.2.1/24", "192.0.2.0/33", "192.0.02.0/24", "::ffff:192.0.2.0/120", "192.0.2.0-192.0.2.9"} {
		if got, err := ServiceClaims(&corev1.Service{}, []string{"192.0.2.0/24", text}); err == nil || !strings.HasPrefix(err.Error(), "prefixes[1]: ") {
			t.Errorf("%q: got %+v, %v", text, got, err)
		}
	}
}

// Every address is outside exactly if no prefix contains it.
func TestServiceClaimsAgainstPrefixes(t *testing.T) {
	forSeeds(t, 300, func(t *testing.T, r *rand.Rand) {
		var prefixes []string
		for range r.IntN(5) {
			prefixes = append(prefixes, randomPrefix(pick(r, egressWindows...), r.IntN).String())
		}
		for _, window := range egressWindows {
			for addr := window.Addr(); window.Contains(addr); addr = addr.Next() {
				want := 1
				for _, p := range prefixes {
					if netip.MustParsePrefix(p).Contains(addr) {
						want = 0
					}
				}
				got, err := ServiceClaims(&corev1.Service{Spec: corev1.ServiceSpec{ExternalIPs: []string{addr.String()}}}, prefixes)
				if err != nil || len(got.Outside) != want {
					t.Fatalf("%s in %v: got %+v, %v", addr, prefixes, got, err)
				}
			}
		}
	})
}
