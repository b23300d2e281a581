package serve

import (
	"context"
	"fmt"

	"k8s.io/client-go/kubernetes"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/sluice-gate/sluice/certs"
	"github.com/sluice-gate/sluice/policies/state"
)

// certificateSecret is what config/ calls the Secret with the certificate.
const certificateSecret = "sluice-webhook-cert"

// addRotator makes the certificate where Sluice is to do so itself. The webhook server finds it when it starts.
func addRotator(ctx context.Context, manager ctrl.Manager, o Options, clock *state.Clock) error {
	if !o.SelfManaged {
		return nil
	}
	cluster, err := kubernetes.NewForConfigAndClient(manager.GetConfig(), manager.GetHTTPClient())
	if err != nil {
		return err
	}
	rotator, err := certs.NewRotator(certs.RotatorOptions{
		Client: cluster, Namespace: o.Namespace, Secret: certificateSecret, Service: o.WebhookService, Configuration: o.WebhookConfiguration,
		Dir: o.CertDir, Log: o.Log.WithName("certificate"), Now: clock.Now,
	})
	if err != nil {
		return err
	}
	if err := clock.Ask(ctx); err != nil { // it is the API server who has to accept what is made now
		return err
	}
	if err := rotator.Ensure(ctx); err != nil {
		return fmt.Errorf("make certificate: %w", err)
	}
	return manager.Add(rotator)
}
