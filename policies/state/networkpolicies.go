package state

import (
	"fmt"
	"slices"

	"github.com/sluice-gate/sluice/policies/engine"
)

// maxRead is of how many NetworkPolicies what facts read is kept, 2 KB each: those of the namespaces that are asked about. Where rules
// look into the objects, they are kept with it, which takes as much as objectsRead more of them.
const (
	maxRead     = 12_000
	objectsRead = 2
)

// NetworkPolicies implements engine.PolicyIndex.
func (x *Index) NetworkPolicies(namespace string) (*engine.PolicyList, error) {
	all, err := x.namespacePolicies(namespace)
	if err != nil {
		return nil, err
	}
	return all.list, nil
}

// namespacePolicies are the NetworkPolicies of a namespace. What was read of each is kept with it, and all of them together, until too
// many others have been read: once something has changed, that is all that is looked at.
func (x *Index) namespacePolicies(namespace string) (*NamespacePolicies, error) {
	entries := x.entries(networkPolicyKind, namespace)
	x.mu.RLock()
	f := x.kinds[networkPolicyKind][namespace]
	var known *NamespacePolicies
	var of []*entry
	if f != nil && f.policies != nil {
		f.asked.Store(true)
		known, of = f.policies, f.policiesOf
	}
	x.mu.RUnlock()
	switch {
	case known == nil:
		known = NewNamespacePolicies(nil)
	case sameEntries(of, entries):
		return known, nil
	}
	from, to, with := changed(of, entries)
	each := make([]*LivePolicy, len(with))
	for i, e := range with {
		var err error
		if each[i], err = e.livePolicy(); err != nil {
			return nil, err
		}
	}
	var all *NamespacePolicies
	all = known.replace(from, to, each, func() { x.keepPolicies(namespace, entries, all, 1+objectsRead) })
	x.keepPolicies(namespace, entries, all, 1)
	return all, nil
}

// changed is what has come in place of the entries from a place up to another: the lists are the same before and behind.
func changed(before, after []*entry) (from, to int, with []*entry) {
	least := min(len(before), len(after))
	for from < least && before[from] == after[from] {
		from++
	}
	same := 0 // behind
	for same < least-from && before[len(before)-1-same] == after[len(after)-1-same] {
		same++
	}
	return from, len(before) - same, after[from : len(after)-same]
}

// keepPolicies keeps what was read of some entries, unless these have changed.
func (x *Index) keepPolicies(namespace string, entries []*entry, all *NamespacePolicies, size int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if f := x.kinds[networkPolicyKind][namespace]; f != nil && sameEntries(f.sorted, entries) {
		f.policies, f.policiesOf = all, entries
		x.read.keep(f, size*len(entries))
	}
}

// readFolders are the folders whose NetworkPolicies have been read.
type readFolders struct {
	folders []*folder // in turn
	size    int       // of all of them
}

// keep counts what was read, and drops that of others that nobody has asked for in a whole turn. It needs the index's lock.
func (r *readFolders) keep(f *folder, size int) {
	if f.read == 0 {
		r.folders = append(r.folders, f)
	}
	r.size += size - f.read
	f.read = size
	for turn := 2 * len(r.folders); r.size > maxRead && turn > 0; turn-- {
		next := r.folders[0]
		if r.folders = r.folders[1:]; next == f || next.asked.Swap(false) {
			r.folders = append(r.folders, next)
			continue
		}
		r.size -= next.read
		next.unread()
	}
}

// drop is for a folder that is gone: nothing of it is kept. It needs the index's lock.
func (r *readFolders) drop(f *folder) {
	if f.read > 0 {
		r.size -= f.read
		r.folders = slices.DeleteFunc(r.folders, func(g *folder) bool { return g == f })
	}
}

// unread drops what was read of a folder's objects; the API server's form stays.
func (f *folder) unread() {
	f.read, f.policies, f.policiesOf = 0, nil, nil
	for _, e := range f.objects {
		if e.raw != nil {
			e.parsed.Store(nil)
			e.live.Store(nil)
		}
	}
}

// sameEntries tells whether two sorted lists of a folder are one.
func sameEntries(a, b []*entry) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// livePolicy is the entry as a NetworkPolicy.
func (e *entry) livePolicy() (*LivePolicy, error) {
	if known := e.live.Load(); known != nil {
		return known, nil
	}
	document, err := e.read()
	if err != nil {
		return nil, err
	}
	live, err := NewLivePolicy(document)
	if err != nil {
		return nil, fmt.Errorf("read %s from the state: %w", e.name, err)
	}
	live.read.Object = e.read
	e.live.Store(live)
	return live, nil
}
