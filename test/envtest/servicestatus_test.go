package envtest_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

const balancedService = `
apiVersion: v1
kind: Service
metadata: {name: shop, namespace: hijack}
spec:
  type: LoadBalancer
  allocateLoadBalancerNodePorts: false
  loadBalancerSourceRanges: [62.140.24.0/22]
  selector: {app: shop}
  ports: [{port: 443, targetPort: 8443}]
`

var _ = Describe("the status of a load balancer", func() {
	It("takes addresses from controllers and from nobody else", func(ctx SpecContext) {
		namespace(ctx, "hijack")
		Expect(kubectl(ctx, "", "create", "clusterrole", "status-writer", "--verb=get,patch", "--resource=services/status,services").err).NotTo(HaveOccurred())
		Expect(kubectl(ctx, "", "-n", "hijack", "create", "rolebinding", "status-writer", "--clusterrole=status-writer", "--user=mallory",
			"--serviceaccount=kube-system:service-controller").err).NotTo(HaveOccurred())
		got := apply(ctx, balancedService)
		Expect(got.err).NotTo(HaveOccurred())
		Expect(got.complaint).To(BeEmpty())
		note := func(address, user string, groups ...string) answer {
			args := []string{"-n", "hijack", "patch", "service", "shop", "--subresource=status", "--type=merge",
				"-p", `{"status": {"loadBalancer": {"ingress": [{"ip": "` + address + `"}]}}}`, "--as=" + user}
			for _, group := range groups {
				args = append(args, "--as-group="+group)
			}
			return kubectl(ctx, "", args...)
		}
		Eventually(func() string { return note("192.0.2.7", "mallory").complaint }).Should(And(
			ContainSubstring("service-external-ips: load balancer address 192.0.2.7 comes from mallory"),
			ContainSubstring("at  status.loadBalancer.ingress[0].ip")), "once the API server asks about services/status")
		Expect(note("192.0.2.7", "system:serviceaccount:kube-system:service-controller", "system:serviceaccounts:kube-system").err).NotTo(HaveOccurred())
		Expect(note("192.0.2.7", "mallory").err).NotTo(HaveOccurred(), "nothing is added")
		Expect(note("192.0.2.8", "mallory").err).To(HaveOccurred())
	})
})
