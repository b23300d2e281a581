// Command certmanager runs cert-manager's own controllers that issue certificates from a CA and inject CA bundles, and
// nothing else of it: no ACME, no webhook. Suites start it against their control plane to see that what config/default
// asks of cert-manager is what Sluice needs. cert-manager's CRDs must be installed before.
//
//	certmanager -kubeconfig FILE
//
// It needs all rights, runs until it is told to stop, and writes its log to stderr. The exit code is 0, or 1 with the
// reason on stderr.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/cert-manager/cert-manager/pkg/controller"
	"golang.org/x/sync/errgroup"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"

	// Each controller is known by being imported, and so is each kind of issuer.
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/approver"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/ca"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/selfsigned"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/issuing"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/keymanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/readiness"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/requestmanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/revisionmanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/trigger"
	_ "github.com/cert-manager/cert-manager/pkg/controller/issuers"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/ca"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/selfsigned"
)

// workers is what each of cert-manager's controllers has in its shipped Deployment.
const workers = 5

func main() {
	flags := flag.NewFlagSet("certmanager", flag.ExitOnError) // the usual one is taken by controller-runtime
	kubeconfig := flags.String("kubeconfig", "", "kubeconfig file")
	_ = flags.Parse(os.Args[1:]) // it exits on an error
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *kubeconfig); err != nil {
		fmt.Fprintln(os.Stderr, "certmanager:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, kubeconfig string) error {
	ctrl.SetLogger(klog.Background())
	group, ctx := errgroup.WithContext(ctx)
	injectors, err := newInjectors(ctx, kubeconfig)
	if err != nil {
		return fmt.Errorf("set up the injectors: %w", err)
	}
	group.Go(func() error { return injectors.Start(ctx) })
	if err := startControllers(ctx, kubeconfig, group); err != nil {
		return err
	}
	return group.Wait()
}

// startControllers runs every controller that is known, which are those imported above.
func startControllers(ctx context.Context, kubeconfig string, group *errgroup.Group) error {
	factory, err := controller.NewContextFactory(ctx, controller.ContextOptions{
		Kubeconfig:       kubeconfig,
		KubernetesAPIQPS: 1000, KubernetesAPIBurst: 1000,
		IssuerOptions: controller.IssuerOptions{ClusterResourceNamespace: "kube-system"},
		CertificateOptions: controller.CertificateOptions{
			CertificateRequestMinimumBackoffDuration: time.Hour,
			CertificateRequestMaximumBackoffDuration: 32 * time.Hour,
		},
	})
	if err != nil {
		return fmt.Errorf("set up cert-manager: %w", err)
	}
	for name, construct := range controller.Known() {
		run, err := construct(factory)
		if err != nil {
			return fmt.Errorf("set up %s: %w", name, err)
		}
		group.Go(func() error {
			if err := run.Run(workers, ctx); err != nil {
				return fmt.Errorf("run %s: %w", name, err)
			}
			return nil
		})
	}
	shared, err := factory.Build()
	if err != nil {
		return fmt.Errorf("set up informers: %w", err)
	}
	shared.SharedInformerFactory.Start(ctx.Done())
	shared.KubeSharedInformerFactory.Start(ctx.Done())
	shared.HTTP01ResourceMetadataInformersFactory.Start(ctx.Done())
	return nil
}
