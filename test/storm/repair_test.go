package storm_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

const (
	kept    = 1000 // namespaces
	repairs = 400
	floor   = "sluice-default-deny"
)

// keep measures how long what is generated is not as it should be, with many namespaces. The figures are reported, not judged.
func keep(ctx context.Context) {
	Expect(v1alpha1.AddToScheme(api.Scheme())).To(Succeed())
	for _, replica := range replicas {
		Expect(replica.AwaitReady(ctx)).To(Succeed())
	}
	parallel(kept, func(i int) {
		name := fmt.Sprintf("storm-%03d", i)
		_, err := patiently(ctx, func() error {
			return api.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
		})
		Expect(err).NotTo(HaveOccurred())
	})
	satisfied := func(g Gomega) {
		var p v1alpha1.GatePolicy
		g.Expect(api.Get(ctx, client.ObjectKey{Name: "storm"}, &p)).To(Succeed())
		g.Expect(p.Status.Generate).NotTo(BeNil())
		g.Expect(p.Status.Generate.Satisfied).To(Equal(int64(kept)), "%+v", p.Status.Generate)
		g.Expect(p.Status.Generate.Matched).To(Equal(int64(kept)))
	}
	Eventually(satisfied, "120s", "100ms").Should(Succeed())

	config, err := cluster.AddUser("savior", "system:masters", breakGlass)
	Expect(err).NotTo(HaveOccurred())
	savior, err := client.New(config, client.Options{Scheme: api.Scheme()})
	Expect(err).NotTo(HaveOccurred())
	seen := newRepaired(ctx)
	var took durations
	order := rand.Perm(kept)[:repairs]
	parallel(repairs, func(i int) {
		np := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: fmt.Sprintf("storm-%03d", order[i]), Name: floor}}
		fixed := seen.next(np.Namespace)
		if i%2 == 0 {
			Expect(savior.Delete(ctx, np)).To(Succeed())
		} else {
			Expect(savior.Patch(ctx, np, client.RawPatch(types.MergePatchType, []byte(`{"spec": {"ingress": [{}]}}`)))).To(Succeed())
		}
		changed := time.Now()
		select {
		case at := <-fixed:
			took.add(at.Sub(changed))
		case <-time.After(30 * time.Second):
			Fail("not repaired: " + np.Namespace)
		}
		time.Sleep(10 * time.Millisecond) // some 400 changes a second are no people
	})
	AddReportEntry(fmt.Sprintf("%d repairs among %d namespaces", repairs, kept), took.String())

	started := time.Now()
	_, _, err = cluster.Kubectl(ctx, "patch", "gatepolicy", "storm", "--type=merge", "-p", `{"spec": {"parameters": {"dns": {"nodeLocal": "169.254.20.10"}, "sameNamespace": true}}}`)
	Expect(err).NotTo(HaveOccurred())
	Eventually(func(g Gomega) {
		var all networkingv1.NetworkPolicyList
		g.Expect(api.List(ctx, &all, client.MatchingLabels{v1alpha1.GeneratedByLabel: "storm"})).To(Succeed())
		written := 0
		for _, np := range all.Items {
			if np.Annotations[v1alpha1.PolicyGenerationAnnotation] == "2" {
				written++
			}
		}
		g.Expect(written).To(Equal(2*kept), "one of two is changed in each namespace, and one is new")
	}, "120s", "200ms").Should(Succeed())
	AddReportEntry(fmt.Sprintf("a change of the policy that writes %d objects", 2*kept), time.Since(started).Round(time.Millisecond).String())
	Eventually(satisfied, "30s", "100ms").Should(Succeed())
}

// parallel does something n times, with some workers.
func parallel(n int, do func(i int)) {
	next := make(chan int, n)
	for i := range n {
		next <- i
	}
	close(next)
	var running sync.WaitGroup
	for range workers {
		running.Go(func() {
			defer GinkgoRecover()
			for i := range next {
				do(i)
			}
		})
	}
	running.Wait()
}

// repaired sees when a namespace's floor is as it should be again.
type repaired struct {
	mu      sync.Mutex
	waiting map[string]chan time.Time
	broken  map[string]bool
}

func newRepaired(ctx context.Context) *repaired {
	GinkgoHelper()
	r := &repaired{waiting: map[string]chan time.Time{}, broken: map[string]bool{}}
	events, err := api.Watch(ctx, &networkingv1.NetworkPolicyList{})
	Expect(err).NotTo(HaveOccurred())
	go func() {
		for event := range events.ResultChan() {
			if np, ok := event.Object.(*networkingv1.NetworkPolicy); ok && np.Name == floor {
				r.see(np.Namespace, event.Type != watch.Deleted && len(np.Spec.Ingress) == 0)
			}
		}
	}()
	return r
}

func (r *repaired) next(namespace string) <-chan time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	fixed := make(chan time.Time, 1)
	r.waiting[namespace] = fixed
	return fixed
}

func (r *repaired) see(namespace string, whole bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if waiting := r.waiting[namespace]; waiting != nil && whole && r.broken[namespace] {
		waiting <- time.Now()
		delete(r.waiting, namespace)
	}
	r.broken[namespace] = !whole
}

type durations struct {
	mu  sync.Mutex
	all []time.Duration
}

func (d *durations) add(took time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all = append(d.all, took)
}

func (d *durations) String() string {
	slices.Sort(d.all)
	at := func(share float64) time.Duration {
		return d.all[int(share*float64(len(d.all)-1))].Round(100 * time.Microsecond)
	}
	return fmt.Sprintf("p50 %s, p99 %s, max %s", at(0.5), at(0.99), at(1))
}
