// Package reservation decides between requests that are admitted at the same moment on several replicas, where no
// state that one of them has can show the other. Whoever writes a host's Lease first has the host.
//
// A host is written into the Lease of its domain, the name without its first label: whatever overlaps there is
// serialised by that one object. What reaches over many domains (a rule without host, a wildcard in server-alias, an
// Ingress with hosts in very many) is written into one Lease more. Each side writes first and then reads the other's,
// so that at least one of them sees the other; both may lose, never win.
package reservation

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sluice-gate/sluice/policies/facts"
	"github.com/sluice-gate/sluice/policies/state"
)

// DefaultLife is how long a reservation lasts: twice the 60 seconds that an API server gives a request
// (--request-timeout), and some for clocks that differ and watches that lag.
const DefaultLife = 150 * time.Second

// Hosts is the state of this replica.
type Hosts interface {
	// ClaimHosts takes hosts within this replica, see state.Index.
	ClaimHosts(claim state.HostClaim, expires time.Time) (conflicts []facts.HostConflict, release func(), err error)
	// NoteHosts makes a claim of another replica known.
	NoteHosts(claim state.HostClaim, expires time.Time)
	// HostsSettled tells whether the state shows what became of a claim.
	HostsSettled(claim state.HostClaim) bool
}

// Options are what a Claimer is made of.
type Options struct {
	// Client reads and writes Leases. It must not read from a cache.
	Client    client.Client
	Namespace string // Sluice's own
	Hosts     Hosts
	Life      time.Duration // DefaultLife if 0
	// Now is a clock on which all replicas agree to within some seconds, and which Hosts goes by; time.Now if nil.
	Now func() time.Time
}

// Claimer takes reservations. It is safe for concurrent use.
type Claimer struct {
	leases leases[entry]
	hosts  Hosts
	life   time.Duration
	now    func() time.Time
}

// New makes a Claimer.
func New(o Options) (*Claimer, error) {
	if o.Client == nil || o.Namespace == "" || o.Hosts == nil || o.Life < 0 {
		return nil, errors.New("new claimer: Client, Namespace and Hosts are required, and Life is not negative")
	}
	if o.Life == 0 {
		o.Life = DefaultLife
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Claimer{leases: newLeases[entry](hostLeases(), o.Client, o.Namespace), hosts: o.Hosts, life: o.Life, now: o.Now}, nil
}

// maxKeys bounds the Leases of one Ingress, and so how long its review waits for the API server. With hosts in more
// domains it takes the Lease of what reaches over many. Only hosts that it didn't have before count.
const maxKeys = 64

// Claim takes the hosts of an Ingress that every rule admits, in this replica and then in all. It is false if
// another Ingress has one of them, which the state then shows. After false, and after an error, nothing is kept.
func (c *Claimer) Claim(ctx context.Context, claim state.HostClaim) (bool, error) {
	expires := c.now().Add(c.life)
	conflicts, release, err := c.hosts.ClaimHosts(claim, expires)
	if err != nil || len(conflicts) > 0 {
		return false, err
	}
	t := &taking{Claimer: c, claim: claim, expires: expires}
	for _, host := range claim.Hosts {
		t.patterns = append(t.patterns, host.Pattern())
	}
	free, err := t.take(ctx)
	if err == nil && free {
		free, err = t.stillFree()
	}
	if err != nil || !free {
		release()
		t.giveBack(ctx)
	}
	return free, err
}

// taking is one claim on its way.
type taking struct {
	*Claimer
	claim    state.HostClaim
	patterns []facts.HostPattern // of its hosts
	expires  time.Time
	taken    []taken
}

// taken is an entry in a Lease.
type taken struct {
	key   string
	entry entry
	// before is what the same holder had there for the same hosts.
	before *entry
}

// wideKey is the key of what reaches over many domains. No domain is called so.
const wideKey = "*"

func (t *taking) take(ctx context.Context) (bool, error) {
	byKey := t.keys()
	for _, key := range slices.Sorted(maps.Keys(byKey)) {
		e := t.entry(byKey[key])
		t.taken = append(t.taken, taken{key: key, entry: e}) // whatever becomes of the request, it is to be given back
		err := t.leases.change(ctx, key, t.now, func(entries []entry) ([]entry, error) {
			if other := t.other(entries); other != nil {
				return nil, &heldError{*other}
			}
			entries, t.taken[len(t.taken)-1].before = merge(entries, e, func(o entry) bool { return t.hosts.HostsSettled(o.claim()) })
			return entries, checkShare(entries, e.Namespace, key)
		})
		if free, err := t.judge(err); err != nil || !free {
			return free, err
		}
	}
	return t.crossCheck(ctx, len(byKey[wideKey]) > 0)
}

// keys are the hosts of the claim by the key of their Lease.
func (t *taking) keys() map[string][]facts.HostIdentity {
	all := make([]facts.HostIdentity, len(t.claim.Hosts))
	byKey := map[string][]facts.HostIdentity{}
	for i, host := range t.claim.Hosts {
		all[i] = host.Identity()
		key := wideKey
		if domain, one := t.patterns[i].Parent(); one {
			key = domain
		}
		byKey[key] = append(byKey[key], all[i])
	}
	if len(byKey) > maxKeys {
		return map[string][]facts.HostIdentity{wideKey: all}
	}
	return byKey
}

// crossCheck reads what the Leases that were written don't serialise: names look at the patterns that reach
// over many domains, and those at everything.
func (t *taking) crossCheck(ctx context.Context, wide bool) (bool, error) {
	read := func() ([]entry, error) { return t.leases.read(ctx, wideKey, t.now()) }
	if wide {
		read = func() ([]entry, error) { return t.leases.all(ctx, t.now()) }
	}
	entries, err := read()
	if err != nil {
		return false, err
	}
	if other := t.other(entries); other != nil {
		return t.judge(&heldError{*other})
	}
	return true, nil
}

// judge tells a host that is taken from a failure.
func (t *taking) judge(err error) (bool, error) {
	var held *heldError
	if errors.As(err, &held) {
		t.hosts.NoteHosts(held.by.claim(), held.by.Expires)
		return false, nil
	}
	return err == nil, err
}

// heldError is an entry that is in the way.
type heldError struct{ by entry }

// Error implements error.
func (e *heldError) Error() string {
	return fmt.Sprintf("the Ingress %s/%s has the host", e.by.Namespace, e.by.Name)
}

func (t *taking) entry(hosts []facts.HostIdentity) entry {
	return entry{ID: rand.Text(), Namespace: t.claim.Namespace, Name: t.claim.Name, Class: t.claim.Class,
		UID: string(t.claim.UID), Generation: t.claim.Generation, Hosts: sortedHosts(hosts), Expires: t.expires.UTC().Truncate(time.Millisecond)}
}

// other is an entry that has a host of the claim; nil if there is none.
func (t *taking) other(entries []entry) *entry {
	for i := range entries {
		e := &entries[i]
		if e.Namespace != t.claim.Namespace && facts.SharesClass(e.Class, t.claim.Class) && !t.hosts.HostsSettled(e.claim()) && e.overlaps(t.patterns) {
			return e
		}
	}
	return nil
}

// stillFree looks at the state again: a reservation counts as settled once the state shows what became of it, and
// the state may have learned since the first look that its holder is stored.
func (t *taking) stillFree() (bool, error) {
	conflicts, _, err := t.hosts.ClaimHosts(t.claim, t.expires) // which was taken, and so is renewed
	return err == nil && len(conflicts) == 0, err
}

// giveBackTime bounds how long a refused request waits for its reservations to be given back. What isn't
// expires.
const giveBackTime = 2 * time.Second

func (t *taking) giveBack(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveBackTime)
	defer cancel()
	for _, each := range slices.Backward(t.taken) {
		_ = t.leases.change(ctx, each.key, t.now, func(entries []entry) ([]entry, error) {
			at := slices.IndexFunc(entries, func(e entry) bool { return e.ID == each.entry.ID })
			switch {
			case at < 0:
				return nil, errUnchanged
			case each.before != nil:
				entries[at] = *each.before
				return entries, nil
			}
			return slices.Delete(entries, at, at+1), nil
		})
	}
}
