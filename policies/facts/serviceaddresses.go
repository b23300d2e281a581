package facts

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"

	"go4.org/netipx"
	corev1 "k8s.io/api/core/v1"
	netutils "k8s.io/utils/net"
)

// Claims are the addresses from outside of the cluster that a Service has or
// asks for.
type Claims struct {
	// Requests counts the addresses that the load balancer's controller is asked for.
	Requests int `json:"requests"`
	// Outside are the addresses in none of the prefixes, and what can't be read as an address.
	Outside []OutsideAddress `json:"outside"`
}

// OutsideAddress is an address in none of the prefixes.
type OutsideAddress struct {
	Address string `json:"address"` // as it is written
	Field   string `json:"field"`
	Via     string `json:"via"` // one of the constants below
	// Annotation is its name, if the address stands in one.
	Annotation string `json:"annotation"`
	// Unreadable is whether it is no address.
	Unreadable bool `json:"unreadable"`
}

// Where an address of a Service stands.
const (
	ViaSpec       = "spec"       // externalIPs, loadBalancerIP
	ViaAnnotation = "annotation" // one of AddressAnnotations
	ViaStatus     = "status"     // what the controller has given
)

// AddressAnnotations are those by which a Service of type LoadBalancer asks a
// controller for addresses: lists with commas, but for Calico's, which is JSON.
// Annotations that name a pool, a subnet or a reserved address are left out:
// what they lead to only the controller knows.
func AddressAnnotations() []string {
	return []string{
		"io.cilium/lb-ipam-ips", // the old name of lbipam.cilium.io/ips
		"kube-vip.io/loadbalancerIPs",
		"lbipam.cilium.io/ips",
		"loxilb.io/secondaryIPs",
		"loxilb.io/staticIP",
		"metallb.io/loadBalancerIPs",
		"metallb.universe.tf/loadBalancerIPs", // the old name of the one above
		calicoAddresses,
		"purelb.io/addresses",
		"service.beta.kubernetes.io/aws-load-balancer-ipv6-addresses",
		"service.beta.kubernetes.io/aws-load-balancer-private-ipv4-addresses",
		"service.beta.kubernetes.io/azure-load-balancer-ipv4",
		"service.beta.kubernetes.io/azure-load-balancer-ipv6",
	}
}

const calicoAddresses = "projectcalico.org/loadBalancerIPs"

// ServiceClaims finds the addresses of a Service that none of the prefixes
// holds: external IPs of any type; what a LoadBalancer asks for in
// loadBalancerIP and in annotations; what its status has. Host names are left
// out. A prefix that is no canonical CIDR is an error.
func ServiceClaims(s *corev1.Service, prefixes []string) (Claims, error) {
	allotted, err := allottedAddresses(prefixes)
	if err != nil {
		return Claims{}, err
	}
	c := claimReader{allotted: allotted}
	for i, ip := range s.Spec.ExternalIPs {
		c.add(OutsideAddress{Address: ip, Field: fmt.Sprintf("spec.externalIPs[%d]", i), Via: ViaSpec})
	}
	if s.Spec.Type == corev1.ServiceTypeLoadBalancer {
		c.requests(s)
	}
	for i, given := range s.Status.LoadBalancer.Ingress {
		if given.IP != "" {
			c.add(OutsideAddress{Address: given.IP, Field: fmt.Sprintf("status.loadBalancer.ingress[%d].ip", i), Via: ViaStatus})
		}
	}
	return c.found, nil
}

// allottedAddresses takes only prefixes that every reader understands alike: an
// allotment is a promise to the network.
func allottedAddresses(prefixes []string) (*netipx.IPSet, error) {
	var b netipx.IPSetBuilder
	for i, text := range prefixes {
		c, err := Canonical(text)
		if err == nil && c.Problem != "" {
			err = fmt.Errorf("%q has %s: write %s", text, c.Problem, c.Canonical)
		}
		if err != nil {
			return nil, fmt.Errorf("prefixes[%d]: %w", i, err)
		}
		b.AddPrefix(netip.MustParsePrefix(c.Canonical))
	}
	return b.IPSet()
}

type claimReader struct {
	allotted *netipx.IPSet
	found    Claims
}

func (c *claimReader) requests(s *corev1.Service) {
	if ip := s.Spec.LoadBalancerIP; ip != "" {
		c.found.Requests++
		c.add(OutsideAddress{Address: ip, Field: "spec.loadBalancerIP", Via: ViaSpec})
	}
	for _, name := range AddressAnnotations() {
		value := strings.TrimSpace(s.Annotations[name])
		if value == "" {
			continue
		}
		addresses := strings.Split(value, ",")
		if name == calicoAddresses && json.Unmarshal([]byte(value), &addresses) != nil {
			addresses = []string{value}
		}
		for _, address := range addresses {
			c.found.Requests++
			c.add(OutsideAddress{Address: strings.TrimSpace(address), Field: "metadata.annotations[" + name + "]", Via: ViaAnnotation, Annotation: name})
		}
	}
}

// add notes an address unless some prefix holds it. IPv4-mapped addresses are
// IPv4, and leading zeros are decimal, as for the API server.
func (c *claimReader) add(claim OutsideAddress) {
	addr, ok := netip.AddrFromSlice(netutils.ParseIPSloppy(claim.Address))
	if !ok || !c.allotted.Contains(addr.Unmap()) {
		claim.Unreadable = !ok
		c.found.Outside = append(c.found.Outside, claim)
	}
}
