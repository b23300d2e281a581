package state

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sluice-gate/sluice/policies/engine"
)

// ErrNotSynced is the answer for a kind whose first list hasn't arrived: what isn't there can't be told
// from what isn't known.
var ErrNotSynced = errors.New("not synced yet: the state is still being read from the API server")

// Cluster is the state of a cluster, kept by informers for the kinds that policies ask about. Namespaces are
// always among them.
type Cluster struct {
	index  *Index
	live   client.Reader // past the cache
	mapper meta.RESTMapper
	cache  cache.Cache

	mu      sync.RWMutex
	watched map[schema.GroupKind]toolscache.ResourceEventHandlerRegistration
}

// NewCluster makes a state that watches nothing yet. live reads from the API server itself.
func NewCluster(c cache.Cache, live client.Reader, mapper meta.RESTMapper) *Cluster {
	return &Cluster{index: NewIndex(), live: live, mapper: mapper, cache: c,
		watched: map[schema.GroupKind]toolscache.ResourceEventHandlerRegistration{}}
}

// Watch starts an informer for each kind that has none. It returns before they are synced.
func (c *Cluster) Watch(ctx context.Context, kinds ...schema.GroupKind) error {
	for _, kind := range append([]schema.GroupKind{namespaceKind}, kinds...) {
		if c.registration(kind) != nil {
			continue
		}
		mapping, err := c.mapper.RESTMapping(kind)
		if err != nil {
			return fmt.Errorf("watch %s: %w", engine.FormatGroupKind(kind), err)
		}
		object := &unstructured.Unstructured{}
		object.SetGroupVersionKind(mapping.GroupVersionKind)
		informer, err := c.cache.GetInformer(ctx, object, cache.BlockUntilSynced(false))
		if err != nil {
			return fmt.Errorf("watch %s: %w", engine.FormatGroupKind(kind), err)
		}
		registration, err := informer.AddEventHandler(c.handler(kind))
		if err != nil {
			return fmt.Errorf("watch %s: %w", engine.FormatGroupKind(kind), err)
		}
		c.mu.Lock()
		c.watched[kind] = registration
		c.mu.Unlock()
	}
	return nil
}

func (c *Cluster) registration(kind schema.GroupKind) toolscache.ResourceEventHandlerRegistration {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.watched[kind]
}

// handler keeps the index. What an API server sends can be read; an object for which that fails, such as one
// with too many values, keeps its last readable form.
func (c *Cluster) handler(kind schema.GroupKind) toolscache.ResourceEventHandler {
	put := func(x any) {
		if object, ok := x.(*unstructured.Unstructured); ok {
			if document, err := engine.FromGo(object.Object); err == nil {
				c.index.Put(document)
			}
		}
	}
	return toolscache.ResourceEventHandlerFuncs{
		AddFunc:    put,
		UpdateFunc: func(_, x any) { put(x) },
		DeleteFunc: func(x any) {
			if tombstone, ok := x.(toolscache.DeletedFinalStateUnknown); ok {
				x = tombstone.Obj
			}
			if object, ok := x.(*unstructured.Unstructured); ok {
				c.index.Delete(kind, object.GetNamespace(), object.GetName())
			}
		},
	}
}

// Synced tells whether every watched kind has been read once.
func (c *Cluster) Synced() bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, registration := range c.watched {
		if !registration.HasSynced() {
			return false
		}
	}
	return len(c.watched) > 0
}

func (c *Cluster) check(kind schema.GroupKind) error {
	registration := c.registration(kind)
	switch {
	case registration == nil:
		return fmt.Errorf("%s is not watched: name it under custom.state in the rule's METADATA", engine.FormatGroupKind(kind))
	case !registration.HasSynced():
		return fmt.Errorf("%s: %w", engine.FormatGroupKind(kind), ErrNotSynced)
	}
	return nil
}

// Get implements engine.State.
func (c *Cluster) Get(kind schema.GroupKind, namespace, name string) (engine.Document, bool, error) {
	if err := c.check(kind); err != nil {
		return engine.Document{}, false, err
	}
	return c.index.Get(kind, namespace, name)
}

// List implements engine.State.
func (c *Cluster) List(kind schema.GroupKind, namespace string) ([]engine.Document, error) {
	if err := c.check(kind); err != nil {
		return nil, err
	}
	return c.index.List(kind, namespace)
}

// Namespace implements policies.Namespaces: from the informer, or else from the API server, because an
// informer may not have seen a namespace that was just created.
func (c *Cluster) Namespace(ctx context.Context, name string) (engine.Document, error) {
	if c.check(namespaceKind) == nil {
		if found, ok, err := c.index.Get(namespaceKind, "", name); ok && err == nil {
			return found, nil
		}
	}
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(schema.GroupVersionKind{Version: "v1", Kind: namespaceKind.Kind})
	if err := c.live.Get(ctx, client.ObjectKey{Name: name}, object); err != nil {
		return engine.Document{}, fmt.Errorf("read namespace %s: %w", name, err)
	}
	return engine.FromGo(object.Object)
}

// Problem STUB.
func (c *Cluster) Problem(kind schema.GroupKind) error { return c.check(kind) }
