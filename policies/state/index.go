package state

import (
	"cmp"
	"slices"
	"strconv"
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sluice-gate/sluice/policies/engine"
)

// Index holds objects by kind, namespace and name. It is safe for concurrent use, and what it returns is
// never changed by later writes. It knows only what was put in: it can't tell an object that doesn't exist
// from one that nobody told it of.
type Index struct {
	mu      sync.RWMutex
	folders map[folderKey]*folder
	unnamed int // objects put so far that have only a generateName
}

// folderKey is what List asks for: a kind in one namespace, which is empty for cluster-scoped kinds.
type folderKey struct {
	kind      schema.GroupKind
	namespace string
}

// folder is the objects of one kind in one namespace, sorted by name. The slice is replaced, never changed.
type folder struct{ entries []entry }

type entry struct {
	name   string
	object engine.Document
}

// NewIndex is an empty Index.
func NewIndex() *Index { return &Index{folders: map[folderKey]*folder{}} }

// Put adds an object, or replaces the one of its kind, namespace and name. An object with a generateName
// instead of a name never replaces another.
func (x *Index) Put(object engine.Document) {
	x.mu.Lock()
	defer x.mu.Unlock()
	metadata := object.Get("metadata")
	name := metadata.Get("name").Text()
	if name == "" {
		x.unnamed++
		name = metadata.Get("generateName").Text() + "…" + strconv.Itoa(x.unnamed)
	}
	key := folderKey{kindOf(object), metadata.Get("namespace").Text()}
	if x.folders[key] == nil {
		x.folders[key] = &folder{}
	}
	f := x.folders[key]
	at, found := f.find(name)
	entries := slices.Clone(f.entries)
	if found {
		entries[at].object = object
	} else {
		entries = slices.Insert(entries, at, entry{name, object})
	}
	f.entries = entries
}

// Delete removes an object if it is there.
func (x *Index) Delete(kind schema.GroupKind, namespace, name string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	key := folderKey{kind, namespace}
	f := x.folders[key]
	if f == nil {
		return
	}
	if at, found := f.find(name); found {
		f.entries = slices.Delete(slices.Clone(f.entries), at, at+1)
	}
	if len(f.entries) == 0 {
		delete(x.folders, key)
	}
}

// Get implements engine.State. It never fails.
func (x *Index) Get(kind schema.GroupKind, namespace, name string) (engine.Document, bool, error) {
	f := x.folder(kind, namespace)
	if at, found := f.find(name); found {
		return f.entries[at].object, true, nil
	}
	return engine.Document{}, false, nil
}

// List implements engine.State: sorted by name. It never fails.
func (x *Index) List(kind schema.GroupKind, namespace string) ([]engine.Document, error) {
	f := x.folder(kind, namespace)
	out := make([]engine.Document, len(f.entries))
	for i, e := range f.entries {
		out[i] = e.object
	}
	return out, nil
}

// folder is a copy as of now; the zero folder is empty.
func (x *Index) folder(kind schema.GroupKind, namespace string) folder {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if f := x.folders[folderKey{kind, namespace}]; f != nil {
		return *f
	}
	return folder{}
}

func (f folder) find(name string) (int, bool) {
	return slices.BinarySearchFunc(f.entries, name, func(e entry, name string) int { return cmp.Compare(e.name, name) })
}

func kindOf(object engine.Document) schema.GroupKind {
	gv, err := schema.ParseGroupVersion(object.Get("apiVersion").Text())
	if err != nil {
		gv = schema.GroupVersion{Group: object.Get("apiVersion").Text()}
	}
	return schema.GroupKind{Group: gv.Group, Kind: object.Get("kind").Text()}
}

var namespaceKind = schema.GroupKind{Kind: "Namespace"} // never changed
