package e2e_test

import (
	"context"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sluice-gate/sluice/test/installed"
)

func leads(ctx context.Context, p *pod) bool {
	GinkgoHelper()
	return measured(ctx, p, `leader_election_master_status{name="sluice.policy.sluice.dev"}`) == 1
}

// awaitLeader returns the replica that leads.
func awaitLeader(ctx context.Context) (leader *pod) {
	GinkgoHelper()
	Eventually(func() *pod {
		leader = nil
		for _, p := range replicas.running() {
			if p.IsReady(ctx) && leads(ctx, p) {
				leader = p
			}
		}
		return leader
	}, patience, poll).WithContext(ctx).ShouldNot(BeNil())
	return leader
}

// awaitSettled returns once a replica leads and none is on its way out.
func awaitSettled(ctx context.Context) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		for _, p := range replicas.running() {
			g.Expect(p.IsReady(ctx)).To(BeTrue())
		}
	}, patience, poll).WithContext(ctx).Should(Succeed())
	Expect(replicas.awaitReady(ctx)).To(Succeed())
	awaitLeader(ctx)
}

// deposeUnderLoad gives the lease of the leader, which also has the API server's connection, to somebody else. It can't lead again,
// and has to end: but not before the API server has given it up.
func deposeUnderLoad(ctx context.Context) {
	before := startLoad(ctx)
	leader := awaitLeader(ctx)
	if asked := busiest(ctx); asked != leader {
		Expect(replicas.kill(asked)).To(Succeed())
		_, err := replicas.start()
		Expect(err).NotTo(HaveOccurred())
		Expect(replicas.awaitReady(ctx)).To(Succeed())
		Expect(busiest(ctx)).To(Equal(leader), "nobody else was there")
	}
	before.stop(ctx, "the leader gets to be asked")

	l := startLoad(ctx)
	deposed := time.Now()
	Expect(retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		var lease coordinationv1.Lease
		if err := api.Get(ctx, client.ObjectKey{Namespace: installed.Namespace, Name: "sluice.policy.sluice.dev"}, &lease); err != nil {
			return err
		}
		lease.Spec.HolderIdentity, lease.Spec.RenewTime = new("somebody else"), new(metav1.NowMicro())
		return api.Update(ctx, &lease)
	})).To(Succeed())
	Eventually(leader.Done(), patience, poll).WithContext(ctx).Should(BeClosed())
	AddReportEntry("a leader that lost its lease has ended", since(deposed))
	Expect(replicas.awaitReady(ctx)).To(Succeed())
	Expect(awaitLeader(ctx)).NotTo(Equal(leader))
	AddReportEntry("another replica leads", since(deposed))
	l.stopUnharmed(ctx, "the leader loses its lease")
	Expect(leader.Log()).To(ContainSubstring("leader election lost"))
}

// outlastUnderLoad stops the replica that is asked until its liveness probe has it killed.
func outlastUnderLoad(ctx context.Context) {
	if rounds(1) == 1 {
		replicas.change(func() { replicas.haste = 10 })
		defer replicas.change(func() { replicas.haste = 0 })
	}
	l := startPatientLoad(ctx, 10*retryAtMost)
	frozen := busiest(ctx)
	stopped := time.Now()
	Expect(frozen.Signal(syscall.SIGSTOP)).To(Succeed())
	busiest(ctx, frozen)
	AddReportEntry("the other replica answers while one stands still", since(stopped))
	Eventually(frozen.Done(), 2*patience, poll).WithContext(ctx).Should(BeClosed())
	Expect(replicas.awaitReady(ctx)).To(Succeed())
	AddReportEntry("a replica that stood still was killed, and a new one is ready", since(stopped))
	l.stop(ctx, "the replica that is asked stands still until it is killed")
	Expect(replicas.running()).NotTo(ContainElement(frozen))
}
