// Package policies_test turns rules on, off and wrong with kubectl, against a real API server with
// kube-controller-manager beside it.
package policies_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/sluice-gate/sluice/test/installed"
	"github.com/sluice-gate/sluice/test/plane"
)

func TestPolicies(t *testing.T) {
	if os.Getenv(plane.AssetsVariable) == "" {
		t.Skip(plane.ErrNoAssets)
	}
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(20 * time.Second) // of conditions that hold within a second on an idle machine
	SetDefaultEventuallyPollingInterval(50 * time.Millisecond)
	RunSpecs(t, "Policies as cluster objects")
}

// cluster and manager are shared by the specs; each keeps to policies and namespaces of its own and deletes the policies.
var (
	cluster *plane.Plane
	manager *installed.Manager
	options = installed.Options{Manifests: "../../config/local", Profile: "baseline", AuditInterval: time.Minute, Log: GinkgoLogr}
)

var _ = BeforeSuite(func(ctx context.Context) {
	var err error
	cluster, err = plane.Start(ctx, plane.Options{ControllerManager: true})
	Expect(err).NotTo(HaveOccurred())
	manager, err = installed.Start(ctx, cluster, options)
	Expect(err).NotTo(HaveOccurred())
})

var _ = AfterSuite(func() {
	if manager != nil {
		Expect(manager.Stop()).To(Succeed())
	}
	if cluster != nil {
		Expect(cluster.Stop()).To(Succeed())
	}
})

// answer is what kubectl said.
type answer struct {
	out, complaint string
	err            error
}

func kubectl(ctx context.Context, stdin string, args ...string) answer {
	out, complaint, err := cluster.KubectlInput(ctx, strings.NewReader(stdin), args...)
	return answer{out, complaint, err}
}

func apply(ctx context.Context, manifest string, args ...string) answer {
	return kubectl(ctx, manifest, append([]string{"apply", "-f", "-"}, args...)...)
}

// must is the output of a kubectl that has to succeed.
func must(ctx context.Context, stdin string, args ...string) string {
	GinkgoHelper()
	got := kubectl(ctx, stdin, args...)
	Expect(got.err).NotTo(HaveOccurred())
	return strings.TrimSpace(got.out)
}

func namespace(ctx context.Context, name string) {
	GinkgoHelper()
	must(ctx, "", "create", "namespace", name)
}

// policy is the manifest of a GatePolicy; spec is indented by two spaces.
func policy(name, spec string) string {
	return "apiVersion: policy.sluice.dev/v1alpha1\nkind: GatePolicy\nmetadata: {name: " + name + "}\nspec:\n" + spec
}

// turnOn applies a policy, waits until it is ready, and deletes it after the spec.
func turnOn(ctx context.Context, name, spec string) {
	GinkgoHelper()
	must(ctx, policy(name, spec), "apply", "-f", "-")
	DeferCleanup(func(ctx SpecContext) { must(ctx, "", "delete", "gatepolicy", name, "--ignore-not-found") })
	must(ctx, "", "wait", "--for=condition=Ready", "--timeout=20s", "gatepolicy/"+name)
}

// condition is "status reason message" of a condition of a policy or exception.
func condition(ctx context.Context, object, kind string) string {
	return strings.TrimSpace(kubectl(ctx, "", "get", object, "-o",
		`jsonpath={.status.conditions[?(@.type=="`+kind+`")].status} {.status.conditions[?(@.type=="`+kind+`")].reason} {.status.conditions[?(@.type=="`+kind+`")].message}`).out)
}

// rego is a rule of one's own, as the value of spec.rego: it judges a kind by one condition.
func rego(kind, condition string) string {
	return `  rego: |
    # METADATA
    # title: A rule of the tests
    # description: Refuses what the condition says.
    # custom:
    #   severity: low
    #   kinds: [` + kind + `]
    #   judges: [spec, data, metadata.labels]
    package example.test

    deny contains "refused by the test" if ` + condition + "\n"
}
