package reservation

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/sluice-gate/sluice/policies/facts"
	"github.com/sluice-gate/sluice/policies/state"
)

// record is what the Lease of a replica holds.
type record struct {
	// Settled are the versions of Ingresses and NetworkPolicies by which a state shows what became of everything that this
	// record had once and has no more.
	Settled  versions `json:"settled"`
	Entries  []entry  `json:"entries,omitempty"`
	sequence int64    // of the write
}

type versions struct {
	Ingresses       uint64 `json:"ingresses,omitempty"`
	NetworkPolicies uint64 `json:"networkPolicies,omitempty"`
}

func (v versions) max(o versions) versions {
	return versions{max(v.Ingresses, o.Ingresses), max(v.NetworkPolicies, o.NetworkPolicies)}
}

// entry is a request that was admitted, or is about to be. One of both fields is set.
type entry struct {
	ID            string         `json:"id"`
	Hold          bool           `json:"hold,omitempty"`    // of a domain, in place of an Ingress, or of a namespace's NetworkPolicies
	Covered       bool           `json:"covered,omitempty"` // it came before all that are not: by a hold, or in an earlier one's place
	Ingress       *ingress       `json:"ingress,omitempty"`
	NetworkPolicy *networkPolicy `json:"networkPolicy,omitempty"`
}

func (e *entry) namespace() string {
	if e.Ingress != nil {
		return e.Ingress.Namespace
	}
	return e.NetworkPolicy.Namespace
}

// ingress is an Ingress that takes hosts.
type ingress struct {
	Namespace       string `json:"namespace"`
	Name            string `json:"name,omitempty"`
	UID             string `json:"uid,omitempty"`
	Generation      int64  `json:"generation,omitempty"`
	ResourceVersion string `json:"resourceVersion,omitempty"`
	Class           string `json:"class,omitempty"`
	Hosts           hosts  `json:"hosts"`
}

func newIngress(claim state.HostClaim) *ingress {
	identities := make([]facts.HostIdentity, len(claim.Hosts))
	for i, host := range claim.Hosts {
		identities[i] = host.Identity()
	}
	return &ingress{Namespace: claim.Namespace, Name: claim.Name, UID: string(claim.UID), Generation: claim.Generation,
		ResourceVersion: claim.ResourceVersion, Class: claim.Class, Hosts: sortedHosts(identities)}
}

func (e *ingress) claim() state.HostClaim {
	c := state.HostClaim{UID: types.UID(e.UID), Generation: e.Generation, ResourceVersion: e.ResourceVersion,
		HostClaims: facts.HostClaims{Namespace: e.Namespace, Name: e.Name, Class: e.Class}}
	for _, h := range e.Hosts {
		c.Hosts = append(c.Hosts, facts.Host{Host: h.Host, Via: h.Via})
	}
	return c
}

// sameHosts tells whether another entry is of an Ingress of the same name, for the same hosts.
func (e *ingress) sameHosts(o *ingress) bool {
	return o != nil && o.Namespace == e.Namespace && o.Name == e.Name && o.Class == e.Class && slices.Equal(o.Hosts, e.Hosts)
}

// networkPolicy is a change of a NetworkPolicy, see state.PolicyChange.
type networkPolicy struct {
	Namespace       string `json:"namespace"`
	Name            string `json:"name,omitempty"`
	UID             string `json:"uid,omitempty"`
	ResourceVersion string `json:"resourceVersion,omitempty"`
	SelectsAll      bool   `json:"selectsAll,omitempty"`
}

func newNetworkPolicy(of state.PolicyChange) *networkPolicy {
	return &networkPolicy{of.Namespace, of.Name, of.UID, of.ResourceVersion, of.SelectsAll}
}

func (e *networkPolicy) change() state.PolicyChange {
	return state.PolicyChange{Namespace: e.Namespace, Name: e.Name, UID: e.UID, ResourceVersion: e.ResourceVersion, SelectsAll: e.SelectsAll}
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
