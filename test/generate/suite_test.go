// Package generate_test shows that what policies generate exists and stays, against a real API server with
// kube-controller-manager beside it.
package generate_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sluice-gate/sluice/policies/v1alpha1"
	"github.com/sluice-gate/sluice/test/installed"
	"github.com/sluice-gate/sluice/test/plane"
)

func TestGenerate(t *testing.T) {
	if os.Getenv(plane.AssetsVariable) == "" {
		t.Skip(plane.ErrNoAssets)
	}
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(30 * time.Second) // of conditions that hold within a second on an idle machine
	SetDefaultEventuallyPollingInterval(20 * time.Millisecond)
	RunSpecs(t, "Generated objects exist and stay")
}

// breakGlass is the group whose members may change what is generated.
const breakGlass = "example:break-glass"

// cluster and manager are shared by the specs; each keeps to namespaces of its own, by the label suite, and deletes its policies.
var (
	cluster *plane.Plane
	manager *installed.Manager
	admin   client.Client // the cluster's administrator
	savior  client.Client // who may do the same, and is in the break-glass group
	asked   requests      // of the API server, by the manager
	line    connections   // to the API server, of the manager
	watches = newStalls()
)

// stalls hold up watches of the manager.
type stalls struct {
	mu      sync.Mutex
	changed *sync.Cond
	stalled string // the end of the path
}

func newStalls() *stalls {
	s := &stalls{}
	s.changed = sync.NewCond(&s.mu)
	return s
}

func (s *stalls) set(stalled string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stalled = stalled
	s.changed.Broadcast()
}

func (s *stalls) await(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.stalled != "" && strings.HasSuffix(path, s.stalled) {
		s.changed.Wait()
	}
}

// connections can be cut.
type connections struct {
	mu   sync.Mutex
	cut  bool
	open []net.Conn
}

func (c *connections) dial(ctx context.Context, network, address string) (net.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cut {
		return nil, errors.New("the line is cut")
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err == nil {
		c.open = append(c.open, conn)
	}
	return conn, err
}

// set cuts all connections, or lets new ones be made.
func (c *connections) set(cut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = cut
	if cut {
		for _, conn := range c.open {
			conn.Close()
		}
		c.open = nil
	}
}

// requests counts those that write to a namespace.
type requests struct {
	mu     sync.Mutex
	writes map[string]int
}

func (r *requests) see(request *http.Request) {
	parts := strings.Split(request.URL.Path, "/namespaces/")
	if request.Method == http.MethodGet || len(parts) < 2 {
		return
	}
	name, _, _ := strings.Cut(parts[1], "/")
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.writes == nil {
		r.writes = map[string]int{}
	}
	r.writes[name]++
}

func (r *requests) of(namespace string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.writes[namespace]
}

var _ = BeforeSuite(func(ctx context.Context) {
	var err error
	cluster, err = plane.Start(ctx, plane.Options{ControllerManager: true})
	Expect(err).NotTo(HaveOccurred())
	mayHoldPods(ctx, "apply")
	manager, err = installed.Start(ctx, cluster, installed.Options{Manifests: "../../config/local", Profile: "baseline",
		Log: GinkgoLogr, BreakGlassGroups: []string{breakGlass}, Requests: asked.see, Dial: line.dial, Events: watches.await})
	Expect(err).NotTo(HaveOccurred())
	admin = clientOf(cluster.Config)
	config, err := cluster.AddUser("savior", "system:masters", breakGlass)
	Expect(err).NotTo(HaveOccurred())
	savior = clientOf(config)
})

var _ = AfterSuite(func() {
	if manager != nil {
		Expect(manager.Stop()).To(Succeed())
	}
	if cluster != nil {
		Expect(cluster.Stop()).To(Succeed())
	}
})

// mayHoldPods gives Sluice the rights that holdPods needs, or takes them.
func mayHoldPods(ctx context.Context, verb string) {
	GinkgoHelper()
	_, _, err := cluster.Kubectl(ctx, verb, "-k", "../../config/holdpods")
	Expect(err).NotTo(HaveOccurred())
}

func clientOf(config *rest.Config) client.Client {
	GinkgoHelper()
	config = rest.CopyConfig(config)
	config.WarningHandler = rest.NoWarnings{}
	Expect(v1alpha1.AddToScheme(scheme.Scheme)).To(Succeed())
	c, err := client.New(config, client.Options{Scheme: scheme.Scheme})
	Expect(err).NotTo(HaveOccurred())
	return c
}

// defaultDeny is a policy that generates for namespaces with the label suite=name. more is further YAML below spec.
func defaultDeny(name, more string) string {
	return fmt.Sprintf(`apiVersion: policy.sluice.dev/v1alpha1
kind: GatePolicy
metadata:
  name: %[1]s
spec:
  rule: namespace-default-deny
  match:
    namespaceSelector: {matchLabels: {suite: %[1]s}}
%[2]s`, name, indent(more))
}

func indent(text string) string {
	if text == "" {
		return ""
	}
	return "  " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n  ") + "\n"
}

// apply applies a policy and waits until it is in use; it is deleted after the spec.
func apply(ctx context.Context, name, policy string) {
	GinkgoHelper()
	_, _, err := cluster.KubectlInput(ctx, strings.NewReader(policy), "apply", "-f", "-")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func(ctx context.Context) {
		Expect(client.IgnoreNotFound(admin.Delete(ctx, &v1alpha1.GatePolicy{ObjectMeta: metav1.ObjectMeta{Name: name}}))).To(Succeed())
	})
	inUse(ctx, name)
}

// inUse waits until a policy's newest generation is ready.
func inUse(ctx context.Context, name string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		var policy v1alpha1.GatePolicy
		g.Expect(admin.Get(ctx, client.ObjectKey{Name: name}, &policy)).To(Succeed())
		g.Expect(policy.Status.ObservedGeneration).To(Equal(policy.Generation))
		g.Expect(policy.Status.Conditions).To(ContainElement(And(HaveField("Type", v1alpha1.ConditionReady), HaveField("Status", metav1.ConditionTrue))), "%+v", policy.Status)
	}).Should(Succeed())
}

// namespace creates one with the label suite, unless that is empty.
func namespace(ctx context.Context, name, suite string) {
	GinkgoHelper()
	n := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if suite != "" {
		n.Labels = map[string]string{"suite": suite}
	}
	Expect(admin.Create(ctx, n)).To(Succeed())
}

// generated is a NetworkPolicy as the API server has it.
func generated(ctx context.Context, namespace, name string) (*networkingv1.NetworkPolicy, error) {
	var np networkingv1.NetworkPolicy
	err := admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &np)
	return &np, err
}

// floor is the policy that isolates all pods, and dns the one that lets them resolve names.
const (
	floor = "sluice-default-deny"
	dns   = "sluice-allow-dns"
)

// hasFloor waits until a namespace has what namespace-default-deny generates, as it generates it.
func hasFloor(ctx context.Context, namespace string) {
	GinkgoHelper()
	hasFloorWithin(ctx, namespace, "30s")
}

func hasFloorWithin(ctx context.Context, namespace, limit string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		np, err := generated(ctx, namespace, floor)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(np.Spec).To(Equal(networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{"Ingress", "Egress"}}))
		g.Expect(np.Labels).To(HaveKey(v1alpha1.GeneratedByLabel))
		np, err = generated(ctx, namespace, dns)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(np.Spec.Ingress).To(BeEmpty())
		g.Expect(np.Spec.Egress).To(HaveLen(1))
		g.Expect(np.Spec.Egress[0].Ports).To(HaveLen(2))
	}, limit).Should(Succeed())
}

// status is that of a policy's generate.
func status(ctx context.Context, name string) (*v1alpha1.GenerateStatus, error) {
	var policy v1alpha1.GatePolicy
	if err := admin.Get(ctx, client.ObjectKey{Name: name}, &policy); err != nil {
		return nil, err
	}
	if policy.Status.Generate == nil {
		return &v1alpha1.GenerateStatus{}, nil
	}
	return policy.Status.Generate, nil
}

// counts waits until a policy's status says so.
func counts(ctx context.Context, name string, matched, satisfied, failed int64) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		s, err := status(ctx, name)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect([]int64{s.Matched, s.Satisfied, s.Failed, s.Pending}).To(Equal([]int64{matched, satisfied, failed, 0}), "%+v", s)
	}).Should(Succeed())
}
