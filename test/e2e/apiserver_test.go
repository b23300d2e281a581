package e2e_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// apiServerGrace is how long an API server that is told to stop may take, of which its watches make it take all, and then is killed:
// 30 s, as kubeadm has it, or a moment.
func apiServerGrace() time.Duration { return time.Duration(rounds(1)) * 3 * time.Second / 2 }

// stopAPIServerUnderLoad stops the API server as an upgrade of the control plane does. Meanwhile the replica that leads may give up and be
// started again.
func stopAPIServerUnderLoad(ctx context.Context) {
	l := startPatientLoad(ctx, 10*retryAtMost)
	before := replicas.running()
	down := time.Now()
	Expect(cluster.EndAPIServer(ctx, syscall.SIGTERM, apiServerGrace())).To(Succeed())
	uplink.hold(true)
	Expect(cluster.StartAPIServer()).To(Succeed())
	outage := time.Since(down)
	AddReportEntry("the API server was down", outage.String())

	// Of what nobody is asked about the replicas learn when they can see again.
	taken := ingress("taken", 0, true)
	taken.SetNamespace("kube-system")
	_, err := apply(ctx, manifest(taken))
	Expect(err).NotTo(HaveOccurred(), "exempt")
	uplink.cut()
	uplink.hold(false)
	expectRecovery(ctx, "stopped")
	complaint, err := apply(ctx, manifest(ingress("taken", 0, true)))
	Expect(err).To(HaveOccurred())
	Expect(complaint).To(ContainSubstring(`ingress-host-unique: host "taken.example.com" is served by the Ingress kube-system/taken`))
	l.stop(ctx, "the API server is told to stop, and started again")
	if outage < 5*time.Second { // one that could not renew its lease for 7 s ends
		Expect(replicas.running()).To(ConsistOf(before), "nobody had to be started again")
	}
	kubectl(ctx, "delete", "ingress", "-n", "kube-system", "taken")
	awaitSettled(ctx)
}

// killAPIServerUnderLoad kills the API server, and a replica, which is started while there is no API server.
func killAPIServerUnderLoad(ctx context.Context) {
	for range rounds(1) {
		l := startPatientLoad(ctx, 10*retryAtMost)
		down := time.Now()
		Expect(cluster.EndAPIServer(ctx, syscall.SIGKILL, time.Second)).To(Succeed())
		Expect(replicas.kill(replicas.running()[0])).To(Succeed())
		late, err := replicas.start()
		Expect(err).NotTo(HaveOccurred())
		Eventually(func() bool { return late.Passes(ctx, "/healthz") }, patience, poll).WithContext(ctx).Should(BeTrue())
		Expect(readyz(ctx, late)).To(And(ContainSubstring("[-]policies failed"), ContainSubstring("[-]clock failed")))
		Expect(cluster.StartAPIServer()).To(Succeed())
		AddReportEntry("the API server was down", since(down))
		expectRecovery(ctx, "killed")
		l.stop(ctx, "the API server and a replica are killed, and started again")
		Expect(replicas.running()).To(ContainElement(late))
	}
}

// expectRecovery measures how long it takes from an API server that is up to all that Sluice promises.
func expectRecovery(ctx context.Context, how string) {
	GinkgoHelper()
	up := time.Now()
	expectVerdicts(ctx, patience)
	AddReportEntry("verdicts after the API server was "+how, since(up))
	Expect(replicas.awaitReady(ctx)).To(Succeed())
	AddReportEntry("both replicas are ready after the API server was "+how, since(up))
	name := "after-" + how
	turnOn(ctx, name, rego(name, "ConfigMap", "namespaces: [load]", fmt.Sprintf(`input.request.object.data.key == "%s"`, how)))
	Eventually(func() error {
		_, err := apply(ctx, fmt.Sprintf(`{apiVersion: v1, kind: ConfigMap, metadata: {name: %s, namespace: load}, data: {key: %s}}`, how, how), "--dry-run=server")
		return err
	}, patience, poll).WithContext(ctx).Should(MatchError(ContainSubstring(name + ": refused by the test")))
	AddReportEntry("a new policy is in use after the API server was "+how, since(up))
	kubectl(ctx, "delete", "gatepolicy", name)
}

// readyz is what a replica that is not ready says.
func readyz(ctx context.Context, p *pod) string {
	GinkgoHelper()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.Probe+"/readyz", nil)
	Expect(err).NotTo(HaveOccurred())
	response, err := http.DefaultClient.Do(request)
	Expect(err).NotTo(HaveOccurred())
	defer response.Body.Close()
	said, err := io.ReadAll(response.Body)
	Expect(err).NotTo(HaveOccurred())
	return string(said)
}
