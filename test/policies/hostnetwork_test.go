package policies_test

import (
	"context"
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// Templates of pods as they are, once per kind: SPEC stands for the spec of the pods on one line.
var podKinds = map[string]string{
	"Pod":                   "apiVersion: v1\nkind: Pod\nmetadata: {name: web, namespace: NAMESPACE}\nspec: SPEC\n",
	"ReplicationController": "apiVersion: v1\nkind: ReplicationController\nmetadata: {name: web, namespace: NAMESPACE}\nspec: {selector: {a: b}, template: {metadata: {labels: {a: b}}, spec: SPEC}}\n",
	"Deployment":            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: NAMESPACE}\nspec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: SPEC}}\n",
	"ReplicaSet":            "apiVersion: apps/v1\nkind: ReplicaSet\nmetadata: {name: web, namespace: NAMESPACE}\nspec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: SPEC}}\n",
	"StatefulSet":           "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: web, namespace: NAMESPACE}\nspec: {serviceName: web, selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: SPEC}}\n",
	"DaemonSet":             "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: web, namespace: NAMESPACE}\nspec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: SPEC}}\n",
	"Job":                   "apiVersion: batch/v1\nkind: Job\nmetadata: {name: web, namespace: NAMESPACE}\nspec: {template: {spec: SPEC}}\n",
	"CronJob":               "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: web, namespace: NAMESPACE}\nspec: {schedule: 0 5 * * *, jobTemplate: {spec: {template: {spec: SPEC}}}}\n",
}

// workload is a manifest whose pods have one container c, and the fields of a pod's spec that are given.
func workload(kind, namespace, fields string) string {
	spec := "{containers: [{name: c, image: registry.example.com/c:1}], " + fields
	if strings.Contains(fields, "containers: [{") && !strings.Contains(fields, "initContainers: [{") {
		spec = "{" + fields
	}
	if kind == "Job" || kind == "CronJob" {
		spec += ", restartPolicy: Never"
	}
	return replace(podKinds[kind], "NAMESPACE", namespace, "SPEC", spec+"}")
}

// container has the given ports.
func container(ports string) string {
	return "containers: [{name: c, image: registry.example.com/c:1, ports: [" + ports + "]}]"
}

// ports are n ports, the last of which is given.
func ports(n int, last string) string {
	var list strings.Builder
	for i := range n - 1 {
		fmt.Fprintf(&list, "{containerPort: %d}, ", i+1)
	}
	return list.String() + last
}

// containers is a list of containers without ports and a last one that has some.
func containers(name string, n int, ports string) string {
	var list strings.Builder
	for i := range n - 1 {
		fmt.Fprintf(&list, "{name: %s%d, image: registry.example.com/c:1}, ", name, i)
	}
	return "[" + list.String() + "{name: " + name + ", image: registry.example.com/c:1, ports: [" + ports + "]}]"
}

// full is a list of as many containers with as many ports as are looked through, all different, and the last of which is
// given.
func full(name string, first int, last string) string {
	var list strings.Builder
	for i := range 10_000 {
		switch {
		case i%100 == 0:
			fmt.Fprintf(&list, "{name: %s%d, image: registry.example.com/c:1, ports: [", name, i)
			fallthrough
		case i < 9_999:
			fmt.Fprintf(&list, "{containerPort: %d}", first+i)
		default:
			list.WriteString(last)
		}
		list.WriteString(map[bool]string{true: "]}, ", false: ", "}[i%100 == 99])
	}
	return "[" + strings.TrimSuffix(list.String(), ", ") + "]"
}

// dryRun is what the API server says of a manifest that it doesn't store. It comes by create, which notes no copy of it.
func dryRun(ctx context.Context, manifest string) answer {
	return kubectl(ctx, manifest, "create", "--dry-run=server", "-f", "-")
}

// reviewed counts the reviews of pods and what makes them.
func reviewed() float64 {
	GinkgoHelper()
	families, err := manager.Metrics.Gather()
	Expect(err).NotTo(HaveOccurred())
	sum := 0.0
	for _, family := range families {
		if family.GetName() != "sluice_reviews_total" {
			continue
		}
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				kind := label.GetValue()[strings.LastIndex(label.GetValue(), "/")+1:]
				if _, isWorkload := podKinds[kind]; isWorkload && label.GetName() == "kind" {
					sum += metric.GetCounter().GetValue()
				}
			}
		}
	}
	return sum
}

const onHost = "denied the request"

// switchOn turns the rule on and waits until the API server asks about it.
func switchOn(ctx context.Context, namespace, spec string) {
	GinkgoHelper()
	turnOn(ctx, "workload-host-network", spec)
	Eventually(func() string { return dryRun(ctx, workload("Pod", namespace, "hostNetwork: true")).complaint }).Should(
		ContainSubstring(`admission webhook "validate-host-network.sluice.dev" ` + onHost))
}

var _ = Describe("the rule workload-host-network", Serial, func() {
	const rule = "  rule: workload-host-network\n"

	It("judges what is on the host's network or has a port of it, and is sent nothing else", func(ctx SpecContext) {
		namespace(ctx, "host-network")
		switchOn(ctx, "host-network", rule)
		for kind := range podKinds {
			before := reviewed()
			for _, plain := range []string{
				"hostNetwork: false", "hostPID: true", container("{containerPort: 80, hostPort: 0}"), container("{containerPort: 80}"),
				"initContainers: [{name: i, image: registry.example.com/i:1, ports: [{containerPort: 80}]}]",
			} {
				Expect(dryRun(ctx, workload(kind, "host-network", plain)).err).NotTo(HaveOccurred())
			}
			Expect(reviewed()).To(Equal(before), "%s: nothing is sent", kind)
			for fields, says := range map[string]string{
				"hostNetwork: true": "hostNetwork: true puts pods on the network of their node",
				container("{containerPort: 80}, {containerPort: 81, hostPort: 8081}"):                                        "hostPort 8081 opens a port of the node",
				"initContainers: [{name: i, image: registry.example.com/i:1, ports: [{containerPort: 80, hostPort: 8080}]}]": "hostPort 8080 opens a port of the node",
			} {
				Expect(dryRun(ctx, workload(kind, "host-network", fields)).complaint).To(
					And(ContainSubstring(onHost), ContainSubstring("workload-host-network: "+says)), "%s with %s", kind, fields)
			}
			Expect(reviewed()).To(Equal(before+3), "%s: the others are sent once", kind)
		}
	})

	It("leaves out exempt namespaces, and what a kubelet writes", func(ctx SpecContext) {
		namespace(ctx, "kubelets")
		switchOn(ctx, "kubelets", rule)
		before := reviewed()
		Expect(dryRun(ctx, workload("DaemonSet", "kube-system", "hostNetwork: true")).err).NotTo(HaveOccurred())
		_, complaint, err := cluster.KubectlInput(ctx, strings.NewReader(workload("Pod", "kubelets", "hostNetwork: true")),
			"create", "--dry-run=server", "-f", "-", "--as=kubelet", "--as-group=system:nodes", "--as-group=system:masters")
		Expect(err).NotTo(HaveOccurred(), complaint)
		Expect(reviewed()).To(Equal(before))
	})

	It("is not escaped by pods that are too large to be looked through", func(ctx SpecContext) {
		namespace(ctx, "large")
		switchOn(ctx, "large", rule)
		const opened = "{containerPort: 65535, hostPort: 9999}"
		for name, lists := range map[string]string{
			"as many ports as are looked through":      "containers: " + containers("c", 1, ports(100, opened)),
			"one port more":                            "containers: " + containers("c", 1, ports(101, opened)),
			"as many containers as are looked through": "containers: " + containers("c", 100, opened),
			"one container more":                       "containers: " + containers("c", 101, opened),
		} {
			Expect(dryRun(ctx, replace(podKinds["Pod"], "NAMESPACE", "large", "SPEC", "{"+lists+"}")).complaint).To(
				ContainSubstring("hostPort 9999 opens a port of the node"), name)
		}
		// What Sluice itself can't judge is refused, and not answered by an error, which would let it pass.
		for name, lists := range map[string]string{
			"as much as is looked through in both lists": "containers: " + full("c", 1, "{containerPort: 65534}") + ", initContainers: " + full("i", 20_000, opened),
			"very many ports": "containers: " + containers("c", 1, ports(40_000, opened)),
		} {
			Expect(dryRun(ctx, replace(podKinds["Pod"], "NAMESPACE", "large", "SPEC", "{"+lists+"}")).complaint).To(
				ContainSubstring("too large to judge"), name)
		}
		Expect(dryRun(ctx, workload("Pod", "large", container(ports(101, "{containerPort: 65535}")))).err).NotTo(HaveOccurred())
	})

	It("holds up no pod while Sluice is away", func(ctx SpecContext) {
		namespace(ctx, "away")
		switchOn(ctx, "away", rule)
		Expect(manager.End()).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { restart(ctx) })
		Expect(dryRun(ctx, workload("Pod", "away", "hostNetwork: true")).err).NotTo(HaveOccurred())
		Expect(dryRun(ctx, workload("Deployment", "away", "hostNetwork: true")).err).NotTo(HaveOccurred())
	})

	It("warns whoever scales what was there before, and says which object makes a new pod", func(ctx SpecContext) {
		namespace(ctx, "before")
		must(ctx, replace(workload("Deployment", "before", "hostNetwork: true"), "spec: {selector", "spec: {replicas: 1, selector"), "create", "-f", "-")
		switchOn(ctx, "before", rule)
		scaled := kubectl(ctx, "", "patch", "deployment", "web", "-n", "before", "--type=merge", "-p", `{"spec": {"replicas": 2}}`)
		Expect(scaled.err).NotTo(HaveOccurred())
		Expect(scaled.complaint).To(ContainSubstring("Warning: workload-host-network: hostNetwork: true"))
		Eventually(func() string {
			return must(ctx, "", "get", "gatepolicy", "workload-host-network", "-o", `jsonpath={.status.audit.examples[?(@.namespace=="before")].kind}`)
		}, "30s").Should(Equal("apps/Deployment"))
		owned := replace(workload("Pod", "before", "hostNetwork: true"), "{name: web,",
			"{ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: web-1, uid: a-b, controller: true}], name: web-1-x,")
		Expect(dryRun(ctx, owned).complaint).To(ContainSubstring(`remove hostNetwork from ReplicaSet "web-1", which makes this`))
	})
})

var _ = Describe("another policy for pods", Serial, func() {
	It("gets all of them, and none is reviewed twice", func(ctx SpecContext) {
		namespace(ctx, "all-pods")
		switchOn(ctx, "all-pods", "  rule: workload-host-network\n")
		turnOn(ctx, "named-pods", rego("Pod", `input.request.object.metadata.labels.refused == "yes"`))
		refused := replace(workload("Pod", "all-pods", "hostPID: true"), "{name: web,", "{labels: {refused: 'yes'}, name: web,")
		Eventually(func() string { return dryRun(ctx, refused).complaint }).Should(
			ContainSubstring(`admission webhook "validate-workloads.sluice.dev" ` + onHost))
		before := reviewed()
		Expect(dryRun(ctx, workload("Pod", "all-pods", "hostNetwork: true")).complaint).To(
			ContainSubstring(`admission webhook "validate-workloads.sluice.dev" ` + onHost))
		Expect(reviewed()).To(Equal(before + 1))
		Expect(condition(ctx, "gatepolicy/workload-host-network", "Ready")).To(HavePrefix("True Active"))
		Expect(dryRun(ctx, workload("Deployment", "all-pods", "hostNetwork: true")).complaint).To(
			ContainSubstring(`admission webhook "validate-host-network.sluice.dev" ` + onHost))
	})

	It("that is for the host's network alone judges deletions too", func(ctx SpecContext) {
		namespace(ctx, "deleted-pods")
		must(ctx, workload("Pod", "deleted-pods", "hostPID: true"), "create", "-f", "-")
		must(ctx, replace(workload("Pod", "deleted-pods", "hostNetwork: true"), "name: web", "name: host"), "create", "-f", "-")
		turnOn(ctx, "kept-pods", replace(rego("Pod", "input.request"), "    #   judges", "    #   only: host-network\n    #   operations: [DELETE]\n    #   judges"))
		Eventually(func() string {
			return kubectl(ctx, "", "delete", "pod", "host", "-n", "deleted-pods", "--dry-run=server").complaint
		}).Should(ContainSubstring("kept-pods: refused by the test"))
		before := reviewed()
		must(ctx, "", "delete", "pod", "web", "-n", "deleted-pods")
		Expect(reviewed()).To(Equal(before))
	})
})
