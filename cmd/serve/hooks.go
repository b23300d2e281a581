package serve

import (
	"context"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sluice-gate/sluice/certs"
)

// hooksTime bounds the look at the webhook configurations: a cache that is not synced would wait for it.
const hooksTime = time.Second

// ownHooks are the webhooks that the API server calls at Sluice's own Service. A configuration that does not exist has none.
func ownHooks(ctx context.Context, reader client.Reader, o Options) func() ([]certs.Hook, error) {
	return func() ([]certs.Hook, error) {
		ctx, cancel := context.WithTimeout(ctx, hooksTime)
		defer cancel()
		var hooks []certs.Hook
		add := func(name string, c admissionv1.WebhookClientConfig) {
			if c.Service != nil && c.Service.Namespace == o.Namespace && c.Service.Name == o.WebhookService {
				hooks = append(hooks, certs.Hook{Name: name, CABundle: c.CABundle})
			}
		}
		key := types.NamespacedName{Name: o.WebhookConfiguration}
		var validating admissionv1.ValidatingWebhookConfiguration
		if err := client.IgnoreNotFound(reader.Get(ctx, key, &validating)); err != nil {
			return nil, err
		}
		for i := range validating.Webhooks {
			add(validating.Webhooks[i].Name, validating.Webhooks[i].ClientConfig)
		}
		var mutating admissionv1.MutatingWebhookConfiguration
		if err := client.IgnoreNotFound(reader.Get(ctx, key, &mutating)); err != nil {
			return nil, err
		}
		for i := range mutating.Webhooks {
			add(mutating.Webhooks[i].Name, mutating.Webhooks[i].ClientConfig)
		}
		return hooks, nil
	}
}
