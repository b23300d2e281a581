package reservation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sluice-gate/sluice/policies/state"
)

// LivePolicies reads NetworkPolicies from the API server itself.
type LivePolicies interface {
	LivePolicies(ctx context.Context, namespace string) ([]state.LivePolicy, error)
}

// IsolationOptions are what an Isolation is made of.
type IsolationOptions struct {
	// Client reads and writes Leases. It must not read from a cache.
	Client    client.Client
	Namespace string // Sluice's own
	Policies  LivePolicies
	Life      time.Duration // DefaultLife if 0
	// Now is a clock on which all replicas agree to within some seconds; time.Now if nil.
	Now func() time.Time
}

// Isolation decides between changes of NetworkPolicies that are each fine while the other policy stays. It keeps one
// Lease for each namespace with the changes that were admitted, and judges each by what the API server has: whoever
// writes the Lease second has seen the first. A Claimer's Start deletes what has expired. It is safe for concurrent use.
type Isolation struct {
	leases leases[change]
	live   LivePolicies
	life   time.Duration
	now    func() time.Time
}

// NewIsolation makes an Isolation.
func NewIsolation(o IsolationOptions) (*Isolation, error) {
	if o.Client == nil || o.Namespace == "" || o.Policies == nil || o.Life < 0 {
		return nil, errors.New("new isolation: Client, Namespace and Policies are required, and Life is not negative")
	}
	if o.Life == 0 {
		o.Life = DefaultLife
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	about := func(namespace string) string { return namespace }
	of := subject{what: "isolation", aboutAnnotation: "policy.sluice.dev/namespace", entriesAnnotation: "policy.sluice.dev/networkpolicies", about: about,
		tooMany: func(n int, namespace string) error {
			return fmt.Errorf("%d NetworkPolicies of namespace %s are being changed, more than can be reserved: try again later", n, namespace)
		}}
	return &Isolation{leases: newLeases[change](of, o.Client, o.Namespace), live: o.Policies, life: o.Life, now: o.Now}, nil
}

// change is a state.PolicyChange that was admitted.
type change struct {
	Namespace       string    `json:"namespace"`
	Name            string    `json:"name"`
	UID             string    `json:"uid"`
	ResourceVersion string    `json:"resourceVersion"`
	Expires         time.Time `json:"expires"`
}

func (c change) until() time.Time { return c.Expires }
func (c change) holder() string   { return c.Namespace + "/" + c.Name }

// pending tells whether the change may still come: while the policy is the one that admission saw. Of any other
// version the API server would have asked again.
func (c change) pending(p state.LivePolicy) bool {
	return c.Name == p.Name && c.UID == p.UID && c.ResourceVersion == p.ResourceVersion
}

// errNotAdmitted ends a claim that was judged and is not to be written.
var errNotAdmitted = errors.New("not admitted")

// Claim implements policies.IsolationClaimer.
func (c *Isolation) Claim(ctx context.Context, of state.PolicyChange, judge func(state.Remaining) bool) error {
	err := c.leases.change(ctx, of.Namespace, c.now, func(entries []change) ([]change, error) {
		// Read after the Lease: what another was admitted to change is in the Lease, or has changed.
		policies, err := c.live.LivePolicies(ctx, of.Namespace)
		if err != nil {
			return nil, err
		}
		if !judge(remaining(of, policies, entries)) {
			return nil, errNotAdmitted
		}
		mine := change{of.Namespace, of.Name, of.UID, of.ResourceVersion, c.now().Add(c.life).UTC().Truncate(time.Millisecond)}
		entries = slices.DeleteFunc(entries, func(e change) bool {
			return e.Name == of.Name && e.UID == of.UID && e.ResourceVersion == of.ResourceVersion || !slices.ContainsFunc(policies, e.pending)
		})
		return append(entries, mine), nil
	})
	if errors.Is(err, errNotAdmitted) {
		return nil
	}
	return err
}

// Remaining implements policies.IsolationClaimer.
func (c *Isolation) Remaining(ctx context.Context, of state.PolicyChange) (state.Remaining, error) {
	entries, err := c.leases.read(ctx, of.Namespace, c.now())
	if err != nil {
		return state.Remaining{}, err
	}
	policies, err := c.live.LivePolicies(ctx, of.Namespace)
	if err != nil {
		return state.Remaining{}, err
	}
	return remaining(of, policies, entries), nil
}

// remaining leaves out the policies that others are changing.
func remaining(of state.PolicyChange, policies []state.LivePolicy, entries []change) state.Remaining {
	return state.NewRemaining(policies, func(p state.LivePolicy) bool {
		return p.Name != of.Name && slices.ContainsFunc(entries, func(e change) bool { return e.pending(p) })
	})
}
