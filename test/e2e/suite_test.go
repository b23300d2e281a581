// Package e2e_test proves what a cluster's owner needs to trust: config/default as it is, cert-manager's own controllers, two
// replicas run as the Deployment says, and what they do when something breaks.
package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sluice-gate/sluice/policies/v1alpha1"
	"github.com/sluice-gate/sluice/test/installed"
	"github.com/sluice-gate/sluice/test/plane"
)

// programs is where `make certmanager` puts what the suite needs.
const programs = "../../bin/certmanager"

func TestE2E(t *testing.T) {
	if os.Getenv(plane.AssetsVariable) == "" {
		t.Skip(plane.ErrNoAssets)
	}
	if _, err := os.Stat(filepath.Join(programs, "certmanager")); err != nil {
		t.Skip("cert-manager is not built: run make certmanager")
	}
	RegisterFailHandler(Fail)
	RunSpecs(t, "Sluice by config/default, end to end")
}

// rounds is how often a fault is repeated: a few times, or as often as `make e2e` wants it.
func rounds(few int) int {
	if os.Getenv("SLUICE_E2E") == "long" {
		return 20
	}
	return few
}

var (
	cluster  *plane.Plane
	api      client.WithWatch
	objects  dynamic.Interface
	issuer   *certManager
	replicas *kubelet
	uplink   *link
)

var _ = BeforeSuite(func(ctx context.Context) {
	var err error
	cluster, err = plane.Start(ctx, plane.Options{ControllerManager: true})
	Expect(err).NotTo(HaveOccurred())
	api, err = client.NewWithWatch(cluster.Config, client.Options{})
	Expect(err).NotTo(HaveOccurred())
	Expect(v1alpha1.AddToScheme(api.Scheme())).To(Succeed())
	objects, err = dynamic.NewForConfig(cluster.Config)
	Expect(err).NotTo(HaveOccurred())

	issuer, err = startCertManager(ctx)
	Expect(err).NotTo(HaveOccurred())
	started := time.Now()
	kubectl(ctx, "apply", "-k", "../../config/default")
	dir := GinkgoT().TempDir()
	uplink, err = newLink(strings.Trim(strings.TrimPrefix(cluster.Config.Host, "https:"), "/"))
	Expect(err).NotTo(HaveOccurred())
	replicas, err = newKubelet(ctx, dir)
	Expect(err).NotTo(HaveOccurred())
	for range replicas.wanted {
		_, err = replicas.start()
		Expect(err).NotTo(HaveOccurred())
	}
	Expect(replicas.awaitReady(ctx)).To(Succeed())
	Expect(installed.AwaitVetting(ctx, cluster)).To(Succeed())
	AddReportEntry("from kubectl apply -k config/default until policies are vetted", since(started))
})

var _ = AfterSuite(func(ctx context.Context) {
	var errs []error // whatever fails, everything is stopped
	if replicas != nil {
		AddReportEntry("replicas that ended by themselves and were started again", len(replicas.ended))
		errs = append(errs, replicas.stop())
	}
	if issuer != nil {
		errs = append(errs, issuer.stop())
	}
	if uplink != nil {
		uplink.close()
	}
	if cluster != nil {
		errs = append(errs, cluster.Stop())
	}
	Expect(errors.Join(errs...)).To(Succeed())
})

// The order matters: what each of these leaves is what the next one needs, and after the last one nothing is left.
var _ = Describe("Sluice by config/default", Ordered, func() {
	BeforeAll(prepareLoad)
	It("is installed by kubectl and cert-manager alone, and judges", install)
	It("goes on while its certificate is renewed", renewUnderLoad)
	It("goes on while a replica is told to stop", drainUnderLoad)
	It("goes on while it is restarted, replica by replica", restartUnderLoad)
	It("admits nothing that it should not while replicas are killed", killUnderLoad)
	It("admits nothing that it should not while one replica is killed and the other drains", killBesideDrain)
	It("survives a new CA", rotateUnderLoad)
	It("goes on while a replica stands still for 15 seconds", freezeUnderLoad)
	It("is started again when it stands still for longer, and the other answers", outlastUnderLoad)
	It("drains when its lead is taken away", deposeUnderLoad)
	It("goes on while its connections to the API server are cut", cutUnderLoad)
	It("goes on when the API server does, after it was told to stop", stopAPIServerUnderLoad)
	It("goes on when the API server does, after it was killed", killAPIServerUnderLoad)
	It("goes on when etcd does, after a pause", pauseUnderLoad)
	It("answers good reviews beside bad ones", badReviews)
	It("bounds what a costly policy takes", costlyPolicy)
	It("can be told to deny everything, and told otherwise", denyEverything)
	It("refuses what it would judge, and only that, while no replica answers; there is a way out", outage)
	It("leaves nothing behind that holds anything up", uninstall)
})

// kubectl runs kubectl, which must succeed.
func kubectl(ctx context.Context, args ...string) string {
	GinkgoHelper()
	out, _, err := cluster.Kubectl(ctx, args...)
	Expect(err).NotTo(HaveOccurred())
	return out
}

// apply runs kubectl apply on a manifest and returns what it complains of.
func apply(ctx context.Context, manifest string, args ...string) (complaint string, err error) {
	_, complaint, err = cluster.KubectlInput(ctx, strings.NewReader(manifest), append([]string{"apply", "-f", "-"}, args...)...)
	return complaint, err
}

func since(started time.Time) string {
	return fmt.Sprint(time.Since(started).Round(time.Millisecond))
}
