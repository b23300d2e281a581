package serve

import (
	"context"
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

// leaseName names the leader's lease in Sluice's own namespace.
const leaseName = "sluice.policy.sluice.dev"

// How soon another replica leads when the leader is killed: pods of new namespaces wait that long for what is generated. A leader
// that can't renew gives up before.
const (
	leaseDuration = 10 * time.Second
	renewDeadline = 7 * time.Second
	retryPeriod   = time.Second
)

// newLeader makes the manager of what only one replica does. A manager that loses its lease ends at once, with all that it runs:
// therefore reviews are not of this one, which has nothing but controllers, and reads by the cache of the other.
func newLeader(manager ctrl.Manager, o Options) (ctrl.Manager, error) {
	return ctrl.NewManager(manager.GetConfig(), ctrl.Options{
		Scheme: manager.GetScheme(), Logger: o.Log,
		Metrics:        metricsserver.Options{BindAddress: "0"},
		NewCache:       func(*rest.Config, cache.Options) (cache.Cache, error) { return startedCache{manager.GetCache()}, nil },
		NewClient:      func(*rest.Config, client.Options) (client.Client, error) { return manager.GetClient(), nil },
		MapperProvider: func(*rest.Config, *http.Client) (meta.RESTMapper, error) { return manager.GetRESTMapper(), nil },

		LeaderElection:                o.LeaderElect,
		LeaderElectionID:              leaseName,
		LeaderElectionNamespace:       o.Namespace,
		LeaderElectionReleaseOnCancel: true,
		LeaseDuration:                 new(leaseDuration),
		RenewDeadline:                 new(renewDeadline),
		RetryPeriod:                   new(retryPeriod),
		Controller:                    severalInAProcess(),
	})
}

// severalInAProcess lets tests run several managers, whose controllers share their names.
func severalInAProcess() config.Controller {
	return config.Controller{SkipNameValidation: new(true)}
}

// startedCache is a cache that somebody else starts.
type startedCache struct{ cache.Cache }

// Start implements cache.Cache.
func (startedCache) Start(ctx context.Context) error {
	<-ctx.Done()
	return nil
}
