package plane_test

import (
	"context"
	"os"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/sluice-gate/sluice/test/plane"
)

func TestPlane(t *testing.T) {
	if os.Getenv(plane.AssetsVariable) == "" {
		t.Skip(plane.ErrNoAssets)
	}
	RegisterFailHandler(Fail)
	RunSpecs(t, "Control plane")
}

// running is shared by the specs; each keeps to a namespace of its own.
var running *plane.Plane

var _ = BeforeSuite(func(ctx context.Context) {
	var err error
	running, err = plane.Start(ctx, plane.Options{
		ControllerManager: true,
		APIServerFlags:    map[string][]string{"feature-gates": {"StrictIPCIDRValidation=false"}},
	})
	Expect(err).NotTo(HaveOccurred())
})

var _ = AfterSuite(func() {
	if running == nil {
		return
	}
	Expect(running.Stop()).To(Succeed())
	Expect(running.Kubeconfig()).NotTo(BeAnExistingFile())
})
