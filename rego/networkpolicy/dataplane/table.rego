# METADATA
# title: What dataplanes make of a NetworkPolicy
# description: >
#   One row for each fact, so that a new release is a changed row. A fact is about traits of these names (see
#   sluice.networkpolicy.traits) whose keys have one of the values in where; over is a count that is still fine; other_family
#   restricts it to families that the cluster hasn't. until is the version from which the fact holds no more. effect is deny
#   where the dataplane then lets through what the policy forbids, and warn where it blocks what the policy allows, or is
#   only late. In says and fix, {value}, {protocol} and {count} are those of the trait.
package sluice.lib.dataplanes

facts := {
	"flannel": [{
		"id": "flannel-enforces-nothing",
		"effect": "deny",
		"traits": ["policy"],
		"says": "flannel enforces no NetworkPolicy: the pods stay open",
		"fix": "install what enforces beside flannel, such as Calico, and tell Sluice its name by the parameter dataplane",
		"link": "https://github.com/flannel-io/flannel/issues/558",
	}],
	"ovn-kubernetes": [{
		"id": "ovn-named-port",
		"effect": "deny",
		"traits": ["port-name"],
		"says": "OVN-Kubernetes opens every {protocol} port for the named port {value}",
		"fix": "port: the number of {value}",
		"link": "https://github.com/ovn-kubernetes/ovn-kubernetes/issues/2117",
	}],
	"aws-vpc-cni": [
		{
			"id": "aws-port-entries",
			"effect": "warn",
			"traits": ["port-entries"],
			"over": 24,
			"says": "the AWS agent keeps 24 entries of ports for a CIDR and drops the rest: {value} has {count}",
			"fix": "ranges with endPort, or smaller CIDRs with fewer ports each",
			"link": "https://docs.aws.amazon.com/eks/latest/userguide/cni-network-policy.html",
		},
		{
			"id": "aws-named-port",
			"effect": "warn",
			"traits": ["port-name"],
			"where": {"direction": ["Egress"], "peers": ["none", "addresses"]},
			"says": "the AWS agent skips the named port {value}: addresses outside of pods have no names of ports",
			"fix": "port: the number of {value}",
			"link": "https://github.com/aws/amazon-network-policy-controller-k8s/blob/main/pkg/resolvers/endpoints.go",
		},
		{
			"id": "aws-address-family",
			"effect": "warn",
			"traits": ["cidr"],
			"other_family": true,
			"says": "the AWS agent ignores {value}: the cluster has the other address family only",
			"fix": "remove this peer, or use a CIDR of the cluster's family",
			"link": "https://docs.aws.amazon.com/eks/latest/userguide/cni-network-policy.html",
		},
		{
			"id": "aws-standard-mode",
			"effect": "warn",
			"traits": ["policy"],
			"says": "the AWS agent in standard mode lets new pods run open for a second or two",
			"fix": "strict mode, and the parameter excluded: [aws-standard-mode]",
			"link": "https://github.com/aws/aws-network-policy-agent/issues/345",
		},
	],
	"cilium": [
		{
			"id": "cilium-ip-block",
			"effect": "warn",
			"traits": ["cidr"],
			"where": {"inside": ["cluster", "private"]},
			"says": "Cilium matches no pod, and by default no node, by the ipBlock {value}",
			"fix": "podSelector and namespaceSelector if pods are meant",
			"link": "https://github.com/cilium/cilium/issues/9209",
		},
		{
			"id": "cilium-end-port",
			"effect": "warn",
			"traits": ["port-range"],
			"until": "1.16",
			"says": "Cilium before 1.16 ignores endPort: of {value} only the first port is open",
			"fix": "a newer Cilium and the parameter version, or an entry for each port",
			"link": "https://github.com/cilium/cilium/issues/28684",
		},
		{
			"id": "cilium-sctp",
			"effect": "warn",
			"traits": ["sctp"],
			"says": "Cilium drops SCTP unless it is enabled",
			"fix": "sctp.enabled=true in its Helm values, and the parameter excluded: [cilium-sctp]",
			"link": "https://docs.cilium.io/en/stable/configuration/sctp/",
		},
	],
	"kube-router": [
		{
			"id": "kube-router-sctp",
			"effect": "deny",
			"traits": ["sctp"],
			"says": "kube-router doesn't limit SCTP: it stays open on every port",
			"fix": "protocol: TCP, or a dataplane that knows SCTP",
			"link": "https://github.com/cloudnativelabs/kube-router/issues/1019",
		},
		{
			"id": "kube-router-address-family",
			"effect": "warn",
			"traits": ["cidr"],
			"other_family": true,
			"says": "kube-router ignores {value}: its address family is switched off",
			"fix": "remove this peer, or use a CIDR of the cluster's family",
			"link": "https://github.com/cloudnativelabs/kube-router/blob/master/pkg/controllers/netpol/policy.go",
		},
	],
	"kube-network-policies": [
		{
			"id": "kube-network-policies-cidr",
			"effect": "deny",
			"traits": ["cidr"],
			"where": {"refused": [true]},
			"says": "kube-network-policies can't read the CIDR {value} and accepts every address for it",
			"fix": "the CIDR without leading zeros, such as 10.0.0.0/8",
			"link": "https://github.com/kubernetes-sigs/kube-network-policies/blob/main/pkg/pipeline/networkpolicy.go",
		},
		{
			"id": "kube-network-policies-except",
			"effect": "deny",
			"traits": ["except"],
			"where": {"refused": [true]},
			"says": "kube-network-policies can't read the except {value} and lets its addresses through",
			"fix": "the CIDR without leading zeros, such as 10.0.0.0/8",
			"link": "https://github.com/kubernetes-sigs/kube-network-policies/blob/main/pkg/pipeline/networkpolicy.go",
		},
	],
	"azure-npm": [
		{
			"id": "azure-cidr",
			"effect": "deny",
			"traits": ["cidr", "except"],
			"where": {"canonical": [false]},
			"says": "Azure NPM refuses the CIDR {value} and drops the whole policy: its pods stay open",
			"fix": "the canonical CIDR, such as 10.0.0.0/8",
			"link": "https://github.com/Azure/azure-container-networking/pull/4867",
		},
		{
			"id": "azure-ipv6",
			"effect": "deny",
			"traits": ["cidr", "except"],
			"where": {"canonical": [true], "family": ["IPv6"]},
			"says": "Azure NPM knows no IPv6 and drops the whole policy because of {value}: its pods stay open",
			"fix": "remove the IPv6 block",
			"link": "https://github.com/Azure/azure-container-networking/pull/1738",
		},
	],
	"aci": [
		{
			"id": "aci-address-family",
			"effect": "warn",
			"traits": ["cidr"],
			"where": {"onlyFamily": [false]},
			"other_family": true,
			"says": "ACI drops {value}: the cluster has the other address family only",
			"fix": "remove this peer, or use a CIDR of the cluster's family",
			"link": "https://github.com/noironetworks/aci-containers/blob/master/pkg/controller/network_policy.go",
		},
		{
			"id": "aci-only-address-family",
			"effect": "deny",
			"traits": ["cidr"],
			"where": {"onlyFamily": [true]},
			"other_family": true,
			"says": "ACI drops {value}, of the other address family, and opens the rule, which is left without peers, to everyone",
			"fix": "a CIDR of the cluster's family, or remove the rule",
			"link": "https://github.com/noironetworks/aci-containers/blob/master/pkg/controller/network_policy.go",
		},
		{
			"id": "aci-named-port",
			"effect": "deny",
			"traits": ["port-name"],
			"where": {"direction": ["Ingress"], "allPods": [false]},
			"says": "ACI opens each number that any selected pod gives the named port {value} on all of them",
			"fix": "port: the number of {value}",
			"link": "https://github.com/noironetworks/aci-containers/pull/1707",
		},
		{
			"id": "aci-named-port-of-all-pods",
			"effect": "warn",
			"traits": ["port-name"],
			"where": {"direction": ["Ingress"], "allPods": [true]},
			"says": "ACI skips the named port {value}, because the podSelector is empty",
			"fix": "port: the number of {value}",
			"link": "https://github.com/noironetworks/aci-containers/pull/1707",
		},
		{
			"id": "aci-end-port",
			"effect": "warn",
			"traits": ["port-range"],
			"says": "ACI ignores endPort before January 2026: of {value} only the first port is open",
			"fix": "a newer aci-containers, and the parameter excluded: [aci-end-port]",
			"link": "https://github.com/noironetworks/aci-containers/pull/1653",
		},
	],
	"antrea": [],
	"calico": [],
}

# daemonsets are the names under which dataplanes run: dataplane, namespace, name.
daemonsets := [
	["aci", "aci-containers-system", "aci-containers-host"],
	["aci", "kube-system", "aci-containers-host"],
	["antrea", "kube-system", "antrea-agent"],
	["aws-vpc-cni", "kube-system", "aws-node"],
	["azure-npm", "kube-system", "azure-npm"],
	["calico", "calico-system", "calico-node"],
	["calico", "kube-system", "calico-node"],
	["calico", "kube-system", "canal"],
	["calico", "kube-system", "rke2-canal"],
	["cilium", "kube-system", "anetd"],
	["cilium", "kube-system", "cilium"],
	["flannel", "kube-flannel", "kube-flannel-ds"],
	["flannel", "kube-system", "kube-flannel"],
	["flannel", "kube-system", "kube-flannel-ds"],
	["kube-network-policies", "kube-system", "kube-network-policies"],
	["kube-router", "kube-system", "kube-router"],
	["ovn-kubernetes", "openshift-ovn-kubernetes", "ovnkube-node"],
	["ovn-kubernetes", "ovn-kubernetes", "ovnkube-node"],
]

# crds tell which dataplane it is where none of the daemonsets is there.
crds := {
	"antreaagentinfos.crd.antrea.io": "antrea",
	"ciliumnetworkpolicies.cilium.io": "cilium",
	"egressfirewalls.k8s.ovn.org": "ovn-kubernetes",
	"felixconfigurations.crd.projectcalico.org": "calico",
	"policyendpoints.networking.k8s.aws": "aws-vpc-cni",
	"snatpolicies.aci.snat": "aci",
}
