package state

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/facts"
)

// hostIndex finds Ingresses by host. Above what is stored lies what was admitted and isn't known to be stored
// yet: the overlay. It is safe for concurrent use.
type hostIndex struct {
	now func() time.Time

	mu      sync.RWMutex
	tree    hostTree
	stored  map[types.NamespacedName]*holder
	pending map[types.NamespacedName][]*holder
	waiting map[string]waiting      // what each namespace has of the overlay
	queue   []*holder               // the overlay, in the order in which it expires
	gone    map[types.UID]time.Time // of Ingresses whose deletion was observed, and when to forget it
	tidy    time.Time               // when gone is next looked through
	broken  map[types.NamespacedName]error
}

// holder is an Ingress with its hosts.
type holder struct {
	name       types.NamespacedName
	class      string
	uid        types.UID
	generation int64
	version    uint64 // of what is stored; of the overlay, what is to be changed, or 0
	claims     []*claim
	expires    time.Time // of the overlay; zero for what is stored
	err        error     // why the hosts are not known
}

func newHostIndex(now func() time.Time) *hostIndex {
	return &hostIndex{now: now, stored: map[types.NamespacedName]*holder{}, pending: map[types.NamespacedName][]*holder{},
		waiting: map[string]waiting{}, gone: map[types.UID]time.Time{}, broken: map[types.NamespacedName]error{}}
}

// storedIngress reads what the index keeps of an Ingress. It shares no memory with the object.
func storedIngress(namespace, name string, object engine.Document) *holder {
	metadata := object.Get("metadata")
	h := &holder{name: types.NamespacedName{Namespace: strings.Clone(namespace), Name: strings.Clone(name)},
		uid: types.UID(strings.Clone(metadata.Get("uid").Text()))}
	claims, err := engine.ServedHosts(object)
	if err != nil {
		h.err = fmt.Errorf("which hosts the Ingress %s serves is unknown: %w", h.name, err)
		return h
	}
	h.generation, h.version = metadata.Get("generation").Int(), ParseVersion(metadata.Get("resourceVersion").Text())
	h.class = strings.Clone(claims.Class)
	h.add(claims.Hosts)
	return h
}

func (h *holder) add(hosts []facts.Host) {
	h.claims = make([]*claim, len(hosts))
	for i, host := range hosts {
		host.Host = strings.Clone(host.Host)
		h.claims[i] = &claim{holder: h, pattern: host.Pattern(), host: host.Identity()}
	}
}

// put replaces what is stored of an Ingress, and takes what that settles off the overlay.
func (x *hostIndex) put(h *holder) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.detach(x.stored[h.name])
	x.stored[h.name] = h
	delete(x.gone, h.uid) // an API server that knew less has not shown it
	if delete(x.broken, h.name); h.err != nil {
		x.broken[h.name] = h.err
	}
	for _, c := range h.claims {
		x.tree.add(c)
	}
	for _, claimed := range slices.Clone(x.pending[h.name]) {
		if h.settles(claimed) {
			x.drop(claimed)
		}
	}
}

// settles tells whether what is stored decides what became of a change that was admitted: it shows it, or it
// is newer.
func (h *holder) settles(claimed *holder) bool {
	if claimed.uid == "" || claimed.uid != h.uid {
		return false // of an Ingress that was deleted, or is yet to be stored
	}
	newer := claimed.version == 0 || h.version > claimed.version
	return h.generation > claimed.generation || h.generation == claimed.generation && newer && h.covers(claimed)
}

// covers tells whether h has every host of another holder, in the same class.
func (h *holder) covers(o *holder) bool {
	return h.class == o.class && !slices.ContainsFunc(o.claims, func(c *claim) bool {
		return !slices.ContainsFunc(h.claims, func(mine *claim) bool { return mine.host == c.host })
	})
}

func (x *hostIndex) detach(h *holder) {
	if h == nil {
		return
	}
	for _, c := range h.claims {
		x.tree.remove(c)
	}
}

// remove forgets an Ingress that was deleted, and what was admitted of it.
func (x *hostIndex) remove(namespace, name string) {
	key := types.NamespacedName{Namespace: namespace, Name: name}
	x.mu.Lock()
	defer x.mu.Unlock()
	h := x.stored[key]
	if h == nil {
		return
	}
	x.detach(h)
	delete(x.stored, key)
	delete(x.broken, key)
	if h.uid == "" {
		return
	}
	x.bury(h.uid)
	for _, claimed := range slices.Clone(x.pending[key]) {
		if claimed.uid == h.uid {
			x.drop(claimed)
		}
	}
}

// forget empties the index but for the overlay.
func (x *hostIndex) forget() {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, h := range x.stored {
		x.detach(h)
	}
	clear(x.stored)
	clear(x.broken)
}

// conflicts implements engine.HostIndex.
func (x *hostIndex) conflicts(of facts.HostClaims, controller func(class string) (string, error)) ([]facts.HostConflict, error) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.find(of, controller)
}

// find needs the lock.
func (x *hostIndex) find(of facts.HostClaims, controller func(class string) (string, error)) ([]facts.HostConflict, error) {
	if len(x.broken) > 0 {
		return nil, slices.MinFunc(slices.Collect(maps.Values(x.broken)), func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
	}
	var out []facts.HostConflict
	q := query{of: of, controller: controller, known: map[string]bool{}, now: x.now()}
	q.search.visit = q.consider
	for _, host := range of.Hosts {
		q.pattern, q.first, q.others = host.Pattern(), nil, nil
		if err := q.search.find(&x.tree, q.pattern); err != nil {
			return nil, err
		}
		if q.err != nil {
			return nil, q.err
		}
		if q.first != nil {
			out = append(out, facts.HostConflict{Host: host.Host, Field: host.Field, Via: host.Via,
				Other: q.first.show(), More: len(q.others) - 1})
		}
	}
	return out, nil
}

// query is the search for the conflicts of one Ingress.
type query struct {
	of         facts.HostClaims
	controller func(class string) (string, error)
	known      map[string]bool // whether a class's controller reads server-alias
	now        time.Time
	search     search

	pattern facts.HostPattern
	first   *claim
	others  map[types.NamespacedName]bool
	err     error
}

// consider looks at a claim that may be in conflict with the pattern.
func (q *query) consider(c *claim) {
	h := c.holder
	if q.err != nil || h.name.Namespace == q.of.Namespace || !facts.SharesClass(h.class, q.of.Class) ||
		!h.expires.IsZero() && !q.now.Before(h.expires) {
		return
	}
	if c.pattern.IsRegexp() || q.pattern.IsRegexp() {
		q.search.visits += regexpVisits
	}
	if !c.pattern.Overlaps(q.pattern) || c.host.Via == facts.ViaAlias && !q.readsAliases(h.class) {
		return
	}
	if q.others == nil {
		q.others = map[types.NamespacedName]bool{}
	}
	q.others[h.name] = true
	if q.first == nil || c.compare(q.first) < 0 {
		q.first = c
	}
}

// readsAliases tells whether names in server-alias are hosts in a class.
func (q *query) readsAliases(class string) bool {
	reads, known := q.known[class]
	if !known {
		controller, err := q.controller(class)
		reads = controller == facts.ControllerNginx || controller == facts.ControllerUnknown
		q.known[class], q.err = reads, err
	}
	return reads
}

func (c *claim) compare(o *claim) int {
	return cmp.Or(cmp.Compare(c.holder.name.Namespace, o.holder.name.Namespace), cmp.Compare(c.holder.name.Name, o.holder.name.Name),
		cmp.Compare(c.host.Host, o.host.Host), cmp.Compare(c.host.Via, o.host.Via))
}

func (c *claim) show() facts.Holder {
	return facts.Holder{Namespace: c.holder.name.Namespace, Name: c.holder.name.Name, Class: c.holder.class,
		Host: c.host.Host, Via: c.host.Via, Pending: !c.holder.expires.IsZero()}
}
