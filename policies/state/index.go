package state

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/facts"
)

// Index holds objects by kind, namespace and name. It is safe for concurrent use, and what it returns is
// never changed by later writes. It knows only what was put in: it can't tell an object that doesn't exist
// from one that nobody told it of. Putting and deleting take constant time in a folder that nobody
// has listed, and copy the list of one that somebody has.
type Index struct {
	hosts *hostIndex

	mu      sync.RWMutex
	kinds   map[schema.GroupKind]map[string]*folder // by namespace, which is empty for cluster-scoped kinds
	unnamed int                                     // objects put so far that have only a generateName
	read    readFolders
}

// folder is the objects of one kind in one namespace.
type folder struct {
	objects map[string]*entry
	sorted  []*entry // by name; nil until it is asked for, and replaced, never changed
	// policies are the entries of policiesOf, which was sorted when they were asked for, as NetworkPolicies; nil for other kinds, and
	// before.
	policies   *NamespacePolicies
	policiesOf []*entry
	read       int         // how many objects the last list of NetworkPolicies had that is counted; see readFolders
	asked      atomic.Bool // for policies, since its last turn
}

// put adds an entry, or replaces the one of its name.
func (f *folder) put(e *entry) {
	f.objects[e.name] = e
	if f.sorted == nil {
		return
	}
	at, there := f.place(e.name)
	after := at
	if there {
		after++
	}
	f.sorted = slices.Concat(f.sorted[:at], []*entry{e}, f.sorted[after:])
}

// remove takes an entry out, if it is there.
func (f *folder) remove(name string) {
	delete(f.objects, name)
	if at, there := f.place(name); there {
		f.sorted = slices.Concat(f.sorted[:at], f.sorted[at+1:])
	}
}

// place is where a name is in sorted, or would be.
func (f *folder) place(name string) (at int, there bool) {
	return slices.BinarySearchFunc(f.sorted, name, func(e *entry, name string) int { return strings.Compare(e.name, name) })
}

// entry is an object. What comes from an API server stays in its JSON form, a tenth in size, until somebody asks
// for it: most Ingresses are only ever looked up by host.
type entry struct {
	name   string
	raw    []byte // nil if document was given
	parsed atomic.Pointer[engine.Document]
	live   atomic.Pointer[LivePolicy] // what was read of a NetworkPolicy that somebody asked about
}

func (e *entry) document() (engine.Document, error) {
	if known := e.parsed.Load(); known != nil {
		return *known, nil
	}
	document, err := e.read()
	if err == nil {
		document = document.Settled()
		e.parsed.Store(&document)
	}
	return document, err
}

// read is the object, which is not kept.
func (e *entry) read() (engine.Document, error) {
	if known := e.parsed.Load(); known != nil {
		return *known, nil
	}
	document, err := engine.ParseJSON(e.raw)
	if err != nil {
		err = fmt.Errorf("read %s from the state: %w", e.name, err)
	}
	return document, err
}

// NewIndex is an empty Index.
func NewIndex() *Index { return newIndex(time.Now) }

func newIndex(now func() time.Time) *Index {
	return &Index{hosts: newHostIndex(now), kinds: map[schema.GroupKind]map[string]*folder{}}
}

// Put adds an object, or replaces the one of its kind, namespace and name. An object with a generateName
// instead of a name never replaces another.
func (x *Index) Put(object engine.Document) {
	metadata := object.Get("metadata")
	name := metadata.Get("name").Text()
	if name == "" {
		x.mu.Lock()
		x.unnamed++
		name = metadata.Get("generateName").Text() + "…" + strconv.Itoa(x.unnamed)
		x.mu.Unlock()
	}
	e, object := &entry{name: name}, object.Settled()
	e.parsed.Store(&object)
	kind, namespace := kindOf(object), metadata.Get("namespace").Text()
	x.insert(kind, namespace, e)
	if kind == ingressKind {
		x.hosts.put(storedIngress(namespace, name, object))
	}
}

func (x *Index) insert(kind schema.GroupKind, namespace string, e *entry) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.kinds[kind] == nil {
		x.kinds[kind] = map[string]*folder{}
	}
	f := x.kinds[kind][namespace]
	if f == nil {
		f = &folder{objects: map[string]*entry{}}
		x.kinds[kind][namespace] = f
	}
	f.put(e)
}

// Delete removes an object if it is there.
func (x *Index) Delete(kind schema.GroupKind, namespace, name string) {
	x.mu.Lock()
	if f := x.kinds[kind][namespace]; f != nil {
		if f.remove(name); len(f.objects) == 0 {
			delete(x.kinds[kind], namespace)
			x.read.drop(f)
		}
	}
	x.mu.Unlock()
	if kind == ingressKind {
		x.hosts.remove(namespace, name)
	}
}

// retain removes all objects of a kind but those named, if there are any.
func (x *Index) retain(kind schema.GroupKind, names map[types.NamespacedName]bool) bool {
	var gone []types.NamespacedName
	x.mu.RLock()
	for namespace, f := range x.kinds[kind] {
		for name := range f.objects {
			if key := (types.NamespacedName{Namespace: namespace, Name: name}); !names[key] {
				gone = append(gone, key)
			}
		}
	}
	x.mu.RUnlock()
	for _, key := range gone {
		x.Delete(kind, key.Namespace, key.Name)
	}
	return len(gone) > 0
}

// forget removes all objects of a kind, about which no policy asks any more. What was admitted stays.
func (x *Index) forget(kind schema.GroupKind) {
	x.mu.Lock()
	delete(x.kinds, kind)
	if kind == networkPolicyKind {
		x.read = readFolders{}
	}
	x.mu.Unlock()
	if kind == ingressKind {
		x.hosts.forget()
	}
}

// Get implements engine.State. It fails for an object that can't be read.
func (x *Index) Get(kind schema.GroupKind, namespace, name string) (engine.Document, bool, error) {
	e := x.entry(kind, namespace, name)
	if e == nil {
		return engine.Document{}, false, nil
	}
	document, err := e.document()
	return document, err == nil, err
}

// entry is nil if there is none.
func (x *Index) entry(kind schema.GroupKind, namespace, name string) *entry {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if f := x.kinds[kind][namespace]; f != nil {
		return f.objects[name]
	}
	return nil
}

// List implements engine.State: sorted by name. It fails if an object can't be read.
func (x *Index) List(kind schema.GroupKind, namespace string) ([]engine.Document, error) {
	entries := x.entries(kind, namespace)
	out := make([]engine.Document, len(entries))
	for i, e := range entries {
		var err error
		if out[i], err = e.document(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// entries are those of a folder, sorted.
func (x *Index) entries(kind schema.GroupKind, namespace string) []*entry {
	x.mu.RLock()
	f := x.kinds[kind][namespace]
	if f == nil || f.sorted != nil {
		defer x.mu.RUnlock()
		if f == nil {
			return nil
		}
		return f.sorted
	}
	x.mu.RUnlock()
	x.mu.Lock()
	defer x.mu.Unlock()
	if f.sorted == nil {
		sorted := make([]*entry, 0, len(f.objects))
		for _, e := range f.objects {
			sorted = append(sorted, e)
		}
		slices.SortFunc(sorted, func(a, b *entry) int { return strings.Compare(a.name, b.name) })
		f.sorted = sorted
	}
	return f.sorted
}

// HostConflicts implements engine.HostIndex.
func (x *Index) HostConflicts(of facts.HostClaims, controller func(class string) (string, error)) ([]facts.HostConflict, error) {
	return x.hosts.conflicts(of, controller)
}

func kindOf(object engine.Document) schema.GroupKind {
	gv, err := schema.ParseGroupVersion(object.Get("apiVersion").Text())
	if err != nil {
		gv = schema.GroupVersion{Group: object.Get("apiVersion").Text()}
	}
	return schema.GroupKind{Group: gv.Group, Kind: object.Get("kind").Text()}
}

// The kinds that the state itself reads. They are never changed.
var (
	namespaceKind = schema.GroupKind{Kind: "Namespace"}
	ingressKind   = schema.GroupKind{Group: "networking.k8s.io", Kind: "Ingress"}

	networkPolicyKind = schema.GroupKind{Group: "networking.k8s.io", Kind: "NetworkPolicy"}
)
