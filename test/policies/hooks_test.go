package policies_test

import (
	"context"
	"regexp"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

func regexpOf(text string) string { return regexp.QuoteMeta(text) }

// resources are those that two entries of the validating configuration send, the one for the cluster's own kinds first.
func resources(ctx context.Context) string {
	return kubectl(ctx, "", "get", "validatingwebhookconfiguration", "sluice", "-o",
		"jsonpath={.webhooks[8].rules[*].resources} {.webhooks[0].rules[*].resources}").out
}

const shipped = `["services","services/status"] ["ingresses"] ["networkpolicies"]`

const widgets = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.dev}
spec:
  group: example.dev
  names: {kind: Widget, listKind: WidgetList, plural: widgets, singular: widget}
  scope: Namespaced
  versions:
    - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
`

var _ = Describe("the webhook configurations", Serial, func() {
	It("keep their rules when the manifests are applied again, and get them back when somebody takes them", func(ctx SpecContext) {
		Eventually(func() string { return resources(ctx) }).Should(Equal(shipped))
		must(ctx, "", "apply", "-k", options.Manifests)
		Expect(resources(ctx)).To(Equal(shipped))
		bundle := must(ctx, "", "get", "validatingwebhookconfiguration", "sluice", "-o", "jsonpath={.webhooks[*].clientConfig.caBundle}")
		must(ctx, "", "patch", "validatingwebhookconfiguration", "sluice", "--type=json", "-p", `[{"op": "remove", "path": "/webhooks/0/rules"}]`)
		Eventually(func() string { return resources(ctx) }).Should(Equal(shipped))
		Expect(must(ctx, "", "get", "validatingwebhookconfiguration", "sluice", "-o", "jsonpath={.webhooks[*].clientConfig.caBundle}")).To(Equal(bundle))
	})

	It("that are deleted stay deleted, and policies say that nothing is sent", func(ctx SpecContext) {
		bundle := must(ctx, "", "get", "mutatingwebhookconfiguration", "sluice", "-o", "jsonpath={.webhooks[0].clientConfig.caBundle}")
		must(ctx, "", "delete", "mutatingwebhookconfiguration", "sluice")
		Eventually(func() string { return condition(ctx, "gatepolicy/ingress-enforce-redirect", "Ready") }).Should(
			Equal("False NotIntercepted there is no entry mutate.sluice.dev in a webhook configuration sluice"))
		must(ctx, "", "patch", "gatepolicy", "ingress-enforce-redirect", "--type=merge", "-p", `{"spec": {"message": "looked at again"}}`)
		Eventually(func() string {
			return must(ctx, "", "get", "gatepolicy", "ingress-enforce-redirect", "-o", "jsonpath={.status.observedGeneration}")
		}).Should(Equal("2"))
		Expect(kubectl(ctx, "", "get", "mutatingwebhookconfiguration", "sluice").complaint).To(ContainSubstring("NotFound"))
		must(ctx, "", "apply", "-k", options.Manifests)
		for _, entry := range []string{"0", "1", "2", "3"} {
			must(ctx, "", "patch", "mutatingwebhookconfiguration", "sluice", "--type=json", "-p",
				`[{"op": "add", "path": "/webhooks/`+entry+`/clientConfig/caBundle", "value": "`+bundle+`"}]`)
		}
		Eventually(func() string { return condition(ctx, "gatepolicy/ingress-enforce-redirect", "Ready") }).Should(HavePrefix("True Active"))
	})

	It("take in a kind once its CustomResourceDefinition is there", func(ctx SpecContext) {
		namespace(ctx, "widgets")
		widget := "apiVersion: example.dev/v1\nkind: Widget\nmetadata: {name: w, namespace: widgets}\nspec: {size: BIG}\n"
		must(ctx, policy("widgets", rego("example.dev/Widget", `input.request.object.spec.size == "big"`)), "apply", "-f", "-")
		DeferCleanup(func(ctx SpecContext) { must(ctx, "", "delete", "gatepolicy", "widgets") })
		Eventually(func() string { return condition(ctx, "gatepolicy/widgets", "Ready") }).Should(
			Equal("False KindNotServed example.dev/Widget: the API server does not serve this kind (a CustomResourceDefinition may be missing)"))
		must(ctx, widgets, "apply", "-f", "-")
		DeferCleanup(func(ctx SpecContext) { must(ctx, "", "delete", "crd", "widgets.example.dev") })
		Eventually(func() string { return condition(ctx, "gatepolicy/widgets", "Ready") }).Should(HavePrefix("True Active"))
		Eventually(func() string { return apply(ctx, replace(widget, "BIG", "big"), "--dry-run=server").complaint }).Should(
			ContainSubstring("widgets: refused by the test"))
		must(ctx, replace(widget, "BIG", "small"), "apply", "-f", "-")
	})

	It("follow a kind to another version, and say when it is gone", func(ctx SpecContext) {
		gadgets := replace(widgets, "widget", "gadget", "Widget", "Gadget")
		sent := func() string {
			return kubectl(ctx, "", "get", "validatingwebhookconfiguration", "sluice", "-o",
				`jsonpath={.webhooks[0].rules[?(@.resources[0]=="gadgets")].apiVersions}`).out
		}
		must(ctx, gadgets, "apply", "-f", "-")
		DeferCleanup(func(ctx SpecContext) { must(ctx, "", "delete", "crd", "gadgets.example.dev", "--ignore-not-found") })
		turnOn(ctx, "gadgets", rego("example.dev/Gadget", `input.request.object.spec.size == "big"`))
		Expect(sent()).To(Equal(`["v1"]`))
		schema := `schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}`
		must(ctx, replace(gadgets, "- {name: v1, served: true, storage: true", "- {name: v2, served: true, storage: true, "+schema+"}\n    - {name: v1, served: false, storage: false"), "apply", "-f", "-")
		Eventually(sent).Should(Equal(`["v2"]`))
		must(ctx, "", "delete", "crd", "gadgets.example.dev")
		Eventually(func() string { return condition(ctx, "gatepolicy/gadgets", "Ready") }).Should(HavePrefix("False KindNotServed"))
	})
})

var _ = Describe("a rule that asks about a kind that Sluice may not read", func() {
	It("says which right is missing, stops no other, and works once it is given", func(ctx SpecContext) {
		namespace(ctx, "rights")
		spec := replace(rego("ConfigMap", `count(sluice.state.list("Secret", input.request.namespace)) > 0`), "    #   judges", "    #   state: [Secret]\n    #   judges") +
			"  match: {namespaces: [rights]}\n"
		must(ctx, policy("curious", spec), "apply", "-f", "-")
		DeferCleanup(func(ctx SpecContext) { must(ctx, "", "delete", "gatepolicy", "curious") })
		Eventually(func() string { return condition(ctx, "gatepolicy/curious", "Ready") }).Should(Equal(
			`False MissingRights Sluice may not list, watch secrets: give these rights by a ClusterRole with the label rbac.policy.sluice.dev/aggregate-to-sluice: "true"`))
		Eventually(func() string { return apply(ctx, configMap("rights", "a", "x"), "--dry-run=server").complaint }).Should(
			ContainSubstring("curious: could not judge: "))
		Expect(condition(ctx, "gatepolicy/ingress-tls-required", "Ready")).To(HavePrefix("True Active"))
		must(ctx, `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: read-secrets, labels: {rbac.policy.sluice.dev/aggregate-to-sluice: "true"}}
rules: [{apiGroups: [""], resources: [secrets], verbs: [list, watch]}]
`, "apply", "-f", "-")
		DeferCleanup(func(ctx SpecContext) { must(ctx, "", "delete", "clusterrole", "read-secrets", "--ignore-not-found") })
		Eventually(func() string { return condition(ctx, "gatepolicy/curious", "Ready") }, "60s").Should(HavePrefix("True Active"))
		must(ctx, configMap("rights", "a", "x"), "apply", "-f", "-")
		must(ctx, "", "create", "secret", "generic", "s", "-n", "rights")
		Eventually(func() string { return apply(ctx, configMap("rights", "b", "x"), "--dry-run=server").complaint }).Should(
			ContainSubstring("curious: refused by the test"))
		must(ctx, "", "delete", "clusterrole", "read-secrets")
		Eventually(func() string { return condition(ctx, "gatepolicy/curious", "Ready") }, "60s").Should(HavePrefix("False MissingRights"))
	})
})
