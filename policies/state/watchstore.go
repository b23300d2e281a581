package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"

	"github.com/sluice-gate/sluice/policies/engine"
)

// observed is an object as the index takes it. A reflector that streams its first list holds all objects at
// once, and so holds them in this form.
type observed struct {
	metav1.ObjectMeta
	raw     []byte
	ingress *holder // of an Ingress
}

// Transformer implements cache.TransformingStore.
func (w *watched) Transformer() toolscache.TransformFunc {
	return func(x any) (any, error) {
		if _, done := x.(*observed); done {
			return x, nil
		}
		return w.observe(x)
	}
}

func (w *watched) observe(x any) (*observed, error) {
	switch object := x.(type) {
	case *observed:
		return object, nil
	case *received:
		return w.observed(object, object.raw, object.document), nil
	case *unstructured.Unstructured: // of a list, or more than a Document has
		text, err := json.Marshal(object.Object)
		if err != nil {
			return nil, fmt.Errorf("read %s from the API server: %w", w.kind.Kind, err)
		}
		if read, ok := readReceived(text); ok {
			return w.observe(read)
		}
		return w.observed(object, text, readLarge(object)), nil
	}
	return nil, fmt.Errorf("the API server sent a %T for a %s", x, w.kind.Kind)
}

// observed shares no memory with the object but raw.
func (w *watched) observed(object metav1.Object, raw []byte, document engine.Document) *observed {
	o := &observed{ObjectMeta: metav1.ObjectMeta{Namespace: object.GetNamespace(), Name: object.GetName(),
		ResourceVersion: object.GetResourceVersion()}, raw: raw}
	if w.kind == ingressKind {
		o.ingress = storedIngress(o.Namespace, o.Name, document)
	}
	return o
}

// Add implements cache.ReflectorStore.
func (w *watched) Add(x any) error {
	o, err := w.observe(x)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.dropped {
		w.put(o)
		w.change = max(w.change, w.reach(o.ResourceVersion))
		w.cluster.tell(Change{w.kind, o.Namespace, o.Name})
	}
	return nil
}

// reach notes that the index has everything up to a version. It needs the lock.
func (w *watched) reach(version string) uint64 {
	reached := ParseVersion(version)
	if reached > w.version {
		w.version = reached
		if w.newer != nil {
			close(w.newer)
			w.newer = nil
		}
	}
	return reached
}

// ParseVersion reads a version of the API server's data; what is none is before all others. Those of one kind can be compared
// (https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions).
func ParseVersion(version string) uint64 {
	n, _ := strconv.ParseUint(version, 10, 64)
	return n
}

// Bookmark implements cache.ReflectorBookmarkStore.
func (w *watched) Bookmark(version string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reach(version)
	return nil
}

// await waits until the index has everything up to a version.
func (w *watched) await(ctx context.Context, version uint64) error {
	for {
		w.mu.Lock()
		at := w.version
		if at < version && w.newer == nil {
			w.newer = make(chan struct{})
		}
		newer := w.newer
		w.mu.Unlock()
		if at >= version {
			return nil
		}
		select {
		case <-newer:
		case <-ctx.Done():
			return fmt.Errorf("%s is known up to version %d, others have seen %d: %w", engine.FormatGroupKind(w.kind), at, version, ctx.Err())
		}
	}
}

func (w *watched) put(o *observed) {
	w.cluster.insert(w.kind, o.Namespace, &entry{name: o.Name, raw: o.raw})
	if o.ingress != nil {
		w.cluster.hosts.put(o.ingress)
	}
}

// Update implements cache.ReflectorStore.
func (w *watched) Update(x any) error { return w.Add(x) }

// Delete implements cache.ReflectorStore.
func (w *watched) Delete(x any) error {
	object, ok := x.(metav1.ObjectMetaAccessor)
	if unstructuredObject, is := x.(*unstructured.Unstructured); is {
		w.remove(unstructuredObject)
		return nil
	}
	if !ok {
		return fmt.Errorf("the API server deleted a %T", x)
	}
	w.remove(object.GetObjectMeta())
	return nil
}

func (w *watched) remove(object metav1.Object) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.dropped {
		w.cluster.Delete(w.kind, object.GetNamespace(), object.GetName())
		w.change = max(w.change, w.reach(object.GetResourceVersion()))
		w.cluster.tell(Change{w.kind, object.GetNamespace(), object.GetName()})
	}
}

// Replace implements cache.ReflectorStore: what is not among the objects is gone.
func (w *watched) Replace(objects []any, version string) error {
	all := make([]*observed, len(objects))
	var errs []error
	for i, x := range objects {
		var err error
		all[i], err = w.observe(x)
		objects[i] = nil
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dropped {
		return nil
	}
	names := make(map[types.NamespacedName]bool, len(all))
	before, listed := w.change, ParseVersion(version)
	for _, o := range all {
		w.put(o)
		w.change = max(w.change, ParseVersion(o.ResourceVersion))
		names[types.NamespacedName{Namespace: o.Namespace, Name: o.Name}] = true
	}
	gone := w.cluster.retain(w.kind, names)
	if gone || listed < before || !w.synced.Load() { // what went did so at some version before
		w.change = listed
	}
	w.version = 0 // another API server may know less
	w.reach(version)
	w.synced.Store(true)
	w.cluster.tell(Change{Kind: w.kind})
	return nil
}

// Resync implements cache.ReflectorStore.
func (w *watched) Resync() error { return nil }
