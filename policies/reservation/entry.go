package reservation

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/sluice-gate/sluice/policies/facts"
	"github.com/sluice-gate/sluice/policies/state"
)

// maxShare bounds what a Lease holds for one namespace, in bytes: the owners of a namespace must not keep all others from
// a domain.
const maxShare = maxEntries / 4

// hostLeases are the Leases of domains.
func hostLeases() subject {
	return subject{what: "hosts", aboutAnnotation: "policy.sluice.dev/domain", entriesAnnotation: "policy.sluice.dev/hosts", about: domainName,
		tooMany: func(n int, key string) error {
			return fmt.Errorf("%d Ingresses were admitted below %s within a few minutes, more than can be reserved: try again later", n, domainName(key))
		}}
}

func domainName(key string) string {
	if key == wideKey {
		return "every domain"
	}
	return "." + key
}

// entry is one Ingress that was admitted.
type entry struct {
	ID         string    `json:"id"`
	Namespace  string    `json:"namespace"`
	Name       string    `json:"name,omitempty"`
	UID        string    `json:"uid,omitempty"`
	Generation int64     `json:"generation,omitempty"`
	Class      string    `json:"class,omitempty"`
	Hosts      hosts     `json:"hosts"`
	Expires    time.Time `json:"expires"`
}

func (e entry) until() time.Time { return e.Expires }
func (e entry) holder() string   { return e.Namespace + "/" + e.Name }

func (e *entry) claim() state.HostClaim {
	c := state.HostClaim{UID: types.UID(e.UID), Generation: e.Generation,
		HostClaims: facts.HostClaims{Namespace: e.Namespace, Name: e.Name, Class: e.Class}}
	for _, h := range e.Hosts {
		c.Hosts = append(c.Hosts, facts.Host{Host: h.Host, Via: h.Via})
	}
	return c
}

func (e *entry) overlaps(patterns []facts.HostPattern) bool {
	return slices.ContainsFunc(e.Hosts, func(mine facts.HostIdentity) bool { return slices.ContainsFunc(patterns, mine.Pattern().Overlaps) })
}

// merge adds an entry, in the place of one that the same Ingress has for the same hosts. Two creates of one name have
// different uids, and either may be stored: their entry has none, so that it lasts until it expires. What became of the
// first may be settled, such as by its deletion.
func merge(entries []entry, e entry, settled func(entry) bool) ([]entry, *entry) {
	for i, o := range entries {
		if o.Namespace != e.Namespace || o.Name != e.Name || o.Class != e.Class || !slices.Equal(o.Hosts, e.Hosts) {
			continue
		}
		if e.Generation = max(e.Generation, o.Generation); e.UID != o.UID && !settled(o) {
			e.UID = ""
		}
		if o.Expires.After(e.Expires) {
			e.Expires = o.Expires
		}
		entries[i] = e
		return entries, &o
	}
	return append(entries, e), nil
}

// checkShare tells whether a namespace has more in the Lease of a key than its share.
func checkShare(entries []entry, namespace, key string) error {
	mine := slices.DeleteFunc(slices.Clone(entries), func(e entry) bool { return e.Namespace != namespace })
	text, err := json.Marshal(mine)
	switch {
	case err != nil:
		return fmt.Errorf("write reservations: %w", err)
	case len(text) <= maxShare:
		return nil
	case len(mine) == 1:
		return fmt.Errorf("the Ingress takes %d hosts below %s at once, more than can be reserved: add them in several steps", len(mine[0].Hosts), domainName(key))
	}
	return fmt.Errorf("%d Ingresses of namespace %s were admitted below %s within a few minutes, more than can be reserved: try again later", len(mine), namespace, domainName(key))
}

// hosts are sorted. They are written by how they are named, {"rule": ["shop.example.com"]}: there may be thousands.
type hosts []facts.HostIdentity

func sortedHosts(of []facts.HostIdentity) hosts {
	return slices.SortedFunc(slices.Values(of), func(a, b facts.HostIdentity) int {
		return cmp.Or(cmp.Compare(a.Via, b.Via), cmp.Compare(a.Host, b.Host))
	})
}

// MarshalJSON implements json.Marshaler.
func (h hosts) MarshalJSON() ([]byte, error) {
	named := map[string][]string{}
	for _, each := range h {
		named[each.Via] = append(named[each.Via], each.Host)
	}
	return json.Marshal(named)
}

// UnmarshalJSON implements json.Unmarshaler.
func (h *hosts) UnmarshalJSON(data []byte) error {
	var named map[string][]string
	if err := json.Unmarshal(data, &named); err != nil {
		return fmt.Errorf("read hosts: %w", err)
	}
	*h = nil
	for _, via := range slices.Sorted(maps.Keys(named)) {
		for _, host := range named[via] {
			*h = append(*h, facts.HostIdentity{Host: host, Via: via})
		}
	}
	return nil
}
