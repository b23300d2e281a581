package serve

import (
	"context"
	"errors"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"

	"github.com/sluice-gate/sluice/certs"
	"github.com/sluice-gate/sluice/policies/state"
	"github.com/sluice-gate/sluice/webhook"
)

// addChecks starts the webhook with the manager (GetWebhookServer adds it) and ties readiness to what a
// review needs: compiled policies, a certificate that the API server can accept, and state.
func addChecks(ctx context.Context, manager ctrl.Manager, o Options, current *webhook.Current, known *state.Cluster, certificate *certs.Serving, clock *state.Clock, started time.Time) error {
	check := certs.Check{
		Certificate: certificate.Certificate, Name: o.WebhookService + "." + o.Namespace + ".svc",
		Hooks: ownHooks(ctx, manager.GetClient(), o), Now: clock.Now,
	}
	return errors.Join(
		o.Registerer.Register(check),
		manager.Add(certificate),
		manager.AddHealthzCheck("ping", healthz.Ping),
		manager.AddReadyzCheck("policies", current.Ready),
		manager.AddReadyzCheck("clock", clock.Ready),
		manager.AddReadyzCheck("certificate", check.Ready),
		manager.AddReadyzCheck("webhook", manager.GetWebhookServer().StartedChecker()),
		manager.AddReadyzCheck("state", webhook.SyncedUntil(known.Synced, started.Add(o.SyncTimeout), o.Now)),
	)
}
