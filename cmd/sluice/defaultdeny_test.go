package main

import (
	"strings"
	"testing"

	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/profile"
)

const defaultDenyPolicy = `apiVersion: policy.sluice.dev/v1alpha1
kind: GatePolicy
metadata: {name: default-deny}
spec: {rule: namespace-default-deny, parameters: `

// What a flavour can't say is refused with the policy, by name and with the reason, and what it can is printed.
func TestDefaultDenyParameters(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "ns.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n")
	for _, c := range []struct {
		parameters string
		code       int
		want       string
	}{
		{"{}", 0, "name: sluice-allow-dns"},
		{"{dns: {namespace: openshift-dns, ports: [5353]}}", 0, "k8s-app: kube-dns"},
		{"{directions: []}", 2, "spec.parameters.directions: minItems: got 0, want 1"},
		{"{directions: [Egress, Egress]}", 2, "spec.parameters.directions: items at 0 and 1 are equal"},
		{"{directions: [egress]}", 2, "spec.parameters.directions.0: value must be one of"},
		{"{dns: {podLabels: {}}}", 2, "spec.parameters.dns.podLabels: minProperties: got 0, want 1"},
		{`{dns: {podLabels: {"a'b": c}}}`, 2, "spec.parameters.dns.podLabels: additional properties 'a\\'b' not allowed"},
		{`{dns: {podLabels: {a: "b'c"}}}`, 2, "spec.parameters.dns.podLabels.a"},
		{"{dns: {podLabels: {dns.operator.openshift.io/daemonset-dns: default}}}", 0, "dns.operator.openshift.io/daemonset-dns: default"},
		{"{dns: {ports: [0]}}", 2, "spec.parameters.dns.ports.0: minimum: got 0, want 1"},
		{"{dns: {nodeLocal: cache}}", 2, "spec.parameters.dns.nodeLocal"},
		{"{nodeLocalDNS: 169.254.20.10}", 2, `additional properties 'nodeLocalDNS' not allowed; did you mean "dns.nodeLocal"?`},
		{"{apiServer: {cidrs: [192.0.2.1]}}", 2, "spec.parameters.apiServer.cidrs.0"},
		{"{apiServer: {enabled: true}}", 2, "spec.parameters.apiServer.cidrs: minItems: got 0, want 1: this flavour has no other way to name the API server"},
		{"{apiServer: {enabled: true, cidrs: [192.0.2.1/32]}}", 0, "cidr: 192.0.2.1/32"},
		{"{flavour: ClusterNetworkPolicy, apiServer: {enabled: true}}", 2, "spec.parameters.apiServer.cidrs: minItems: got 0, want 1"},
		{"{flavour: CiliumNetworkPolicy, apiServer: {enabled: true}}", 0, "- kube-apiserver"},
		{"{flavour: GlobalNetworkPolicy, apiServer: {enabled: true}}", 0, "name: kubernetes"},
		{"{flavour: ClusterNetworkPolicy, sameNamespace: true}", 2, "spec.parameters.sameNamespace: value must be false: a ClusterNetworkPolicy can't name"},
		{"{sameNamespace: true}", 0, "name: sluice-allow-same-namespace"},
		{`{flavour: ClusterNetworkPolicy, excludedNamespaces: ["kube-*"]}`, 2, "leaves out namespaces by name only"},
		{`{excludedNamespaces: ["kube-*"]}`, 0, "name: sluice-default-deny"},
		{"{excludedNamespaces: [Shop]}", 2, "spec.parameters.excludedNamespaces.0"},
		{"{extraIngress: [{form: []}]}", 2, "spec.parameters.extraIngress.0: additional properties 'form' not allowed: a NetworkPolicy has from and ports here"},
		{"{extraEgress: [{from: []}]}", 2, "spec.parameters.extraEgress.0: additional properties 'from' not allowed: a NetworkPolicy has to and ports here"},
		{"{flavour: CiliumNetworkPolicy, extraIngress: [{fromEntities: [cluster]}]}", 0, "name: sluice-allow-extra"},
	} {
		write(t, "policy.yaml", defaultDenyPolicy+c.parameters+"}\n")
		stdout, stderr, code := sluice(t, "", "generate", "--profile", "none", "--policies", "policy.yaml", "-f", "ns.yaml")
		if code != c.code || !strings.Contains(stdout+stderr, c.want) {
			t.Errorf("%s: exit %d, want %d and %q in\n%s%s", c.parameters, code, c.code, c.want, stdout, stderr)
		}
	}
}

// A cluster needs no kind but that of the flavour.
func TestDefaultDenyGeneratesOneKind(t *testing.T) {
	set, err := profile.Load(profile.Options{})
	if err != nil {
		t.Fatal(err)
	}
	rule, _ := set.Library.Rule("namespace-default-deny")
	for _, want := range []string{"networking.k8s.io/NetworkPolicy", "cilium.io/CiliumNetworkPolicy",
		"projectcalico.org/GlobalNetworkPolicy", "policy.networking.k8s.io/ClusterNetworkPolicy"} {
		_, flavour, _ := strings.Cut(want, "/")
		complete, err := rule.CompleteParameters(map[string]any{"flavour": flavour})
		if err != nil {
			t.Fatal(err)
		}
		if kinds := rule.GeneratesUnder(complete); len(kinds) != 1 || engine.FormatGroupKind(kinds[0]) != want {
			t.Errorf("%s: %v", flavour, kinds)
		}
	}
}
