package e2e_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// drainUnderLoad deletes the pod of one replica after the other; its successor is started at the same moment.
func drainUnderLoad(ctx context.Context) {
	n := rounds(2)
	l := startLoad(ctx)
	for i := range n {
		going := replicas.running()[i%replicas.wanted]
		_, err := replicas.start()
		Expect(err).NotTo(HaveOccurred())
		Expect(replicas.remove(going)).To(Succeed())
		Expect(replicas.awaitReady(ctx)).To(Succeed())
	}
	l.stopUnharmed(ctx, fmt.Sprintf("one of two replicas is deleted, %d times", n))

	// Told to stop with no preStop before: it is an endpoint until its readiness fails.
	n = rounds(1)
	l = startLoad(ctx)
	for range n {
		going := replicas.running()[rand.IntN(replicas.wanted)]
		ended := make(chan error, 1)
		go func() { ended <- replicas.terminate(going, 30*time.Second) }()
		expectSees(ctx, going)
		Expect(<-ended).To(Succeed())
		_, err := replicas.start()
		Expect(err).NotTo(HaveOccurred())
		Expect(replicas.awaitReady(ctx)).To(Succeed())
	}
	l.stopUnharmed(ctx, fmt.Sprintf("one of two replicas gets SIGTERM alone, %d times", n))
}

func restartUnderLoad(ctx context.Context) {
	n := rounds(1)
	l := startLoad(ctx)
	for range n {
		Expect(replicas.restart(ctx)).To(Succeed())
	}
	l.stopUnharmed(ctx, fmt.Sprintf("both replicas are replaced by a rolling restart, %d times", n))
}

// killUnderLoad kills replicas at random moments; a kubelet starts them again.
func killUnderLoad(ctx context.Context) {
	n := rounds(4)
	l := startLoad(ctx)
	for range n {
		Expect(replicas.awaitReady(ctx)).To(Succeed())
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(rand.IntN(500)) * time.Millisecond): // at no particular moment
		}
		Expect(replicas.kill(replicas.running()[rand.IntN(replicas.wanted)])).To(Succeed())
		_, err := replicas.start()
		Expect(err).NotTo(HaveOccurred())
	}
	Expect(replicas.awaitReady(ctx)).To(Succeed())
	l.stop(ctx, fmt.Sprintf("one of two replicas is killed, %d times", n))
}

// killBesideDrain kills a replica while the other one drains, as when a node dies in the middle of a rollout. Until one that was
// started in their place is ready, nobody answers.
func killBesideDrain(ctx context.Context) {
	n := rounds(1)
	l := startLoad(ctx)
	for range n {
		before := replicas.running()
		drained := make(chan error, 1)
		go func() { drained <- replicas.terminate(before[0], 30*time.Second) }()
		Eventually(func() bool { return before[0].IsReady(ctx) }, patience, poll).WithContext(ctx).Should(BeFalse())
		Expect(replicas.kill(before[1])).To(Succeed())
		for range before {
			_, err := replicas.start()
			Expect(err).NotTo(HaveOccurred())
		}
		Expect(replicas.awaitReady(ctx)).To(Succeed())
		Expect(<-drained).To(Succeed())
	}
	l.stop(ctx, fmt.Sprintf("one of two replicas is killed while the other drains, %d times", n))
}

// expectSees holds a replica that drains to judge by what has changed since.
func expectSees(ctx context.Context, p *pod) {
	GinkgoHelper()
	Eventually(func() bool { return p.IsReady(ctx) }, patience, poll).WithContext(ctx).Should(BeFalse())
	label := fmt.Sprintf("drained-%d", p.Pid())
	kubectl(ctx, "label", "namespace", loaded, label+"=yes")
	turnOn(ctx, "after-drain", rego("after-drain", "ConfigMap", "namespaces: [load]", fmt.Sprintf(`input.namespace.metadata.labels["%s"] == "yes"`, label)))
	Eventually(func() (string, error) { return ask(ctx, p, fmt.Sprintf(review, `"value"`)) }, 3*time.Second, poll).WithContext(ctx).Should(
		ContainSubstring("after-drain: refused by the test"))
	kubectl(ctx, "delete", "gatepolicy", "after-drain")
}
