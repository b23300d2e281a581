package sluice.networkpolicy.dataplane_test

import data.sluice.lib.dataplanes
import data.sluice.lib.testing.create
import data.sluice.lib.testing.networkpolicy
import data.sluice.lib.testing.with_parameters
import data.sluice.networkpolicy.dataplane

# judged is what the rule says of a policy once told parameters.
judged(spec, parameters) := {"deny": denied, "warn": warned} if {
	obj := networkpolicy(object.union({"podSelector": {"matchLabels": {"app": "web"}}}, spec))
	told := with_parameters(create(obj), object.union(defaults, parameters))
	denied := dataplane.deny with input as told
	warned := dataplane.warn with input as told
}

# defaults are those of METADATA.
defaults := {"dataplane": "", "version": "", "addressFamilies": [], "clusterCIDRs": [], "excluded": []}

nothing := {"deny": set(), "warn": set()}

denies(finding) := {"deny": {finding}, "warn": set()}

warns(finding) := {"deny": set(), "warn": {finding}}

named := [{"protocol": "TCP", "port": "http"}]

range := [{"protocol": "TCP", "port": 8000, "endPort": 8999}]

sctp := [{"protocol": "SCTP", "port": 3868}]

clients := [{"podSelector": {}}]

block(cidr) := {"ipBlock": {"cidr": cidr}}

ingress(from, ports) := {"policyTypes": ["Ingress"], "ingress": [{"from": from, "ports": ports}]}

egress(to, ports) := {"policyTypes": ["Egress"], "egress": [{"to": to, "ports": ports}]}

plain := ingress(clients, [{"protocol": "TCP", "port": 80}])

# everything is a policy that every dataplane has trouble with.
everything := {
	"policyTypes": ["Ingress", "Egress"],
	"ingress": [{"from": [block("010.0.0.0/8"), block("fd00::/8")], "ports": array.concat(named, sctp)}],
	"egress": [{"to": [block("10.0.0.0/8")], "ports": array.concat(range, [{"protocol": "TCP", "port": n} | some n in numbers.range(1, 30)])}],
}

# METADATA
# title: nobody has told who enforces policies
# custom: {example: admitted}
test_untold if {
	judged(everything, {}) == nothing
	judged(everything, {"dataplane": ""}) == nothing
}

test_no_known_fact if {
	every name in ["antrea", "calico"] {
		judged(everything, {"dataplane": name, "addressFamilies": ["IPv4"]}) == nothing
	}
}

test_flannel if {
	judged(plain, {"dataplane": "flannel"}) == denies({
		"msg": "flannel enforces no NetworkPolicy: the pods stay open [flannel-enforces-nothing]",
		"field": "spec",
		"fix": "install what enforces beside flannel, such as Calico, and tell Sluice its name by the parameter dataplane",
	})
}

# METADATA
# title: a named port where OVN-Kubernetes enforces policies
# custom: {example: refused}
test_ovn_named_port if {
	judged(ingress(clients, named), {"dataplane": "ovn-kubernetes"}) == denies({
		"msg": "OVN-Kubernetes opens every TCP port for the named port http [ovn-named-port]",
		"field": "spec.ingress[0].ports[0].port",
		"fix": "port: the number of http",
	})
	judged(plain, {"dataplane": "ovn-kubernetes"}) == nothing
	judged({"policyTypes": ["Egress"], "ingress": [{"ports": named}]}, {"dataplane": "ovn-kubernetes"}) == nothing
}

strict := {"dataplane": "aws-vpc-cni", "excluded": ["aws-standard-mode"]}

many(n) := [{"protocol": "TCP", "port": 1000 + i} | some i in numbers.range(1, n)]

test_aws_port_entries if {
	judged(egress([block("198.51.100.0/24")], many(25)), strict) == warns({
		"msg": "the AWS agent keeps 24 entries of ports for a CIDR and drops the rest: 198.51.100.0/24 has 25 [aws-port-entries]",
		"field": "spec.egress[0].ports",
		"fix": "ranges with endPort, or smaller CIDRs with fewer ports each",
	})
	judged(egress([block("198.51.100.0/24")], many(24)), strict) == nothing
}

test_aws_named_port if {
	judged(egress([block("198.51.100.0/24")], named), strict) == warns({
		"msg": "the AWS agent skips the named port http: addresses outside of pods have no names of ports [aws-named-port]",
		"field": "spec.egress[0].ports[0].port",
		"fix": "port: the number of http",
	})
	count(judged(egress([], named), strict).warn) == 1
	judged(egress(clients, named), strict) == nothing
	judged(ingress([block("198.51.100.0/24")], named), strict) == nothing
}

test_aws_standard_mode if {
	judged(plain, {"dataplane": "aws-vpc-cni"}) == warns({
		"msg": "the AWS agent in standard mode lets new pods run open for a second or two [aws-standard-mode]",
		"field": "spec",
		"fix": "strict mode, and the parameter excluded: [aws-standard-mode]",
	})
	judged(plain, strict) == nothing
}

other_family(says, id) := warns({
	"msg": sprintf("%s [%s]", [says, id]),
	"field": "spec.egress[0].to[0].ipBlock.cidr",
	"fix": "remove this peer, or use a CIDR of the cluster's family",
})

in_ipv4(parameters) := object.union(parameters, {"addressFamilies": ["IPv4"]})

test_address_families if {
	ipv6 := egress([block("2001:db8::/64"), block("198.51.100.0/24")], [])
	judged(ipv6, in_ipv4(strict)) == other_family(
		"the AWS agent ignores 2001:db8::/64: the cluster has the other address family only",
		"aws-address-family",
	)
	judged(ipv6, in_ipv4({"dataplane": "kube-router"})) == other_family(
		"kube-router ignores 2001:db8::/64: its address family is switched off",
		"kube-router-address-family",
	)
	judged(ipv6, in_ipv4({"dataplane": "aci"})) == other_family(
		"ACI drops 2001:db8::/64: the cluster has the other address family only",
		"aci-address-family",
	)
}

test_address_families_that_there_are if {
	every name in ["aws-vpc-cni", "kube-router", "aci"] {
		parameters := {"dataplane": name, "excluded": ["aws-standard-mode"]}
		judged(egress([block("2001:db8::/64")], []), parameters) == nothing
		judged(egress([block("2001:db8::/64")], []), object.union(parameters, {"addressFamilies": ["IPv4", "IPv6"]})) == nothing
		judged(egress([block("198.51.100.0/24")], []), in_ipv4(parameters)) == nothing
		judged(egress([block("example.com")], []), in_ipv4(parameters)) == nothing
	}
}

test_aci_rule_without_peers_left if {
	judged(egress([block("2001:db8::/64")], []), in_ipv4({"dataplane": "aci"})) == denies({
		"msg": concat(" ", [
			"ACI drops 2001:db8::/64, of the other address family, and opens the rule,",
			"which is left without peers, to everyone [aci-only-address-family]",
		]),
		"field": "spec.egress[0].to[0].ipBlock.cidr",
		"fix": "a CIDR of the cluster's family, or remove the rule",
	})
}

test_aci_named_port if {
	judged(ingress(clients, named), {"dataplane": "aci"}) == denies({
		"msg": "ACI opens each number that any selected pod gives the named port http on all of them [aci-named-port]",
		"field": "spec.ingress[0].ports[0].port",
		"fix": "port: the number of http",
	})
	judged(egress(clients, named), {"dataplane": "aci"}) == nothing
}

test_aci_named_port_of_all_pods if {
	every_pod := create(object.union(networkpolicy(ingress(clients, named)), {"spec": {"podSelector": {}}}))
	told := with_parameters(every_pod, {"dataplane": "aci"})
	dataplane.deny == set() with input as told
	dataplane.warn == {{
		"msg": "ACI skips the named port http, because the podSelector is empty [aci-named-port-of-all-pods]",
		"field": "spec.ingress[0].ports[0].port",
		"fix": "port: the number of http",
	}} with input as told
}

test_aci_end_port if {
	judged(ingress(clients, range), {"dataplane": "aci"}) == warns({
		"msg": "ACI ignores endPort before January 2026: of 8000-8999 only the first port is open [aci-end-port]",
		"field": "spec.ingress[0].ports[0].endPort",
		"fix": "a newer aci-containers, and the parameter excluded: [aci-end-port]",
	})
}

no_cidrs := {"dataplane": "cilium", "clusterCIDRs": ["10.244.0.0/16"]}

matches_no_pod(cidr) := warns({
	"msg": sprintf("Cilium matches no pod, and by default no node, by the ipBlock %s [cilium-ip-block]", [cidr]),
	"field": "spec.egress[0].to[0].ipBlock.cidr",
	"fix": "podSelector and namespaceSelector if pods are meant",
})

test_cilium_ip_block if {
	judged(egress([block("10.0.0.0/8")], []), {"dataplane": "cilium"}) == matches_no_pod("10.0.0.0/8")
	judged(egress([block("10.0.0.0/8")], []), no_cidrs) == matches_no_pod("10.0.0.0/8")
	judged(egress([block("0.0.0.0/0")], []), no_cidrs) == matches_no_pod("0.0.0.0/0")
}

test_cilium_ip_block_elsewhere if {
	judged(egress([block("198.51.100.0/24")], []), {"dataplane": "cilium"}) == nothing
	judged(egress([block("10.1.0.0/16")], []), no_cidrs) == nothing
	judged(egress([{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.244.0.0/16"]}}], []), no_cidrs) == nothing
	judged(egress([{"ipBlock": {"cidr": "198.51.100.0/24", "except": ["198.51.100.8/32"]}}], []), {"dataplane": "cilium"}) == nothing
}

ignores_end_port := warns({
	"msg": "Cilium before 1.16 ignores endPort: of 8000-8999 only the first port is open [cilium-end-port]",
	"field": "spec.ingress[0].ports[0].endPort",
	"fix": "a newer Cilium and the parameter version, or an entry for each port",
})

test_cilium_end_port if {
	every version in ["", "1.15", "v1.15.9", "1.9.12", "1"] {
		judged(ingress(clients, range), {"dataplane": "cilium", "version": version}) == ignores_end_port
	}
}

test_cilium_end_port_known if {
	every version in ["1.16", "v1.16.0", "1.17.3-rc.1", "2"] {
		judged(ingress(clients, range), {"dataplane": "cilium", "version": version}) == nothing
	}
	judged(ingress(clients, [{"protocol": "TCP", "port": 80, "endPort": 80}]), {"dataplane": "cilium"}) == nothing
}

test_cilium_sctp if {
	judged(ingress(clients, sctp), {"dataplane": "cilium"}) == warns({
		"msg": "Cilium drops SCTP unless it is enabled [cilium-sctp]",
		"field": "spec.ingress[0].ports[0].protocol",
		"fix": "sctp.enabled=true in its Helm values, and the parameter excluded: [cilium-sctp]",
	})
	judged(ingress(clients, sctp), {"dataplane": "cilium", "excluded": ["cilium-sctp"]}) == nothing
}

test_kube_router_sctp if {
	judged(ingress(clients, sctp), {"dataplane": "kube-router"}) == denies({
		"msg": "kube-router doesn't limit SCTP: it stays open on every port [kube-router-sctp]",
		"field": "spec.ingress[0].ports[0].protocol",
		"fix": "protocol: TCP, or a dataplane that knows SCTP",
	})
	judged(plain, {"dataplane": "kube-router"}) == nothing
}

knp := {"dataplane": "kube-network-policies"}

test_kube_network_policies if {
	judged(egress([block("010.0.0.0/8")], []), knp) == denies({
		"msg": "kube-network-policies can't read the CIDR 010.0.0.0/8 and accepts every address for it [kube-network-policies-cidr]",
		"field": "spec.egress[0].to[0].ipBlock.cidr",
		"fix": "the CIDR without leading zeros, such as 10.0.0.0/8",
	})
	judged(egress([{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.01.0.0/16"]}}], []), knp) == denies({
		"msg": "kube-network-policies can't read the except 10.01.0.0/16 and lets its addresses through [kube-network-policies-except]",
		"field": "spec.egress[0].to[0].ipBlock.except[0]",
		"fix": "the CIDR without leading zeros, such as 10.0.0.0/8",
	})
	judged(egress([block("10.1.0.0/8"), block("::ffff:10.0.0.0/104")], []), knp) == nothing
}

azure_refuses(cidr, field) := denies({
	"msg": sprintf("Azure NPM refuses the CIDR %s and drops the whole policy: its pods stay open [azure-cidr]", [cidr]),
	"field": field,
	"fix": "the canonical CIDR, such as 10.0.0.0/8",
})

test_azure_cidr if {
	npm := {"dataplane": "azure-npm"}
	every cidr in ["10.0.0.0/0", "010.0.0.0/8", "::ffff:10.0.0.0/104"] {
		judged(egress([block(cidr)], []), npm) == azure_refuses(cidr, "spec.egress[0].to[0].ipBlock.cidr")
	}
	judged(egress([{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.2.0/16"]}}], []), npm) == azure_refuses(
		"10.1.2.0/16",
		"spec.egress[0].to[0].ipBlock.except[0]",
	)
	judged(egress([block("10.0.0.0/8")], []), npm) == nothing
}

test_azure_ipv6 if {
	judged(egress([block("10.0.0.0/8"), block("fd00::/8")], []), {"dataplane": "azure-npm"}) == denies({
		"msg": "Azure NPM knows no IPv6 and drops the whole policy because of fd00::/8: its pods stay open [azure-ipv6]",
		"field": "spec.egress[0].to[1].ipBlock.cidr",
		"fix": "remove the IPv6 block",
	})
}

# Each fact can be excluded by its id, which METADATA lists.
test_every_fact_can_be_excluded if {
	every name, known in dataplanes.facts {
		ids := [fact.id | some fact in known]
		count(ids) == count({id | some id in ids})
		judged(everything, {"dataplane": name, "addressFamilies": ["IPv4"], "excluded": ids}) == nothing
	}
}

daemonset(name) := {"metadata": {"name": name}, "spec": {"template": {"spec": {"containers": [{"name": name}]}}}}

agent(args) := {"metadata": {"name": "aws-node"}, "spec": {"template": {"spec": {"containers": [
	{"name": "aws-node"},
	{"name": "aws-eks-nodeagent", "args": args},
]}}}}

# auto is a policy that any dataplane has trouble with, in a cluster where the dataplane has to be found.
auto := with_parameters(create(networkpolicy(everything)), {"dataplane": "auto", "addressFamilies": ["IPv4"]})

# facts_found are the ids that end findings.
facts_found(findings) := {id |
	some finding in findings
	some id in regex.find_n(`[a-z0-9-]+\]$`, finding.msg, 1)
}

of(name) := {sprintf("%s]", [fact.id]) | some fact in dataplanes.facts[name]}

unknown(msg) := {{"msg": msg, "field": "spec", "fix": "tell Sluice its name by the parameter dataplane, or by --dataplane"}}

nobody_knows := unknown("no known dataplane is found in the cluster: who enforces this policy, and how, is not known")

cilium_runs("apps/DaemonSet", "kube-system", "cilium") := daemonset("cilium")

cilium_runs("apiextensions.k8s.io/CustomResourceDefinition", "", "felixconfigurations.crd.projectcalico.org") := {}

test_auto_by_daemonset if {
	found := dataplane.warn with input as auto with sluice.state.get as cilium_runs
	facts_found(found) == of("cilium")
	dataplane.deny == set() with input as auto with sluice.state.get as cilium_runs
}

azure_beside_flannel("apps/DaemonSet", "kube-flannel", "kube-flannel-ds") := daemonset("kube-flannel-ds")

azure_beside_flannel("apps/DaemonSet", "kube-system", "azure-npm") := daemonset("azure-npm")

test_auto_beside_flannel if {
	found := dataplane.deny with input as auto with sluice.state.get as azure_beside_flannel
	facts_found(found) == of("azure-npm")
	dataplane.warn == set() with input as auto with sluice.state.get as azure_beside_flannel
}

flannel_alone("apps/DaemonSet", "kube-flannel", "kube-flannel-ds") := daemonset("kube-flannel-ds")

test_auto_flannel_alone if {
	found := dataplane.deny with input as auto with sluice.state.get as flannel_alone
	facts_found(found) == of("flannel")
}

ovn_left("apiextensions.k8s.io/CustomResourceDefinition", "", "egressfirewalls.k8s.ovn.org") := {}

test_auto_by_crd if {
	found := dataplane.deny with input as auto with sluice.state.get as ovn_left
	facts_found(found) == of("ovn-kubernetes")
}

aws_on("apps/DaemonSet", "kube-system", "aws-node") := agent(["--enable-ipv6=false", "--enable-network-policy=true"])

test_auto_aws if {
	found := dataplane.warn with input as auto with sluice.state.get as aws_on
	facts_found(found) == of("aws-vpc-cni") - {"aws-named-port]"}
}

aws_off("apps/DaemonSet", "kube-system", "aws-node") := agent(["--enable-network-policy=false"])

aws_off("apiextensions.k8s.io/CustomResourceDefinition", "", "policyendpoints.networking.k8s.aws") := {}

test_auto_aws_switched_off if {
	dataplane.warn == nobody_knows with input as auto with sluice.state.get as aws_off
	dataplane.deny == set() with input as auto with sluice.state.get as aws_off
}

two("apps/DaemonSet", "calico-system", "calico-node") := daemonset("calico-node")

two("apps/DaemonSet", "kube-system", "cilium") := daemonset("cilium")

test_auto_several if {
	dataplane.warn == unknown(concat("", [
		"several dataplanes are found, calico and cilium: ",
		"which of them enforces this policy is not known",
	])) with input as auto with sluice.state.get as two
	dataplane.deny == set() with input as auto with sluice.state.get as two
}

none("none", _, _) := {}

test_auto_none if {
	dataplane.warn == nobody_knows with input as auto with sluice.state.get as none
	dataplane.deny == set() with input as auto with sluice.state.get as none
}

# Unless told to find out, nothing is asked.
test_state_is_left_alone if {
	told := with_parameters(create(networkpolicy(plain)), {"dataplane": "calico"})
	dataplane.warn == set() with input as told with sluice.state.get as two
}
