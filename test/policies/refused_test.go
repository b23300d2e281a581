package policies_test

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

const gatepolicies = `Error from server (Forbidden): error when creating "STDIN": admission webhook "gatepolicies.sluice.dev" denied the request: `

// labelling is a policy that gives ConfigMaps a label.
func labelling(value string) string {
	return strings.Replace(rego("ConfigMap", "true"), `deny contains "refused by the test" if true`,
		`patch contains {"op": "add", "path": "/metadata/labels/team", "value": "`+value+`"} if not input.request.object.metadata.labels.team`, 1)
}

var _ = DescribeTable("a policy that would have no effect or a wrong one is refused at kubectl apply",
	func(ctx SpecContext, spec, want string) {
		if strings.Contains(want, "label-a") {
			turnOn(ctx, "label-a", labelling("a"))
		}
		got := apply(ctx, policy("mine", spec))
		Expect(got.err).To(HaveOccurred())
		Expect(strings.TrimSpace(got.complaint)).To(Equal(want))
		Expect(kubectl(ctx, "", "get", "gatepolicy", "mine").complaint).To(ContainSubstring("NotFound"))
	},
	Entry("both rule and rego", "  rule: ingress-tls-required\n  rego: package x\n",
		`The GatePolicy "mine" is invalid: spec: Invalid value: give exactly one of rule and rego`),
	Entry("neither", "  action: Deny\n",
		`The GatePolicy "mine" is invalid: spec: Invalid value: give exactly one of rule and rego`),
	Entry("libs without rego", "  rule: ingress-tls-required\n  libs: [package sluice.lib.x]\n",
		`The GatePolicy "mine" is invalid: spec: Invalid value: libs belong to rego`),
	Entry("an unknown rule", "  rule: ingress-tls-requird\n",
		gatepolicies+`spec.rule: there is no rule "ingress-tls-requird"; did you mean "ingress-tls-required"?`),
	Entry("a parameter of the wrong type", "  rule: ingress-tls-required\n  parameters: {acmeSolvers: 5}\n",
		gatepolicies+`spec.parameters.acmeSolvers: got number, want array`),
	Entry("a kind that the rule does not judge", "  rule: ingress-tls-required\n  match: {kinds: [Service]}\n",
		gatepolicies+`spec.match.kinds[0]: "Service": the rule ingress-tls-required does not judge it`),
	Entry("a syntax error", "  rego: |\n    package example.x\n\n    deny contains msg if {\n    \tinput.x ==\n    }\n",
		gatepolicies+"\nmine.rego:5:1: unexpected } token\n\t}\n\t^"),
	Entry("a field that the kind does not have", rego("Service", `input.request.object.spec.tpye == "NodePort"`),
		gatepolicies+"\n"+`mine.rego:10:40: undefined ref: input.request.object.spec.tpye, have: "tpye", want (one of): `+
			`["allocateLoadBalancerNodePorts" "clusterIP" "clusterIPs" "externalIPs" "externalName" "externalTrafficPolicy" "healthCheckNodePort" `+
			`"internalTrafficPolicy" "ipFamilies" "ipFamilyPolicy" "loadBalancerClass" "loadBalancerIP" "loadBalancerSourceRanges" "ports" `+
			`"publishNotReadyAddresses" "selector" "sessionAffinity" "sessionAffinityConfig" "trafficDistribution" "type"]`+"\n"+
			"\tdeny contains \"refused by the test\" if input.request.object.spec.tpye == \"NodePort\"\n\t                                       ^"),
	Entry("a function that reaches the network", rego("Service", `http.send({"url": "http://example.com"}).status_code == 200`),
		gatepolicies+"\nmine.rego:10:40: undefined function http.send: OPA has it, but rules may not call it; sluice capabilities prints what they may\n"+
			"\tdeny contains \"refused by the test\" if http.send({\"url\": \"http://example.com\"}).status_code == 200\n\t                                       ^"),
	Entry("a misspelt verb", strings.Replace(rego("Service", "true"), "deny contains", "dney contains", 1),
		gatepolicies+"\nmine.rego:10:1: dney is no verb; did you mean deny?\n\tdney contains \"refused by the test\" if true\n\t^"),
	Entry("METADATA without a severity", strings.Replace(rego("Service", "true"), "    #   severity: low\n", "", 1),
		gatepolicies+"\nmine.rego:1:1: METADATA custom.severity: want one of critical, high, medium, low\n\t# METADATA\n\t^"),
	Entry("a lib outside of sluice.lib", rego("Service", "true")+"  libs: [\"package example.lib\\n\\nx := 1\\n\"]\n",
		gatepolicies+"\nmine.libs[0].rego:1:1: package example.lib: a lib's package is below sluice.lib, such as sluice.lib.lib\n\tpackage example.lib\n\t^"),
	Entry("patches that are bound to collide with those of another policy", labelling("b"),
		gatepolicies+`it disagrees with policy "label-a" about /metadata/labels/team: "b" against "a"`),
	Entry("a ServiceAccount without a namespace", "  rule: ingress-tls-required\n  match: {excludedSubjects: [{kind: ServiceAccount, name: x}]}\n",
		`The GatePolicy "mine" is invalid: spec.match.excludedSubjects[0]: Invalid value: a ServiceAccount needs a namespace, a User or Group has none`),
)
