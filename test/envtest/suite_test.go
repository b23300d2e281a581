package envtest_test

import (
	"context"
	"os"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/sluice-gate/sluice/test/installed"
	"github.com/sluice-gate/sluice/test/plane"
)

func TestSluice(t *testing.T) {
	if os.Getenv(plane.AssetsVariable) == "" {
		t.Skip(plane.ErrNoAssets)
	}
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(20 * time.Second) // of conditions that hold within milliseconds on an idle machine
	RunSpecs(t, "Sluice on a real API server")
}

// cluster and manager are shared by the specs; each keeps to a namespace of its own.
var (
	cluster *plane.Plane
	manager *installed.Manager
)

var _ = BeforeSuite(func(ctx context.Context) {
	var err error
	cluster, err = plane.Start(ctx, plane.Options{APIServerFlags: map[string][]string{"feature-gates": {"StrictIPCIDRValidation=false"}}})
	Expect(err).NotTo(HaveOccurred())
	old := "apiVersion: v1\nkind: Namespace\nmetadata: {name: older-than-sluice}\n"
	Expect(apply(ctx, old).err).NotTo(HaveOccurred())
	created := time.Now().Truncate(time.Second)
	Eventually(func() time.Time { return time.Now().Truncate(time.Second) }).Should(BeTemporally(">", created),
		"creation times have whole seconds")
	manager, err = installed.Start(ctx, cluster, installed.Options{
		Manifests: "../../config/local", Profile: "baseline", Policies: []string{"testdata/policies"}, Log: GinkgoLogr})
	Expect(err).NotTo(HaveOccurred())
})

var _ = AfterSuite(func() {
	if manager != nil {
		Expect(manager.Stop()).To(Succeed())
	}
	if cluster != nil {
		Expect(cluster.Stop()).To(Succeed())
	}
})
