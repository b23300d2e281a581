package e2e_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// rego is a GatePolicy of a rule of one's own.
func rego(name, kinds, match, condition string) string {
	return fmt.Sprintf(`apiVersion: policy.sluice.dev/v1alpha1
kind: GatePolicy
metadata: {name: %s}
spec:
  match: {%s}
  rego: |
    # METADATA
    # title: Nothing that the test refuses
    # description: It is there for the test.
    # custom:
    #   severity: low
    #   kinds: [%s]
    #   operations: [CREATE, UPDATE, DELETE]
    #   judges: [data]
    package example.refused

    deny contains "refused by the test" if %s
`, name, match, kinds, condition)
}

func turnOn(ctx context.Context, name, policy string) {
	GinkgoHelper()
	_, err := apply(ctx, policy)
	Expect(err).NotTo(HaveOccurred())
	kubectl(ctx, "wait", "--for=condition=Ready", "--timeout=60s", "gatepolicy", name)
}

// reviewed is how many reviews a replica answered so far.
func reviewed(ctx context.Context, p *pod) float64 {
	GinkgoHelper()
	return measured(ctx, p, "sluice_reviews_total{")
}

// measured is the sum of what a replica shows of a metric.
func measured(ctx context.Context, p *pod, metric string) float64 {
	GinkgoHelper()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.Metrics+"/metrics", nil)
	Expect(err).NotTo(HaveOccurred())
	response, err := http.DefaultClient.Do(request)
	Expect(err).NotTo(HaveOccurred())
	defer response.Body.Close()
	total := 0.0
	for text := bufio.NewScanner(response.Body); text.Scan(); {
		if line := text.Text(); strings.HasPrefix(line, metric) {
			value, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
			Expect(err).NotTo(HaveOccurred())
			total += value
		}
	}
	return total
}

// busiest is the replica that the API server asks most now, but for one that can't say.
func busiest(ctx context.Context, except ...*pod) *pod {
	GinkgoHelper()
	before := map[*pod]float64{}
	for _, p := range replicas.running() {
		if !slices.Contains(except, p) {
			before[p] = reviewed(ctx, p)
		}
	}
	var most *pod
	Eventually(func(g Gomega) {
		grown := 0.0
		for p, n := range before {
			if more := reviewed(ctx, p) - n; more > grown {
				most, grown = p, more
			}
		}
		g.Expect(grown).To(BeNumerically(">", 20))
	}, patience, poll).WithContext(ctx).Should(Succeed())
	return most
}

// freezeUnderLoad stops the replica that is asked most. Until it goes on, nothing comes back on the connections to it, and the API
// server gives each review up after 10 s.
func freezeUnderLoad(ctx context.Context) {
	l := startLoad(ctx)
	frozen := busiest(ctx)
	Expect(frozen.Signal(syscall.SIGSTOP)).To(Succeed())
	select {
	case <-ctx.Done():
	case <-time.After(15 * time.Second): // that long, as the issue says
	}
	Expect(frozen.Signal(syscall.SIGCONT)).To(Succeed())
	Expect(replicas.awaitReady(ctx)).To(Succeed())
	busiest(ctx) // reviews are answered again
	l.stop(ctx, "the replica that is asked stands still for 15 s")
	Expect(replicas.running()).To(ContainElement(frozen))
}

func cutUnderLoad(ctx context.Context) {
	n := rounds(3)
	l := startLoad(ctx)
	for i := range n {
		Expect(uplink.cut()).To(BeNumerically(">", 0))
		// A change that is seen afterwards came over new watches.
		started := time.Now()
		turnOn(ctx, "after-cut", rego("after-cut", "ConfigMap", "namespaces: [load]", fmt.Sprintf(`input.request.object.data.key == "v%d"`, i)))
		Eventually(func() error {
			_, err := apply(ctx, fmt.Sprintf(`{apiVersion: v1, kind: ConfigMap, metadata: {name: cut, namespace: load}, data: {key: v%d}}`, i), "--dry-run=server")
			return err
		}, patience, poll).WithContext(ctx).Should(MatchError(ContainSubstring("after-cut: refused by the test")))
		AddReportEntry("a policy is in use after all connections were cut", since(started))
	}
	Expect(replicas.awaitReady(ctx)).To(Succeed())
	l.stop(ctx, fmt.Sprintf("the replicas' connections to the API server are cut, %d times", n))
	kubectl(ctx, "delete", "gatepolicy", "after-cut")
}

// pauseUnderLoad stops etcd. The API server can neither store nor tell anything meanwhile, and the replica that leads may give up and
// be started again.
func pauseUnderLoad(ctx context.Context) {
	long := time.Duration(rounds(4)) * 3 * time.Second / 2
	l := startLoad(ctx)
	let(ctx, time.Second)
	Expect(cluster.Signal("etcd", syscall.SIGSTOP)).To(Succeed())
	let(ctx, long)
	Expect(cluster.Signal("etcd", syscall.SIGCONT)).To(Succeed())
	started := time.Now()
	expectVerdicts(ctx, patience)
	AddReportEntry("verdicts after etcd goes on", since(started))
	Expect(replicas.awaitReady(ctx)).To(Succeed())
	turnOn(ctx, "after-pause", rego("after-pause", "ConfigMap", "namespaces: [load]", `input.request.object.data.key == "paused"`))
	Eventually(func() error {
		_, err := apply(ctx, `{apiVersion: v1, kind: ConfigMap, metadata: {name: paused, namespace: load}, data: {key: paused}}`, "--dry-run=server")
		return err
	}, patience, poll).WithContext(ctx).Should(MatchError(ContainSubstring("after-pause: refused by the test")))
	AddReportEntry("a new policy is in use after etcd goes on", since(started))
	l.stop(ctx, fmt.Sprintf("etcd is paused for %s", long))
	kubectl(ctx, "delete", "gatepolicy", "after-pause")
	awaitSettled(ctx)
}

// costlyPolicy measures what a policy that never comes to an end takes from the reviews of others, against the same load before and
// after it: machines that tests share have moods. If one stands still for a moment, all clients wait, which is more than one request
// of a hundred; a policy that harms others would do so in every round.
func costlyPolicy(ctx context.Context) {
	var beside, most time.Duration
	for round := 0; round < 3 && beside >= most; round++ {
		beside, most = besideCostlyPolicy(ctx)
	}
	Expect(beside).To(BeNumerically("<", most), "in three rounds")
}

// besideCostlyPolicy is the p99 of others, and what that may be.
func besideCostlyPolicy(ctx context.Context) (beside, most time.Duration) {
	GinkgoHelper()
	before := quietLoad(ctx)
	turnOn(ctx, "costly", rego("costly", "ConfigMap", "namespaces: [load]",
		"count([1 | some a in numbers.range(1, 3000); some b in numbers.range(1, 3000); a == b * 10000]) > 0"))
	settings := fmt.Sprintf(configMap, loaded)
	const says = "costly: could not judge: stopped after its time was used up"
	Eventually(func() error {
		_, err := apply(ctx, settings)
		return err
	}, patience, poll).WithContext(ctx).Should(MatchError(ContainSubstring(says)))
	l := startLoad(ctx)
	for range 8 {
		complaint, err := apply(ctx, settings)
		Expect(err).To(HaveOccurred())
		Expect(complaint).To(ContainSubstring(says))
	}
	l.stopUnharmed(ctx, "a policy eats its whole budget, one review after the other")
	kubectl(ctx, "delete", "gatepolicy", "costly")
	after := quietLoad(ctx)
	beside = quantile(l.took, 0.99)
	AddReportEntry("p99 of others", fmt.Sprintf("%s beside it, %s before and %s after", beside, before, after))
	return beside, 2*max(before, after) + 100*time.Millisecond // what kubectl itself takes of two cores is in this, too
}

// quietLoad is the p99 of applies while nothing else happens.
func quietLoad(ctx context.Context) time.Duration {
	GinkgoHelper()
	l := startLoad(ctx)
	let(ctx, 4*time.Second)
	l.stop(ctx, "nothing else happens")
	return quantile(l.took, 0.99)
}

// let lets a load run.
func let(ctx context.Context, long time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(long):
	}
}
