package policies_test

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

const gatepolicies = `Error from server (Forbidden): error when creating "STDIN": admission webhook "gatepolicies.sluice.dev" denied the request: `

var _ = DescribeTable("a policy that would have no effect or a wrong one is refused at kubectl apply",
	func(ctx SpecContext, spec, want string) {
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
	Entry("a ServiceAccount without a namespace", "  rule: ingress-tls-required\n  match: {excludedSubjects: [{kind: ServiceAccount, name: x}]}\n",
		`The GatePolicy "mine" is invalid: spec.match.excludedSubjects[0]: Invalid value: a ServiceAccount needs a namespace, a User or Group has none`),
)
