package e2e_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// The load: server-side applies from 8 clients, each of an object of its own that changes what is judged. Every fifth is of an
// Ingress without a certificate, which must never be admitted.
const (
	loaded       = "load" // the namespace
	loadRate     = 200    // applies a second, if the machine can do it
	loadClients  = 8
	violating    = "violating" // label of what must not be there
	retryEvery   = 100 * time.Millisecond
	retryAtMost  = 50               // tries, if no more are said
	applyAtMost  = 15 * time.Second // the API server waits 10 s for a webhook
	everyNthFair = 5
)

// load is applies while something else happens.
type load struct {
	stopped context.CancelFunc
	running sync.WaitGroup
	started time.Time
	atMost  int     // tries of a good apply
	rate    float64 // applies a second, once it has stopped

	mu       sync.Mutex
	took     []time.Duration // of applies that succeeded at the first try
	good     int             // objects applied, in the end
	retried  int             // good applies that failed at first
	tries    int             // the most that one of them took
	denied   int             // violating objects refused by a verdict
	refused  int             // violating objects refused without one
	reasons  map[string]int  // why good ones failed at first
	mistakes []string        // violating objects admitted, good ones given up
}

func prepareLoad(ctx context.Context) {
	Expect(api.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: loaded}})).To(Succeed())
}

// startLoad applies until stop is called.
func startLoad(ctx context.Context) *load { return startPatientLoad(ctx, retryAtMost) }

func startPatientLoad(ctx context.Context, atMost int) *load {
	ctx, stop := context.WithCancel(ctx)
	l := &load{stopped: stop, started: time.Now(), atMost: atMost, reasons: map[string]int{}}
	for i := range loadClients {
		l.running.Go(func() { l.client(ctx, i) })
	}
	return l
}

func (l *load) client(ctx context.Context, i int) {
	ingresses := objects.Resource(networkingv1.SchemeGroupVersion.WithResource("ingresses")).Namespace(loaded)
	next := time.NewTicker(time.Second * loadClients / loadRate)
	defer next.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		}
		// What has begun is finished after stop: an apply that is cut off would tell nothing.
		if whole := context.WithoutCancel(ctx); n%everyNthFair == 0 {
			l.applyBad(whole, ingresses, fmt.Sprintf("bad-%d", i), n)
		} else {
			l.applyGood(whole, ingresses, fmt.Sprintf("good-%d", i), n)
		}
	}
}

func (l *load) applyBad(ctx context.Context, ingresses dynamic.ResourceInterface, name string, n int) {
	err := try(ctx, ingresses, ingress(name, n, false))
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil:
		l.mistakes = append(l.mistakes, "admitted: "+name)
	case strings.Contains(err.Error(), "ingress-tls-required: "):
		l.denied++
	default:
		l.refused++
	}
}

func (l *load) applyGood(ctx context.Context, ingresses dynamic.ResourceInterface, name string, n int) {
	started := time.Now()
	var first, err error
	tries := 0
	for tries < l.atMost {
		tries++
		if err = try(ctx, ingresses, ingress(name, n, true)); err == nil {
			break
		}
		if first == nil {
			first = err
		}
		time.Sleep(retryEvery) // as a client that retries
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tries = max(l.tries, tries)
	if first == nil {
		l.took = append(l.took, time.Since(started))
	} else {
		l.retried++
		l.reasons[first.Error()]++
	}
	if err != nil {
		l.mistakes = append(l.mistakes, fmt.Sprintf("not applied: %s: %v", name, err))
		return
	}
	l.good++
}

func try(ctx context.Context, ingresses dynamic.ResourceInterface, object *unstructured.Unstructured) error {
	ctx, cancel := context.WithTimeout(ctx, applyAtMost)
	defer cancel()
	_, err := ingresses.Apply(ctx, object.GetName(), object, metav1.ApplyOptions{FieldManager: "e2e", Force: true})
	return err
}

// ingress is one that restricted admits, or one that lacks its certificate.
func ingress(name string, n int, good bool) *unstructured.Unstructured {
	host := name + ".example.com"
	spec := map[string]any{
		"ingressClassName": "nginx",
		"rules": []any{map[string]any{"host": host, "http": map[string]any{"paths": []any{map[string]any{
			"path": fmt.Sprintf("/v%d", n), "pathType": "Prefix",
			"backend": map[string]any{"service": map[string]any{"name": "shop", "port": map[string]any{"name": "http"}}}}}}}},
	}
	labels := map[string]any{violating: "yes"}
	if good {
		spec["tls"] = []any{map[string]any{"hosts": []any{host}, "secretName": name + "-tls"}}
		labels = map[string]any{}
	}
	return &unstructured.Unstructured{Object: map[string]any{"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
		"metadata": map[string]any{"namespace": loaded, "name": name, "labels": labels}, "spec": spec}}
}

// stop ends the load, reports its figures, and fails if something was admitted that must not be, or refused in the end that
// must be admitted.
func (l *load) stop(ctx context.Context, during string) {
	GinkgoHelper()
	l.stopped()
	l.running.Wait()
	lasted := time.Since(l.started)
	total := l.good + l.denied + l.refused
	l.rate = float64(total) / lasted.Seconds()
	slices.Sort(l.took)
	figures := fmt.Sprintf("%d applies in %s (%.0f/s), %d of them of violating objects; p50 %s, p99 %s, max %s; %d good ones had to be retried, at most %d tries; %d violating ones refused without a verdict",
		total, lasted.Round(100*time.Millisecond), l.rate, l.denied+l.refused,
		quantile(l.took, 0.5), quantile(l.took, 0.99), quantile(l.took, 1), l.retried, l.tries, l.refused)
	for reason, n := range l.reasons {
		figures += fmt.Sprintf("\n    %d × %s", n, reason)
	}
	AddReportEntry("load while "+during, figures)
	Expect(l.mistakes).To(BeEmpty())
	var there networkingv1.IngressList
	Expect(api.List(ctx, &there, client.MatchingLabels{violating: "yes"})).To(Succeed())
	Expect(there.Items).To(BeEmpty())
	Expect(l.good).To(BeNumerically(">", 0))
}

// stopUnharmed is stop where not a single apply may have failed.
func (l *load) stopUnharmed(ctx context.Context, during string) {
	GinkgoHelper()
	l.stop(ctx, during)
	Expect(l.reasons).To(BeEmpty())
	Expect(l.refused).To(BeZero())
}

// quantile of sorted durations.
func quantile(sorted []time.Duration, share float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[int(share*float64(len(sorted)-1))].Round(100 * time.Microsecond)
}
