package policies_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

const ovnNode = `
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: ovnkube-node, namespace: ovn-kubernetes}
spec:
  selector: {matchLabels: {app: ovnkube-node}}
  template:
    metadata: {labels: {app: ovnkube-node}}
    spec: {containers: [{name: ovnkube, image: example.com/ovnkube}]}
`

var _ = Describe("the dataplane", func() {
	It("is looked for once a policy wants to know it", func(ctx SpecContext) {
		namespace(ctx, "overlay")
		named := `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: overlay}
spec:
  podSelector: {matchLabels: {app: web}}
  ingress: [{from: [{podSelector: {}}], ports: [{port: http}]}]
`
		Expect(apply(ctx, named, "--dry-run=server").complaint).To(BeEmpty(), "the shipped policy has not been told")
		turnOn(ctx, "overlay", "  rule: networkpolicy-dataplane\n  parameters: {dataplane: auto}\n  match: {namespaces: [overlay]}\n")
		Eventually(func() string { return apply(ctx, named, "--dry-run=server").complaint }).Should(
			ContainSubstring("Warning: overlay: no known dataplane is found in the cluster"))
		namespace(ctx, "ovn-kubernetes")
		must(ctx, ovnNode, "apply", "-f", "-")
		DeferCleanup(func(ctx SpecContext) { must(ctx, "", "delete", "-n", "ovn-kubernetes", "daemonset", "ovnkube-node") })
		Eventually(func() string { return apply(ctx, named, "--dry-run=server").complaint }).Should(
			ContainSubstring("overlay: OVN-Kubernetes opens every TCP port for the named port http [ovn-named-port]"))
	})
})
