package facts

import (
	"reflect"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
)

func TestEgressBlocks(t *testing.T) {
	metadata := Endpoints{Addresses: []string{"169.254.169.254", "fd00:ec2::254"}, Ports: []int32{80, 8080}}
	http := ports{port("", 80, 0)}
	hit := func(peer, cidr string) BlockHit {
		h := BlockHit{Field: "spec.egress[0].to[" + peer + "].ipBlock.cidr", CIDR: cidr, Address: "169.254.169.254", Port: 80, Host: "169.254.169.254/32"}
		if strings.Contains(cidr, "fd") {
			h.Address, h.Host = "fd00:ec2::254", "fd00:ec2::254/128"
		}
		return h
	}
	single := func(h BlockHit) BlockHit { h.Single = true; return h }
	only := func(h BlockHit) BlockHit { h.Single, h.Only = true, true; return h }
	beside := func(h BlockHit) BlockHit { h.HasExcepts = true; return h }
	on := func(h BlockHit, port int32) BlockHit { h.Port = port; return h }
	for _, c := range []struct {
		name string
		np   *networkingv1.NetworkPolicy
		want []BlockHit
	}{
		{"link-local", egressTo("p", http, ipBlock("10.0.0.0/8"), ipBlock("169.254.0.0/16")), []BlockHit{hit("1", "169.254.0.0/16")}},
		{"excepted", egressTo("p", http, ipBlock("169.254.0.0/16", "169.254.169.254/32")), nil},
		{"excepted and reopened", egressTo("p", http, ipBlock("169.254.0.0/16", "169.254.169.0/24"), ipBlock("169.254.169.254/31")), []BlockHit{hit("1", "169.254.169.254/31")}},
		{"another excepted", egressTo("p", http, ipBlock("169.254.0.0/16", "169.254.169.253/32")), []BlockHit{beside(hit("0", "169.254.0.0/16"))}},
		{"itself", egressTo("p", http, ipBlock("169.254.169.254/32")), []BlockHit{only(hit("0", "169.254.169.254/32"))}},
		{"itself beside another", egressTo("p", http, ipBlock("169.254.169.254/32"), ipBlock("10.0.0.0/8")), []BlockHit{single(hit("0", "169.254.169.254/32"))}},
		{"itself beside a block with more", egressTo("p", http, ipBlock("169.254.169.254/32"), ipBlock("169.254.0.0/16")),
			[]BlockHit{single(hit("0", "169.254.169.254/32")), hit("1", "169.254.0.0/16")}},
		{"itself behind excepts", egressTo("p", http, ipBlock("169.254.169.254/31", "169.254.169.255/32")), []BlockHit{beside(only(hit("0", "169.254.169.254/31")))}},
		{"leading zeros", egressTo("p", http, ipBlock("169.254.169.0254/32")), []BlockHit{only(hit("0", "169.254.169.0254/32"))}},
		{"mapped", egressTo("p", http, ipBlock("::ffff:169.254.0.0/112")), []BlockHit{hit("0", "::ffff:169.254.0.0/112")}},
		{"all of IPv4 behind a short mapped prefix", egressTo("p", http, ipBlock("::ffff:0:0/95")), []BlockHit{hit("0", "::ffff:0:0/95")}},
		{"unique local", egressTo("p", nil, ipBlock("fd00::/8")), []BlockHit{hit("0", "fd00::/8")}},
		{"both families", egressTo("p", nil, ipBlock("fd00:ec2::254/128"), ipBlock("169.254.169.254/32")),
			[]BlockHit{only(hit("0", "fd00:ec2::254/128")), only(hit("1", "169.254.169.254/32"))}},
		{"other port", egressTo("p", ports{port("", 443, 0), port("UDP", 80, 0)}, ipBlock("169.254.0.0/16")), nil},
		{"second port", egressTo("p", ports{port("", 8080, 0)}, ipBlock("169.254.0.0/16")), []BlockHit{on(hit("0", "169.254.0.0/16"), 8080)}},
		{"range of ports", egressTo("p", ports{port("", 1, 100)}, ipBlock("169.254.0.0/16")), []BlockHit{hit("0", "169.254.0.0/16")}},
		{"named port", egressTo("p", ports{port("", "http", 0)}, ipBlock("169.254.0.0/16")), []BlockHit{hit("0", "169.254.0.0/16")}},
		{"no peers", egressTo("p", http), nil},
		{"switched off", policy("p", func(np *networkingv1.NetworkPolicy) {
			np.Spec = egressTo("p", nil, ipBlock("169.254.0.0/16")).Spec
			np.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
		}), nil},
	} {
		got, err := EgressBlocks(c.np, metadata)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, %v; want %v", c.name, got, err, c.want)
		}
	}
}

func TestEgressBlocksThatHaveNoMeaning(t *testing.T) {
	metadata := Endpoints{Addresses: []string{"::ffff:169.254.169.254"}, Ports: []int32{80}}
	for want, np := range map[string]*networkingv1.NetworkPolicy{
		"spec.egress[0].to[0].ipBlock.cidr":      egressTo("p", nil, ipBlock("169.254.0.0")),
		"spec.egress[0].to[0].ipBlock.except[0]": egressTo("p", ports{port("", 443, 0)}, ipBlock("169.254.0.0/16", "x")),
		"spec.egress[0].ports[0].endPort":        egressTo("p", ports{port("", 80, 70)}, ipBlock("169.254.0.0/16")),
	} {
		if _, err := EgressBlocks(np, metadata); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("want an error about %s, got %v", want, err)
		}
	}
	for _, text := range []string{"", "169.254.169.254/32", "169.254.169.0254", "fe80::1%eth0", "metadata"} {
		if _, err := EgressBlocks(egressTo("p", nil), Endpoints{Addresses: []string{text}}); err == nil || !strings.Contains(err.Error(), "addresses[0]") {
			t.Errorf("%q: want an error, got %v", text, err)
		}
	}
	if hits, err := EgressBlocks(egressTo("p", nil, ipBlock("169.254.0.0/16")), metadata); err != nil || len(hits) != 1 {
		t.Errorf("a mapped address is IPv4: %v, %v", hits, err)
	}
}
