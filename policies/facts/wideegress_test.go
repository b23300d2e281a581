package facts

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// selecting returns np with another podSelector.
func selecting(np *networkingv1.NetworkPolicy, sel *metav1.LabelSelector) *networkingv1.NetworkPolicy {
	np.Spec.PodSelector = *sel
	return np
}

func app(name string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}}
}

// prepared makes a Policy of each that is not nil.
// together are policies of one namespace as others.
func together(of []*networkingv1.NetworkPolicy) Policies { return NewPolicies(prepared(of)) }

func prepared(of []*networkingv1.NetworkPolicy) []*Policy {
	var out []*Policy
	for _, np := range of {
		if np != nil {
			out = append(out, NewPolicy(np))
		}
	}
	return out
}

// egressRules makes a policy of the rules of others.
func egressRules(name string, of ...*networkingv1.NetworkPolicy) *networkingv1.NetworkPolicy {
	return policy(name, func(np *networkingv1.NetworkPolicy) {
		for _, o := range of {
			np.Spec.Egress = append(np.Spec.Egress, o.Spec.Egress...)
		}
	})
}

func wide(field, protocol, ports, family, reach string, with ...string) WideEgress {
	return WideEgress{Field: field, Protocol: protocol, Ports: ports, Family: family, Reach: reach,
		With: append([]string{}, with...), Witness: map[string]string{}}
}

const (
	all4 = "the whole IPv4 internet"
	all6 = "the whole IPv6 internet"
)

func TestWideEgressAlone(t *testing.T) {
	https, dns := ports{port("TCP", 443, 0)}, ports{port("UDP", 53, 0), port("TCP", 53, 0)}
	peer0 := "spec.egress[0].to[0].ipBlock.cidr"
	for _, c := range []struct {
		name string
		np   *networkingv1.NetworkPolicy
		want []WideEgress
	}{
		{"two halves", egressTo("p", https, ipBlock("0.0.0.0/1"), ipBlock("128.0.0.0/1")), []WideEgress{wide(peer0, "TCP", "443", IPv4, all4)}},
		{"one /8", egressTo("p", https, ipBlock("23.0.0.0/8"), ipBlock("10.0.0.0/8"), ipBlock("23.1.0.0/16")), nil},
		{"a /8 and a bit", egressRules("p", egressTo("", https, ipBlock("91.198.174.0/24")), egressTo("", https, ipBlock("23.0.0.0/8"))),
			[]WideEgress{wide("spec.egress[1].to[0].ipBlock.cidr", "TCP", "443", IPv4, "16,777,472 public addresses")}},
		{"two ports", egressRules("p", egressTo("", https, ipBlock("23.0.0.0/8")), egressTo("", dns, ipBlock("52.0.0.0/8"))), nil},
		{"a range swallows a port", egressRules("p", egressTo("", ports{port("", 8000, 8999)}, ipBlock("23.0.0.0/8")), egressTo("", ports{port("", 8443, 0)}, ipBlock("52.0.0.0/8"))),
			[]WideEgress{wide(peer0, "TCP", "8443", IPv4, "33,554,432 public addresses")}},
		{"a range beside a port", egressRules("p", egressTo("", ports{port("", 8000, 8442)}, ipBlock("23.0.0.0/8")), egressTo("", ports{port("", 8443, 0)}, ipBlock("52.0.0.0/8"))), nil},
		{"a named port may be any", egressRules("p", egressTo("", ports{port("", "https", 0)}, ipBlock("23.0.0.0/8")), egressTo("", https, ipBlock("52.0.0.0/8"))),
			[]WideEgress{wide(peer0, "TCP", "443", IPv4, "33,554,432 public addresses")}},
		{"a named port of another protocol", egressRules("p", egressTo("", ports{port("UDP", "https", 0)}, ipBlock("23.0.0.0/8")), egressTo("", https, ipBlock("52.0.0.0/8"))), nil},
		{"no destination", egressTo("p", dns), []WideEgress{wide("spec.egress[0]", "TCP, UDP", "53", IPv4, all4), wide("spec.egress[0]", "TCP, UDP", "53", IPv6, all6)}},
		{"nothing at all", egressTo("p", nil), []WideEgress{wide("spec.egress[0]", "any", "all", IPv4, all4), wide("spec.egress[0]", "any", "all", IPv6, all6)}},
		{"excepted", egressTo("p", https, ipBlock("0.0.0.0/0", "0.0.0.0/0")), nil},
		{"reopened", egressTo("p", https, ipBlock("32.0.0.0/6", "32.0.0.0/8", "33.0.0.0/8", "34.0.0.0/8"), ipBlock("34.16.0.0/12")), []WideEgress{wide(peer0, "TCP", "443", IPv4, "17,825,792 public addresses")}},
		{"private ranges", egressTo("p", nil, ipBlock("10.0.0.0/8"), ipBlock("172.16.0.0/12"), ipBlock("100.64.0.0/10"), ipBlock("fc00::/7")), nil},
		{"IPv6 beside", egressTo("p", https, ipBlock("140.82.112.0/20"), ipBlock("::/0")), []WideEgress{wide("spec.egress[0].to[1].ipBlock.cidr", "TCP", "443", IPv6, all6)}},
		{"an IPv6 /32 in halves", egressTo("p", https, ipBlock("2600::/33"), ipBlock("2600:0:8000::/33")), nil},
		{"two IPv6 /32", egressTo("p", https, ipBlock("2600::/32"), ipBlock("2600:1::/32")), []WideEgress{wide(peer0, "TCP", "443", IPv6, "2^97 public addresses")}},
		{"ports differ by protocol", egressTo("p", ports{port("", 80, 0), port("", 443, 0), port("UDP", 443, 0)}, ipBlock("0.0.0.0/0")),
			[]WideEgress{wide(peer0, "TCP", "80, 443", IPv4, all4), wide(peer0, "UDP", "443", IPv4, all4)}},
		{"reach differs by port", egressRules("p", egressTo("", ports{port("", 80, 0), port("", 443, 0), port("", 8080, 0)}, ipBlock("0.0.0.0/1")), egressTo("", https, ipBlock("128.0.0.0/2"), ipBlock("192.0.0.0/2"))),
			[]WideEgress{wide(peer0, "TCP", "80, 443, 8080", IPv4, all4)}},
		{"reach differs by protocol", egressRules("p", egressTo("", ports{port("", 80, 0), port("UDP", 443, 0)}, ipBlock("0.0.0.0/1")), egressTo("", ports{port("UDP", 443, 0)}, ipBlock("128.0.0.0/2"), ipBlock("192.0.0.0/2"))),
			[]WideEgress{wide(peer0, "TCP", "80", IPv4, "2,092,957,696 public addresses"), wide(peer0, "UDP", "443", IPv4, all4)}},
		{"pods only", egressTo("p", nil, peer{PodSelector: app("a")}), nil},
		{"selects no pod", selecting(egressTo("p", nil), expressions(exists("a"), missing("a"))), nil},
		{"switched off", policy("p", func(np *networkingv1.NetworkPolicy) {
			np.Spec.Egress = egressTo("", nil).Spec.Egress
			np.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
		}), nil},
		{"no rules", policy("p", nil), nil},
		{"nil", nil, nil},
	} {
		got, err := WideEgressOf(NewPolicy(c.np), Policies{}, Limits{})
		if err != nil || len(got) != len(c.want) || len(got) > 0 && !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s:\n got %+v, %v\nwant %+v", c.name, got, err, c.want)
		}
	}
}

func TestWideEgressWithOthers(t *testing.T) {
	https := ports{port("TCP", 443, 0)}
	named := func(name, cidr string, sel *metav1.LabelSelector) *networkingv1.NetworkPolicy {
		return selecting(egressTo(name, https, ipBlock(cidr)), sel)
	}
	everyone, peer0 := &metav1.LabelSelector{}, "spec.egress[0].to[0].ipBlock.cidr"
	own := named("api", "20.0.0.0/8", app("api"))
	elsewhere := named("elsewhere", "52.0.0.0/8", everyone)
	elsewhere.Namespace = "bank"
	nameless := named("", "52.0.0.0/8", everyone)
	nameless.GenerateName = "vendor-"
	two := "33,554,432 public addresses"
	overlapping := wide(peer0, "TCP", "443", IPv4, two, "tier")
	overlapping.Overlap, overlapping.Witness = true, map[string]string{"app": "api", "tier": "x"}
	for _, c := range []struct {
		name   string
		np     *networkingv1.NetworkPolicy
		others []*networkingv1.NetworkPolicy
		want   []WideEgress
	}{
		{"namespace-wide", own, []*networkingv1.NetworkPolicy{named("all", "52.0.0.0/8", everyone), nil}, []WideEgress{wide(peer0, "TCP", "443", IPv4, two, "all")}},
		{"the same pods in other words", own, []*networkingv1.NetworkPolicy{named("in", "52.0.0.0/8", expressions(in("app", "web", "api")))}, []WideEgress{wide(peer0, "TCP", "443", IPv4, two, "in")}},
		{"the same addresses", own, []*networkingv1.NetworkPolicy{named("all", "20.0.0.0/9", everyone)}, nil},
		{"other port", own, []*networkingv1.NetworkPolicy{egressTo("dns", ports{port("UDP", 443, 0)}, ipBlock("52.0.0.0/8"))}, nil},
		{"other family", own, []*networkingv1.NetworkPolicy{named("six", "2600::/32", everyone)}, nil},
		{"other pods", own, []*networkingv1.NetworkPolicy{named("web", "52.0.0.0/8", app("web"))}, nil},
		{"other namespace", own, []*networkingv1.NetworkPolicy{elsewhere}, nil},
		{"its stored copy", own, []*networkingv1.NetworkPolicy{named("api", "52.0.0.0/8", everyone)}, nil},
		{"one that has no name yet", named("", "20.0.0.0/8", app("api")), []*networkingv1.NetworkPolicy{nameless}, []WideEgress{wide(peer0, "TCP", "443", IPv4, two, "vendor-…")}},
		{"too much without it", own, []*networkingv1.NetworkPolicy{egressTo("open", nil)}, nil},
		{"too much without it, and alone", named("api", "0.0.0.0/0", app("api")), []*networkingv1.NetworkPolicy{egressTo("open", nil)}, []WideEgress{wide(peer0, "TCP", "443", IPv4, all4)}},
		{"too much without it on another port", own, []*networkingv1.NetworkPolicy{egressTo("dns", ports{port("", 53, 0)})}, nil},
		{"private only", named("api", "10.0.0.0/8", app("api")), []*networkingv1.NetworkPolicy{named("x", "nonsense", everyone), egressTo("open", nil)}, nil},
		{"some pods", own, []*networkingv1.NetworkPolicy{named("tier", "52.0.0.0/8", expressions(in("tier", "x")))}, []WideEgress{overlapping}},
		{"some pods, who have too much already", own, []*networkingv1.NetworkPolicy{named("tier", "0.0.0.0/0", expressions(in("tier", "x")))}, nil},
		{"nonsense for other pods", named("api", "20.0.0.0/7", app("api")), []*networkingv1.NetworkPolicy{named("x", "nonsense", app("web"))}, []WideEgress{wide(peer0, "TCP", "443", IPv4, two)}},
	} {
		got, err := WideEgressOf(NewPolicy(c.np), together(c.others), Limits{})
		if err != nil || len(got) != len(c.want) || len(got) > 0 && !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s:\n got %+v, %v\nwant %+v", c.name, got, err, c.want)
		}
	}
}

func TestWideEgressPicksTheNewAddresses(t *testing.T) {
	// The /9 is larger, but a stored policy opens it already.
	np := egressTo("p", nil, ipBlock("52.0.0.0/9"), ipBlock("20.0.0.0/10"))
	got, err := WideEgressOf(NewPolicy(np), together([]*networkingv1.NetworkPolicy{egressTo("all", nil, ipBlock("52.0.0.0/8"))}), Limits{})
	want := []WideEgress{wide("spec.egress[0].to[1].ipBlock.cidr", "any", "all", IPv4, "20,971,520 public addresses", "all")}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestWideEgressGivesUp(t *testing.T) {
	np := egressTo("p", nil, ipBlock("20.0.0.0/9"))
	var others []*networkingv1.NetworkPolicy
	for i := range 40 { // 2^40 ways to select a pod
		key := fmt.Sprintf("k%02d", i)
		others = append(others, selecting(egressTo(key, nil, ipBlock(fmt.Sprintf("52.0.%d.0/24", i))), expressions(exists(key))))
	}
	if got, err := WideEgressOf(NewPolicy(np), together(others), Limits{}); err != nil || len(got) != 0 {
		t.Errorf("all together are below the limit: %v, %v", got, err)
	}
	got, err := WideEgressOf(NewPolicy(np), together(others), Limits{IPv4Prefix: 9})
	if err != nil || len(got) != 1 || !got[0].Overlap || got[0].Uncertain || len(got[0].With) != 1 {
		t.Fatalf("one more is enough, which is found: %+v, %v", got, err)
	}
	np.Spec.Egress[0].To = []peer{ipBlock("20.0.0.0/24")}
	got, err = WideEgressOf(NewPolicy(np), together(others), Limits{IPv4Prefix: 20})
	if err != nil || len(got) != 1 || !got[0].Overlap || got[0].Uncertain || len(got[0].Witness) != 16 || len(got[0].With) != 16 {
		t.Errorf("sixteen more are needed, and easy to find: %+v, %v", got, err)
	}
	first := selecting(egressTo("a", nil, ipBlock("53.0.0.0/8")), app("web"))
	np.Spec.Egress[0].To = []peer{ipBlock("20.0.0.0/9")}
	got, err = WideEgressOf(NewPolicy(np), together(slices.Concat([]*networkingv1.NetworkPolicy{first}, others)), Limits{})
	if err != nil || len(got) != 1 || got[0].Uncertain || !reflect.DeepEqual(got[0].With, []string{"a"}) {
		t.Errorf("one is enough, before all others: %+v, %v", got, err)
	}
	var none metav1.LabelSelector
	for _, o := range others {
		key := o.Spec.PodSelector.MatchExpressions[0].Key
		none.MatchExpressions = append(none.MatchExpressions, metav1.LabelSelectorRequirement{Key: key, Operator: metav1.LabelSelectorOpDoesNotExist})
	}
	np.Spec.Egress[0].To = []peer{ipBlock("20.0.0.0/24")}
	others = append(others, selecting(egressTo("none", nil, ipBlock("53.0.0.0/23")), &none))
	got, err = WideEgressOf(NewPolicy(np), together(others), Limits{IPv4Prefix: 20})
	if err != nil || len(got) != 1 || !got[0].Overlap || !got[0].Uncertain || len(got[0].Witness) > 0 || len(got[0].With) != 41 {
		t.Errorf("sixteen more are needed, and the widest excludes them: %+v, %v", got, err)
	}
}

func TestWideEgressErrors(t *testing.T) {
	for _, c := range []struct {
		np     *networkingv1.NetworkPolicy
		others []*networkingv1.NetworkPolicy
		want   string
	}{
		{egressTo("p", nil, ipBlock("10.0.0.0/8"), ipBlock("10.0.0.0")), nil, `spec.egress[0].to[1].ipBlock.cidr: expected a CIDR such as 10.0.0.0/8 or fd00::/8, not "10.0.0.0"`},
		{egressTo("p", nil, ipBlock("10.0.0.0/8", "10.0.0.0/9", "x")), nil, `spec.egress[0].to[0].ipBlock.except[1]: expected a CIDR such as 10.0.0.0/8 or fd00::/8, not "x"`},
		{egressTo("p", ports{port("", 1, 0), port("", 70000, 0)}), nil, "spec.egress[0].ports[1].port: expected 1 to 65535, not 70000"},
		{egressTo("p", nil, peer{}), nil, "spec.egress[0].to[0]: expected an ipBlock, a namespaceSelector or a podSelector"},
		{selecting(egressTo("p", nil), expressions(in("a"))), nil, "spec.podSelector.matchExpressions[0].values: expected at least one for operator In"},
		{egressTo("p", nil, ipBlock("20.0.0.0/24")), []*networkingv1.NetworkPolicy{egressTo("o", nil, ipBlock("x"))},
			`NetworkPolicy "o": spec.egress[0].to[0].ipBlock.cidr: expected a CIDR such as 10.0.0.0/8 or fd00::/8, not "x"`},
	} {
		if _, err := WideEgressOf(NewPolicy(c.np), together(c.others), Limits{}); err == nil || err.Error() != c.want {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
}

// TestWideEgressIsBounded judges more combinations than there is time for.
func TestWideEgressIsBounded(t *testing.T) {
	np := policy("p", nil)
	for i := range 3000 {
		r := networkingv1.NetworkPolicyEgressRule{Ports: ports{port("", 1+i, 65535)}}
		for j := range 5 {
			r.To = append(r.To, ipBlock(fmt.Sprintf("%d.%d.%d.0/24", 20+i%100, i/100, 2*j)))
		}
		np.Spec.Egress = append(np.Spec.Egress, r)
	}
	if _, err := WideEgressOf(NewPolicy(np), Policies{}, Limits{IPv4Prefix: 15}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v", err)
	}
}

func BenchmarkWideEgress(b *testing.B) {
	https := ports{port("TCP", 443, 0)}
	small := selecting(egressRules("api", egressTo("", https, ipBlock("20.1.0.0/16"), ipBlock("10.0.0.0/8")),
		egressTo("", ports{port("UDP", 53, 0), port("TCP", 53, 0)}, namespaces(app("dns")))), app("api"))
	open := selecting(egressTo("api", https, ipBlock("0.0.0.0/0", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")), app("api"))
	var others []*networkingv1.NetworkPolicy
	for i := range 20 {
		others = append(others, selecting(egressTo(fmt.Sprintf("o%d", i), https, ipBlock(fmt.Sprintf("52.%d.0.0/16", i))), app(fmt.Sprintf("a%d", i))))
	}
	wider := slices.Concat(others, []*networkingv1.NetworkPolicy{egressTo("open", ports{port("UDP", 53, 0)})})
	for _, c := range []struct {
		name   string
		np     *networkingv1.NetworkPolicy
		others []*networkingv1.NetworkPolicy
	}{{"small", small, nil}, {"small, 20 others", small, others}, {"small, 21 others, one open", small, wider}, {"open", open, nil}, {"open, 20 others", open, others}} {
		b.Run(strings.ReplaceAll(c.name, " ", "_"), func(b *testing.B) {
			others := together(c.others)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := WideEgressOf(NewPolicy(c.np), others, Limits{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
