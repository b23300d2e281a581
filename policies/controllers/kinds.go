package controllers

import (
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/restmapper"
)

// Kinds is a RESTMapper that follows the API server: a kind can come, go and move to another version while Sluice runs.
// controller-runtime's own keeps what it once saw. Only RESTMapping does so; the rest is that of the mapper within.
type Kinds struct {
	meta.RESTMapper
	discovery discovery.ServerResourcesInterface
	now       func() time.Time

	mu     sync.Mutex
	read   time.Time // zero: what is known has to be read again
	served meta.RESTMapper
	known  map[schema.GroupVersion][]metav1.APIResource
}

// missRetry is how often at most a kind that is not there is looked for.
const missRetry = 2 * time.Second

// NewKinds asks for what is served when it is first needed.
func NewKinds(within meta.RESTMapper, d discovery.ServerResourcesInterface) *Kinds {
	return &Kinds{RESTMapper: within, discovery: d, now: time.Now}
}

// Forget makes the next question ask the API server.
func (k *Kinds) Forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.read = time.Time{}
}

// RESTMapping implements meta.RESTMapper. An error that is no meta.IsNoMatchError leaves open whether the kind is served.
func (k *Kinds) RESTMapping(kind schema.GroupKind, versions ...string) (*meta.RESTMapping, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.read.IsZero() {
		if err := k.refresh(); err != nil {
			return nil, err
		}
	}
	mapping, err := k.served.RESTMapping(kind, versions...)
	if meta.IsNoMatchError(err) && k.now().Sub(k.read) >= missRetry {
		if err := k.refresh(); err != nil {
			return nil, err
		}
		mapping, err = k.served.RESTMapping(kind, versions...)
	}
	return mapping, err
}

// refresh reads what is served. Of a group that can't be asked, such as one of an APIService that is down, what was
// known stays.
func (k *Kinds) refresh() error {
	groups, lists, err := k.discovery.ServerGroupsAndResources()
	failed, partly := discovery.GroupDiscoveryFailedErrorGroups(err)
	if err != nil && !partly {
		return fmt.Errorf("ask the API server what it serves: %w", err)
	}
	known := map[schema.GroupVersion][]metav1.APIResource{}
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return fmt.Errorf("ask the API server what it serves: %w", err)
		}
		known[gv] = list.APIResources
	}
	for gv := range failed {
		if before, there := k.known[gv]; there {
			known[gv] = before
		}
	}
	var all []*restmapper.APIGroupResources
	for _, group := range groups {
		resources := &restmapper.APIGroupResources{Group: *group, VersionedResources: map[string][]metav1.APIResource{}}
		for _, version := range group.Versions {
			resources.VersionedResources[version.Version] = known[schema.GroupVersion{Group: group.Name, Version: version.Version}]
		}
		all = append(all, resources)
	}
	k.known, k.served, k.read = known, restmapper.NewDiscoveryRESTMapper(all), k.now()
	return nil
}
