// Package reservation decides between requests that are admitted at the same moment on several replicas, where no
// state that one of them has can show the other.
//
// Each replica writes what it is about to admit into a Lease of its own, its journal, and watches the journals of all.
// An API server orders all writes of Leases. When a replica sees its own write come back, it has seen everything that was
// written before: the request is refused if something of that is in its way, and else admitted. So of two requests
// that exclude each other, the one that was written first is admitted, whichever replicas have them. What is asked while a
// write is under way goes into the next one, all together. Only what a replica holds, see holds.go, is admitted before it is
// written.
//
// An entry leaves the journal when the replica's state shows what became of it. Another replica, whose state may lag, is
// told by which version of the API server's data that was, and waits for it before it decides.
package reservation

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sluice-gate/sluice/policies/facts"
	"github.com/sluice-gate/sluice/policies/state"
)

// DefaultLife is how long a reservation lasts of which nothing is seen any more: twice the 60 seconds that an API server gives
// a request (--request-timeout), and some for watches that lag. It is counted from when a replica first sees it, so that no
// two clocks are compared.
const DefaultLife = 150 * time.Second

// State is what this replica knows of the cluster.
type State interface {
	// ClaimHosts takes hosts within this replica, see state.Index.
	ClaimHosts(claim state.HostClaim, expires time.Time) (conflicts []facts.HostConflict, release func(), err error)
	// NoteHosts makes a claim of another replica known.
	NoteHosts(claim state.HostClaim, expires time.Time)
	// HostsSettled tells whether the state shows what became of a claim, and HostsShown whether it shows that or the claim.
	HostsSettled(claim state.HostClaim) bool
	HostsShown(claim state.HostClaim) bool
	// HostsFree tells whether no Ingress of another namespace is known to have one of the hosts.
	HostsFree(claims facts.HostClaims) (bool, error)
	// KnownPolicies are the NetworkPolicies of a namespace by this state, and LivePolicies those that the API server has.
	KnownPolicies(namespace string) (*state.NamespacePolicies, error)
	LivePolicies(ctx context.Context, namespace string) (*state.NamespacePolicies, error)
	// PolicyChanged tells whether the state shows what became of a change.
	PolicyChanged(of state.PolicyChange) bool
	// Version is the API server's version up to which the state has everything of a kind, and AwaitVersion waits for it.
	Version(kind schema.GroupKind) uint64
	AwaitVersion(ctx context.Context, kind schema.GroupKind, version uint64) error
}

// The kinds that are reserved for.
var (
	ingressKind       = schema.GroupKind{Group: "networking.k8s.io", Kind: "Ingress"}
	networkPolicyKind = schema.GroupKind{Group: "networking.k8s.io", Kind: "NetworkPolicy"}
)

// Options are what a Journal is made of.
type Options struct {
	// Client reads, writes and watches Leases. It must not read from a cache.
	Client    client.WithWatch
	Namespace string // Sluice's own
	Replica   string // for people: who this is
	State     State
	Life      time.Duration // DefaultLife if 0
	// Now is the State's clock; time.Now if nil.
	Now func() time.Time
}
