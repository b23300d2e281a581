// Package storm_test creates many namespaces at once, each with a pod in the same second, while replicas of Sluice are killed.
package storm_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sluice-gate/sluice/test/installed"
	"github.com/sluice-gate/sluice/test/plane"
)

func TestStorm(t *testing.T) {
	if os.Getenv(plane.AssetsVariable) == "" {
		t.Skip(plane.ErrNoAssets)
	}
	RegisterFailHandler(Fail)
	RunSpecs(t, "Namespaces in a storm")
}

const (
	namespaces = 500
	kills      = 20
	workers    = 8
	breakGlass = "example:break-glass"
)

const policy = `apiVersion: policy.sluice.dev/v1alpha1
kind: GatePolicy
metadata: {name: storm}
spec:
  rule: namespace-default-deny
  generate: {holdPods: true}
  match:
    namespaces: [storm-*]
`

var (
	cluster  *plane.Plane
	api      client.WithWatch
	options  installed.ProcessOptions
	replicas [2]*installed.Process
)

var _ = BeforeSuite(func(ctx context.Context) {
	var err error
	cluster, err = plane.Start(ctx, plane.Options{ControllerManager: true})
	Expect(err).NotTo(HaveOccurred())
	api, err = client.NewWithWatch(cluster.Config, client.Options{})
	Expect(err).NotTo(HaveOccurred())
	dir := GinkgoT().TempDir()
	options.Binary, err = installed.Build(ctx, dir)
	Expect(err).NotTo(HaveOccurred())
	Expect(installed.Install(ctx, cluster, "../../config/local")).To(Succeed())
	_, _, err = cluster.Kubectl(ctx, "apply", "-k", "../../config/holdpods")
	Expect(err).NotTo(HaveOccurred())
	options.Kubeconfig, err = installed.ServiceAccountConfig(ctx, cluster, dir)
	Expect(err).NotTo(HaveOccurred())
	options.CertDir, options.Args = dir, []string{"--break-glass-groups", breakGlass}
	ca, err := installed.IssueCertificate(dir)
	Expect(err).NotTo(HaveOccurred())
	for i := range replicas {
		replicas[i], err = installed.StartProcess(options)
		Expect(err).NotTo(HaveOccurred())
	}
	route()
	for _, replica := range replicas {
		Expect(replica.AwaitReady(ctx)).To(Succeed())
	}
	Expect(installed.Trust(ctx, cluster.Config, ca)).To(Succeed())
	Expect(installed.AwaitVetting(ctx, cluster)).To(Succeed())
	_, _, err = cluster.KubectlInput(ctx, strings.NewReader(policy), "apply", "-f", "-")
	Expect(err).NotTo(HaveOccurred())
	Expect(installed.AwaitPolicies(ctx, cluster)).To(Succeed())
})

var _ = AfterSuite(func() {
	for _, replica := range replicas {
		if replica != nil {
			Expect(replica.Kill()).To(Succeed())
		}
	}
	if cluster != nil {
		Expect(cluster.Stop()).To(Succeed())
	}
})

// route sends the API server's reviews to the replicas in turn, as a Service does.
func route() {
	cluster.Route(installed.Namespace, installed.Service, replicas[0].Address, replicas[1].Address)
}

// record is what a watch saw, by the version of everything in etcd at which it happened.
type record struct {
	mu        sync.Mutex
	generated map[string]map[string]int64 // by namespace and name: when it was created
	free      map[string]int64            // by namespace: when its pod first had no gate
	held      map[string]bool             // by namespace: its pod had a gate
}

func (r *record) see(event watch.Event) {
	object, ok := event.Object.(client.Object)
	if !ok || !strings.HasPrefix(object.GetNamespace(), "storm-") || event.Type == watch.Deleted {
		return
	}
	version, err := strconv.ParseInt(object.GetResourceVersion(), 10, 64)
	if err != nil {
		panic(err) // etcd's are numbers
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	namespace := object.GetNamespace()
	switch object := object.(type) {
	case *networkingv1.NetworkPolicy:
		if r.generated[namespace] == nil {
			r.generated[namespace] = map[string]int64{}
		}
		if _, before := r.generated[namespace][object.Name]; !before {
			r.generated[namespace][object.Name] = version
		}
	case *corev1.Pod:
		gated := len(object.Spec.SchedulingGates) > 0
		r.held[namespace] = r.held[namespace] || gated
		if _, before := r.free[namespace]; !gated && !before {
			r.free[namespace] = version
		}
	}
}

func (r *record) released() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.free)
}

// follow watches until the context ends, and again whenever a watch ends.
func (r *record) follow(ctx context.Context, list client.ObjectList) {
	GinkgoHelper()
	events, err := api.Watch(ctx, list)
	Expect(err).NotTo(HaveOccurred())
	go func() {
		for event := range events.ResultChan() {
			r.see(event)
		}
	}()
}

// patiently does something until the API server takes it: a webhook whose connection breaks makes it refuse.
func patiently(ctx context.Context, do func() error) (tries int, err error) {
	var last error
	err = wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, 60*time.Second, true, func(context.Context) (bool, error) {
		tries++
		last = do()
		return last == nil || apierrors.IsAlreadyExists(last), nil
	})
	if err != nil {
		err = fmt.Errorf("%w; last answer: %w", err, last)
	}
	return tries, err
}

var _ = Describe("A storm of namespaces", Ordered, func() {
	It("gives each what is generated before its pod may run, though replicas are killed", storm)
	It("lets them go", leave, SpecTimeout(150*time.Second))
	It("keeps a thousand of them as they are", keep)
})

func storm(ctx context.Context) {
	seen := &record{generated: map[string]map[string]int64{}, free: map[string]int64{}, held: map[string]bool{}}
	watching, stop := context.WithCancel(ctx)
	defer stop()
	seen.follow(watching, &networkingv1.NetworkPolicyList{})
	seen.follow(watching, &corev1.PodList{})

	started := time.Now()
	var mu sync.Mutex
	retried := 0
	var running sync.WaitGroup
	next := make(chan int, namespaces)
	for i := range namespaces {
		next <- i
	}
	close(next)
	for range workers {
		running.Go(func() {
			defer GinkgoRecover()
			for i := range next {
				name := fmt.Sprintf("storm-%03d", i)
				n, err := patiently(ctx, func() error {
					return api.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
				})
				Expect(err).NotTo(HaveOccurred())
				none := false
				m, err := patiently(ctx, func() error {
					return api.Create(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: "web"}, Spec: corev1.PodSpec{
						AutomountServiceAccountToken: &none, Containers: []corev1.Container{{Name: "web", Image: "example.com/web"}}}})
				})
				Expect(err).NotTo(HaveOccurred())
				mu.Lock()
				retried += n + m - 2
				mu.Unlock()
			}
		})
	}
	kill(ctx)
	running.Wait()
	created := time.Since(started)
	Eventually(seen.released, "120s", "50ms").Should(Equal(namespaces))
	AddReportEntry("namespaces created, with a pod each, in", created.Round(time.Millisecond).String())
	AddReportEntry("everything in place after", time.Since(started).Round(time.Millisecond).String())
	AddReportEntry("requests that had to be tried again", retried)

	seen.mu.Lock()
	defer seen.mu.Unlock()
	heldPods := 0
	for i := range namespaces {
		name := fmt.Sprintf("storm-%03d", i)
		Expect(seen.generated[name]).To(HaveLen(2), name)
		for object, version := range seen.generated[name] {
			Expect(seen.free[name]).To(BeNumerically(">", version), "%s: a pod without gate before %s", name, object)
		}
		if seen.held[name] {
			heldPods++
		}
	}
	AddReportEntry("pods that waited", heldPods)
	Expect(heldPods).To(BeNumerically(">", namespaces/10), "otherwise nothing was shown")
}

// kill ends replicas at random moments and starts others in their places.
func kill(ctx context.Context) {
	GinkgoHelper()
	for range kills {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Duration(rand.IntN(1000)) * time.Millisecond):
		}
		i := rand.IntN(len(replicas))
		Expect(replicas[i].Kill()).To(Succeed())
		var err error
		replicas[i], err = installed.StartProcess(options)
		Expect(err).NotTo(HaveOccurred())
		route()
	}
}

// leave deletes namespaces with kubectl, which waits until they are gone.
func leave(ctx context.Context) {
	var names []string
	for i := range 50 {
		names = append(names, fmt.Sprintf("storm-%03d", i))
	}
	_, _, err := cluster.Kubectl(ctx, append([]string{"delete", "namespace", "--timeout=120s"}, names...)...)
	Expect(err).NotTo(HaveOccurred())
}
