package e2e_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

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
		Expect(replicas.terminate(going, 30*time.Second)).To(Succeed())
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
