package reservation

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-gate/sluice/policies/facts"
	"github.com/sluice-gate/sluice/policies/state"
)

// Bounds of a journal, in bytes. An API server takes 256 KiB of annotations, and the owners of one namespace must not keep all
// others out.
const (
	maxEntries = 200 << 10
	maxShare   = maxEntries / 4 // of one namespace
)

// fewEntries are looked through in no time. Of more, those that are over are dropped before the next is added, and not only with
// the next write, which may be seconds away where a hold covers what is admitted.
const fewEntries = 64

// Journal is what this replica admits and what others do. It has to be started.
type Journal struct {
	Options
	now    func() time.Time // monotonic
	writer writer
	wake   chan struct{} // there is something to write
	wanted chan domain   // to be held
	synced chan struct{} // closed once the journals of others are known

	refreshing atomic.Bool

	mu       sync.Mutex
	own      []*own              // in the order in which they came
	most     int                 // of own, before it is pruned
	sequence int64               // of the last write
	back     int64               // the last write that came back
	began    map[int64]time.Time // the writes that have not come back
	settled  versions
	changed  bool // it has to be written, even without something new
	others   map[string]*other
	arrivals int64 // counts the entries of others

	demands   map[domain]*demand
	holdAfter int // requests
	left      bool
}

// held is an entry as this replica sees it.
type held struct {
	entry
	patterns []facts.HostPattern // of an Ingress
	expires  time.Time
	arrived  int64 // of another replica: which one it was
}

func newHeld(e entry, expires time.Time) held {
	h := held{entry: e, expires: expires}
	if e.Ingress != nil {
		h.patterns = e.Ingress.Hosts.patterns()
	}
	return h
}

// own is an entry of this replica.
type own struct {
	held
	size     int
	sequence int64  // of the first write that has it; 0 before
	repeated []*own // what it takes the place of once it is admitted
	used     bool   // of a hold: since it was written

	// look sees what came before, once. After that seen is closed.
	look   func(mine *held, before iter.Seq[*held])
	seen   chan struct{}
	err    error
	behind versions // what the state has to show before it decides

	// Where a hold of another replica has to go first: that, and how many entries of others had arrived when the write came back.
	obstacle *held
	before   int64
}

// NewJournal makes a Journal.
func NewJournal(o Options) (*Journal, error) {
	if o.Client == nil || o.Namespace == "" || o.State == nil || o.Life < 0 {
		return nil, errors.New("new journal: Client, Namespace and State are required, and Life is not negative")
	}
	if o.Life == 0 {
		o.Life = DefaultLife
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	name := "sluice-reservations-" + strings.ToLower(rand.Text()[:10])
	return &Journal{Options: o, now: time.Now, writer: writer{name: name}, wake: make(chan struct{}, 1), wanted: make(chan domain, maxHolds),
		synced: make(chan struct{}), others: map[string]*other{}, began: map[int64]time.Time{}, demands: map[domain]*demand{}, holdAfter: manyRequests}, nil
}

// lateAfter is when a write that hasn't come back by the watch is asked for.
const lateAfter = 500 * time.Millisecond

// admit writes an entry and has look see all entries that came before it and last. Then keep or remove it. An entry that is
// covered by a hold is admitted at once, without a look.
func (j *Journal) admit(ctx context.Context, e entry, look func(mine *held, before iter.Seq[*held])) (*own, error) {
	if err := j.awaitSync(ctx); err != nil {
		return nil, err
	}
	e.ID = rand.Text()
	life := j.Life
	if e.Hold {
		life = holdTime
	}
	mine := &own{held: newHeld(e, j.now().Add(life)), look: look, seen: make(chan struct{})}
	if err := j.append(mine); err != nil {
		return nil, err
	}
	if mine.Covered {
		return mine, nil
	}
	late := time.NewTicker(lateAfter)
	defer late.Stop()
	for waiting := true; waiting; {
		select {
		case <-mine.seen:
			waiting = false
		case <-late.C:
			j.refreshOnce(ctx)
		case <-ctx.Done():
			j.remove(mine)
			return nil, fmt.Errorf("reserve: %s: %w", j.waitsFor(mine), ctx.Err())
		}
	}
	err := mine.err
	if err == nil {
		err = j.catchUp(ctx, mine)
	}
	if err != nil {
		j.remove(mine)
		return nil, fmt.Errorf("reserve: %w", err)
	}
	return mine, nil
}

func (j *Journal) awaitSync(ctx context.Context) error {
	select {
	case <-j.synced:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("reserve: the reservations of other replicas are not known yet: %w", ctx.Err())
	}
}

// append adds an entry to what is to be written.
func (j *Journal) append(mine *own) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.own) >= j.most {
		j.prune()
		j.most = max(fewEntries, 2*len(j.own))
	}
	for _, o := range j.own {
		if mine.repeats(o) {
			mine.repeated = append(mine.repeated, o)
			mine.follow(o, j.State)
		}
	}
	switch {
	case mine.Hold && j.left:
		return errGivenUp
	case mine.Hold:
	case mine.Ingress != nil:
		mine.Covered = j.cover(mine)
		j.yield(&mine.held)
	case mine.Covered && !j.cover(mine):
		return errNotHeld
	case !mine.Covered:
		j.yield(&mine.held)
	}
	if !mine.Covered {
		if hold := j.obstacle(mine); hold != nil && j.isQuiet(hold) {
			return fmt.Errorf("reserve: %s", j.doesNotAnswer(hold)) // without a write, for whose end others would wait
		}
	}
	text, err := json.Marshal(mine.entry)
	if err != nil {
		return fmt.Errorf("reserve: %w", err)
	}
	mine.size = len(text)
	if err := j.checkRoom(mine); err != nil {
		if j.prune(); j.checkRoom(mine) != nil {
			return err
		}
	}
	j.own = append(j.own, mine)
	if mine.Covered {
		mine.look = nil
	} else {
		j.signal()
	}
	return nil
}

// repeats tells whether an entry is about the same as an earlier one.
func (o *own) repeats(before *own) bool {
	if o.Hold || before.Hold {
		return false
	}
	if o.Ingress != nil {
		return o.Ingress.sameHosts(before.Ingress)
	}
	return before.NetworkPolicy != nil && *o.NetworkPolicy == *before.NetworkPolicy
}

// follow makes an entry last for one that it repeats. Two creates of one name have different uids, and either may be stored:
// their entry has none, so that it lasts until it expires. What became of the first may be settled, such as by its deletion.
func (o *own) follow(before *own, known State) {
	if o.Ingress == nil {
		return
	}
	o.Ingress.Generation = max(o.Ingress.Generation, before.Ingress.Generation)
	if state.ParseVersion(before.Ingress.ResourceVersion) > state.ParseVersion(o.Ingress.ResourceVersion) {
		o.Ingress.ResourceVersion = before.Ingress.ResourceVersion
	}
	if o.Ingress.UID != before.Ingress.UID && !known.HostsSettled(before.Ingress.claim()) {
		o.Ingress.UID = ""
	}
}

// checkRoom tells whether there is room for an entry.
func (j *Journal) checkRoom(mine *own) error {
	if mine.size > maxShare {
		return fmt.Errorf("the Ingress takes %d hosts at once, more than can be reserved: add them in several steps", len(mine.Ingress.Hosts))
	}
	namespace := mine.namespace()
	if n, size := j.has(func(o *own) bool { return o.namespace() == namespace }); size+mine.size > maxShare {
		return fmt.Errorf("%d changes of namespace %s were admitted and have not been seen yet, more than can be reserved: try again later", n, namespace)
	}
	if n, size := j.has(func(*own) bool { return true }); size+mine.size > maxEntries {
		return fmt.Errorf("%d changes were admitted and have not been seen yet, more than can be reserved: try again later", n)
	}
	return nil
}

// has counts entries, which may be over by now.
func (j *Journal) has(which func(*own) bool) (n, size int) {
	for _, o := range j.own {
		if which(o) {
			n, size = n+1, size+o.size
		}
	}
	return n, size
}

// signal has the journal written.
func (j *Journal) signal() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// keep ends the admission of an entry, which lasts until the state shows what became of it.
func (j *Journal) keep(mine *own) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, o := range mine.repeated {
		if o.look == nil && j.drop(o) { // else it is waited for
			mine.Covered = true // with its place in the order
		}
	}
	mine.repeated = nil
}

// remove takes an entry back.
func (j *Journal) remove(mine *own) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.drop(mine) && mine.sequence > 0 {
		j.signal()
	}
}

// drop needs the lock.
func (j *Journal) drop(o *own) bool {
	at := slices.Index(j.own, o)
	if at < 0 {
		return false
	}
	j.own = slices.Delete(j.own, at, at+1)
	j.changed = j.changed || o.sequence > 0
	return true
}

func (h hosts) patterns() []facts.HostPattern {
	out := make([]facts.HostPattern, len(h))
	for i, identity := range h {
		out[i] = identity.Pattern()
	}
	return out
}
