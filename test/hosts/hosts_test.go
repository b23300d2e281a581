// Package hosts_test shows that one host never goes to two namespaces, whichever replica is asked and when.
package hosts_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sluice-gate/sluice/test/installed"
	"github.com/sluice-gate/sluice/test/plane"
)

func TestHosts(t *testing.T) {
	if os.Getenv(plane.AssetsVariable) == "" {
		t.Skip(plane.ErrNoAssets)
	}
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(60 * time.Second) // of conditions that hold within milliseconds, or when a reservation ends
	RunSpecs(t, "One host, one namespace")
}

// life is long beside the time from a verdict to the stored object, and short enough to wait for.
const life = 20 * time.Second

var (
	cluster  *plane.Plane
	replicas []*installed.Manager
	api      client.Client
)

var _ = BeforeSuite(func(ctx context.Context) {
	var err error
	cluster, err = plane.Start(ctx, plane.Options{})
	Expect(err).NotTo(HaveOccurred())
	o := installed.Options{Manifests: "../../config/local", Profile: "baseline", ReservationLife: life, Log: GinkgoLogr}
	replicas, err = installed.StartPair(ctx, cluster, o)
	Expect(err).NotTo(HaveOccurred())
	api, err = installed.QuietClient(cluster)
	Expect(err).NotTo(HaveOccurred())
})

var _ = AfterSuite(func() {
	for _, each := range replicas {
		Expect(each.Stop()).To(Succeed())
	}
	if cluster != nil {
		Expect(cluster.Stop()).To(Succeed())
	}
})

// namespace makes a namespace that the first or the second replica looks after.
func namespace(ctx context.Context, name string, second bool) {
	GinkgoHelper()
	object := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if second {
		object.Labels = map[string]string{installed.ReplicaLabel: ""}
	}
	Expect(api.Create(ctx, object)).To(Succeed())
}

func ingress(namespace, name string, hosts ...string) *networkingv1.Ingress {
	object := &networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	object.Spec.IngressClassName = new("nginx")
	object.Spec.TLS = []networkingv1.IngressTLS{{Hosts: hosts, SecretName: "web-tls"}}
	for _, host := range hosts {
		object.Spec.Rules = append(object.Spec.Rules, networkingv1.IngressRule{Host: host, IngressRuleValue: networkingv1.IngressRuleValue{
			HTTP: &networkingv1.HTTPIngressRuleValue{Paths: []networkingv1.HTTPIngressPath{{Path: "/", PathType: new(networkingv1.PathTypePrefix),
				Backend: networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{Name: "web", Port: networkingv1.ServiceBackendPort{Number: 80}}}}}}}})
	}
	return object
}

// create tries again as clients do where the API server, or Sluice, is too busy to answer.
func create(ctx context.Context, object *networkingv1.Ingress) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, 200*time.Millisecond, 20*time.Second, true, func(ctx context.Context) (bool, error) {
		last = api.Create(ctx, object.DeepCopy())
		return last == nil || apierrors.IsForbidden(last) || apierrors.IsAlreadyExists(last), nil
	})
	if last != nil {
		return last
	}
	return err
}

// quiet waits until nothing is reserved, and returns how often reservations were written.
func quiet(ctx context.Context) int {
	GinkgoHelper()
	writes, err := installed.QuietReservations(ctx, api, 2*life)
	Expect(err).NotTo(HaveOccurred())
	return writes
}

var _ = Describe("a host that two namespaces ask for", func() {
	It("goes to one of them, of 200 pairs at once on two replicas", func(ctx SpecContext) {
		const pairs = 200
		namespace(ctx, "left", false)
		namespace(ctx, "right", true)
		hosts := func(i int) (string, string) {
			own := fmt.Sprintf("%d.example.com", i)
			switch i % 4 {
			case 0: // all in one domain
				return fmt.Sprintf("shop-%d.shared.example.com", i), fmt.Sprintf("shop-%d.shared.example.com", i)
			case 1:
				return "shop." + own, "shop." + own
			case 2:
				return "*." + own, "shop." + own
			}
			return "shop." + own, "*." + own
		}
		var group sync.WaitGroup
		start := make(chan struct{})
		errs := make([]error, 2*pairs)
		for i := range 2 * pairs {
			left, right := hosts(i / 2)
			object := ingress("left", fmt.Sprintf("web-%d", i/2), left)
			if i%2 == 1 {
				object = ingress("right", fmt.Sprintf("web-%d", i/2), right)
			}
			group.Go(func() {
				<-start
				errs[i] = create(ctx, object)
			})
		}
		close(start)
		group.Wait()
		stored := map[string]bool{}
		var list networkingv1.IngressList
		Expect(api.List(ctx, &list)).To(Succeed())
		for _, object := range list.Items {
			stored[object.Namespace+"/"+object.Name] = true
		}
		won := 0
		for i := range pairs {
			left, right := stored[fmt.Sprintf("left/web-%d", i)], stored[fmt.Sprintf("right/web-%d", i)]
			Expect(left && right).To(BeFalse(), "pair %d has two winners", i)
			if left || right {
				won++
			}
			for _, err := range []error{errs[2*i], errs[2*i+1]} {
				if err != nil {
					Expect(err.Error()).To(ContainSubstring("ingress-host-unique: host "), "pair %d", i)
				}
			}
		}
		AddReportEntry("pairs with a winner", won)
		Expect(won).To(BeNumerically(">=", pairs*8/10), "nearly every pair has a winner")
	}, SpecTimeout(3*time.Minute))

	It("goes to one of them while one creates many Ingresses in the domain, without a write for each", func(ctx SpecContext) {
		const many, clients = 200, 8
		namespace(ctx, "busy", false)
		namespace(ctx, "thief", true)
		create := func(namespace string, i int) error {
			return create(ctx, ingress(namespace, fmt.Sprintf("web-%d", i), fmt.Sprintf("shop-%d.busy.example.com", i)))
		}
		burst := func(first int) int {
			GinkgoHelper()
			before, _, err := installed.Reservations(ctx, api)
			Expect(err).NotTo(HaveOccurred())
			var group sync.WaitGroup
			next := make(chan int, many)
			for i := range many {
				next <- first + i
			}
			close(next)
			errs := make(chan error, many)
			for range clients {
				group.Go(func() {
					for i := range next {
						if err := create("busy", i); err != nil {
							errs <- fmt.Errorf("Ingress %d: %w", i, err)
						}
					}
				})
			}
			group.Wait()
			close(errs)
			for err := range errs {
				Expect(err).To(MatchError(ContainSubstring("the Ingress thief/web-")))
			}
			after, _, err := installed.Reservations(ctx, api)
			Expect(err).NotTo(HaveOccurred())
			return after - before
		}
		writes := burst(0)
		AddReportEntry("writes for 200 Ingresses in a domain of their own", writes)
		Expect(writes).To(BeNumerically("<", many/4))

		var stealing sync.WaitGroup
		stealing.Go(func() {
			defer GinkgoRecover()
			for i := many; i < 2*many; i += 10 {
				if err := create("thief", i); err != nil {
					Expect(err).To(MatchError(ContainSubstring("the Ingress busy/web-")))
				}
			}
		})
		burst(many)
		stealing.Wait()
		var list networkingv1.IngressList
		Expect(api.List(ctx, &list)).To(Succeed())
		has := map[string][]string{}
		for _, object := range list.Items {
			if object.Namespace == "busy" || object.Namespace == "thief" {
				has[object.Name] = append(has[object.Name], object.Namespace)
			}
		}
		Expect(has).To(HaveLen(2 * many))
		Expect(has).To(HaveEach(HaveLen(1)), "of two with one name, and so one host, one is stored")
	}, SpecTimeout(3*time.Minute))

	It("is told who has it, by a replica that has not seen it stored", func(ctx SpecContext) {
		namespace(ctx, "told-first", false)
		namespace(ctx, "told-second", true)
		Expect(api.Create(ctx, ingress("told-first", "web", "*.told.example.com"))).To(Succeed())
		err := api.Create(ctx, ingress("told-second", "web", "shop.told.example.com"))
		Expect(err).To(MatchError(ContainSubstring(`ingress-host-unique: host "shop.told.example.com" overlaps with "*.told.example.com" of the Ingress told-first/web`)))
	})

	It("is free again after some time if the Ingress was never stored", func(ctx SpecContext) {
		namespace(ctx, "unlucky", false)
		namespace(ctx, "patient", true)
		quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: "unlucky", Name: "none"}}
		quota.Spec.Hard = corev1.ResourceList{"count/ingresses.networking.k8s.io": resource.MustParse("0")}
		Expect(api.Create(ctx, quota)).To(Succeed())
		quota.Status = corev1.ResourceQuotaStatus{Hard: quota.Spec.Hard, Used: quota.Spec.Hard}
		Expect(api.Status().Update(ctx, quota)).To(Succeed())
		var refused time.Time
		Eventually(func() error {
			refused = time.Now()
			return api.Create(ctx, ingress("unlucky", "web", "shop.unlucky.example.com"))
		}).Should(MatchError(ContainSubstring("exceeded quota")))
		wanted := ingress("patient", "web", "shop.unlucky.example.com")
		Expect(api.Create(ctx, wanted.DeepCopy())).To(MatchError(ContainSubstring("ingress-host-unique")))
		Eventually(func() error { return api.Create(ctx, wanted.DeepCopy()) }).WithPolling(time.Second).Should(Succeed())
		Expect(time.Since(refused)).To(BeNumerically(">", life-2*time.Second))
	}, SpecTimeout(2*time.Minute))

	It("is free again at once where its Ingress is deleted", func(ctx SpecContext) {
		namespace(ctx, "moves-out", false)
		namespace(ctx, "moves-in", true)
		old := ingress("moves-out", "web", "shop.moving.example.com")
		Expect(api.Create(ctx, old)).To(Succeed())
		Eventually(func() string { return message(api.Create(ctx, ingress("moves-in", "web", "shop.moving.example.com"))) }).
			Should(And(ContainSubstring("ingress-host-unique"), Not(ContainSubstring("a moment ago"))), "the replica has seen it stored")
		Expect(api.Delete(ctx, old)).To(Succeed())
		Eventually(func() error { return api.Create(ctx, ingress("moves-in", "web", "shop.moving.example.com")) }).WithTimeout(life / 2).Should(Succeed())
	})
})

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

var _ = Describe("a reservation", func() {
	It("is made by nothing but an admitted change of hosts or class", func(ctx SpecContext) {
		namespace(ctx, "quiet", false)
		before := quiet(ctx)
		written := func() int {
			GinkgoHelper()
			writes, _, err := installed.Reservations(ctx, api)
			Expect(err).NotTo(HaveOccurred())
			return writes
		}
		web := ingress("quiet", "web", "shop.quiet.example.com")
		Expect(api.Create(ctx, web.DeepCopy(), client.DryRunAll)).To(Succeed())
		Expect(written()).To(Equal(before), "a dry run")
		insecure := web.DeepCopy()
		insecure.Spec.TLS = nil
		Expect(api.Create(ctx, insecure)).To(MatchError(ContainSubstring("ingress-tls-required")))
		Expect(written()).To(Equal(before), "a review that another rule denied")
		Expect(api.Create(ctx, web)).To(Succeed())
		Expect(written()).To(BeNumerically(">", before), "an Ingress")
		before = quiet(ctx)
		web.Labels = map[string]string{"team": "quiet"}
		Expect(api.Update(ctx, web)).To(Succeed())
		web.Spec.Rules[0].HTTP.Paths[0].Path = "/shop"
		Expect(api.Update(ctx, web)).To(Succeed())
		Expect(written()).To(Equal(before), "updates that leave hosts and class alone")
		web.Spec.Rules[0].Host, web.Spec.TLS[0].Hosts[0] = "blog.quiet.example.com", "blog.quiet.example.com"
		Expect(api.Update(ctx, web)).To(Succeed())
		Expect(written()).To(BeNumerically(">", before), "a new host")
	}, SpecTimeout(3*time.Minute))
})
