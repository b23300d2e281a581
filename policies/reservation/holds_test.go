package reservation

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/sluice-gate/sluice/policies/facts"
	"github.com/sluice-gate/sluice/policies/state"
)

// numbered is a claim of an Ingress of its own.
func numbered(namespace string, n int, host string) state.HostClaim {
	c := claimOf(namespace, "nginx", host)
	c.Name = fmt.Sprint("web-", n)
	c.UID = types.UID(fmt.Sprint("uid-", namespace, "-", n))
	return c
}

// awaitHolds returns once the replica relies on so many holds, and has asked for no more.
func (r replica) awaitHolds(t *testing.T, want int) {
	t.Helper()
	r.await(t, fmt.Sprintf("relies on %d holds", want), 20*time.Second, func() bool {
		n := 0
		for _, known := range r.demands {
			if known.asked {
				return false
			}
			if known.hold != nil && slices.Contains(r.own, known.hold) {
				n++
			}
		}
		return n == want
	})
}

// holdExample has namespace a hold example.com on this replica.
func (r replica) holdExample(t *testing.T) {
	t.Helper()
	r.holdExampleFor(t, "a")
}

func (r replica) holdExampleFor(t *testing.T, namespace string) {
	t.Helper()
	for i := range manyRequests {
		r.must(t, true, numbered(namespace, i, fmt.Sprintf("%s-%d-%s.example.com", namespace, i, r.writer.name[20:])))
	}
	r.awaitHolds(t, 1)
}

// mustCover asks for a host that is free, and checks whether it was given without waiting for a write.
func (r replica) mustCover(t *testing.T, want bool, claim state.HostClaim) {
	t.Helper()
	r.must(t, true, claim)
	r.mu.Lock()
	defer r.mu.Unlock()
	at := slices.IndexFunc(r.own, func(o *own) bool { return o.Ingress.sameHosts(newIngress(claim)) })
	if at < 0 {
		t.Fatalf("%s is not in the journal", claim.Name)
	}
	if r.own[at].Covered != want {
		t.Errorf("%v: covered %v, want %v", claim.Hosts, !want, want)
	}
}

func TestWhatIsHeldIsNotWritten(t *testing.T) {
	r := newReplica(t, newServer(), nil)
	r.holdExample(t)
	for i, c := range []struct {
		host    string
		covered bool
	}{
		{"shop.example.com", true},
		{"*.example.com", true},
		{"example.com", false},
		{"shop.eu.example.com", false},
		{"shop.example.org", false},
		{"alias *.example.com", false},
		{"", false},
	} {
		r.mustCover(t, c.covered, numbered("a", 100+i, c.host))
	}
	both := numbered("a", 200, "one.example.com")
	both.Hosts = append(both.Hosts, facts.Host{Host: "two.example.com", Via: facts.ViaRule})
	r.mustCover(t, true, both)
	both = numbered("a", 201, "three.example.com")
	both.Hosts = append(both.Hosts, facts.Host{Host: "four.example.net", Via: facts.ViaRule})
	r.mustCover(t, false, both)
}

// What was admitted by a hold came before what another namespace asks for.
func TestAHoldGivesWay(t *testing.T) {
	for _, c := range []struct {
		host string
		free bool
	}{
		{"covered.example.com", false},
		{"*.example.com", false},
		{"alias *.example.com", false},
		{"alias *.com", false},
		{"", false},
		{"other.example.com", true},
		{"example.com", true},
		{"alias *.eu.example.com", true},
		{"example.org", true},
	} {
		t.Run(c.host, func(t *testing.T) {
			s := newServer()
			first, second, third := newReplica(t, s, nil), newReplica(t, s, nil), newReplica(t, s, nil)
			first.holdExample(t)
			first.mustCover(t, true, numbered("a", 10, "covered.example.com"))
			third.must(t, true, numbered("a", 11, "same.example.com")) // of the namespace itself
			first.awaitHolds(t, 1)
			second.must(t, c.free, claimOf("b", "nginx", c.host))
			if c.host == "example.org" {
				first.awaitHolds(t, 1)
				return
			}
			first.awaitHolds(t, 0)
			if !c.free {
				second.journalHas(t, 0)
			}
			first.mustCover(t, false, numbered("a", 12, "later.example.com"))
			third.must(t, false, claimOf("c", "nginx", "covered.example.com"))
		})
	}
}

// The namespace itself may hold a domain on every replica. Who asks waits for all.
func TestTwoReplicasHoldADomain(t *testing.T) {
	s := newServer()
	first, second, third := newReplica(t, s, nil), newReplica(t, s, nil), newReplica(t, s, nil)
	first.holdExample(t)
	second.holdExample(t)
	first.mustCover(t, true, numbered("a", 10, "first.example.com"))
	second.mustCover(t, true, numbered("a", 11, "second.example.com"))
	third.must(t, false, claimOf("b", "nginx", "second.example.com"))
	third.must(t, false, claimOf("b", "nginx", "first.example.com"))
	first.awaitHolds(t, 0)
	second.awaitHolds(t, 0)
}

// A domain in which somebody else has a host is not held.
func TestWhatIsNotHeld(t *testing.T) {
	for what, prepare := range map[string]func(r, other replica){
		"asked for on this replica":  func(r, _ replica) { r.must(t, true, claimOf("b", "nginx", "b.example.com")) },
		"asked for on another":       func(_, other replica) { other.must(t, true, claimOf("b", "nginx", "b.example.com")) },
		"a wildcard":                 func(_, other replica) { other.must(t, true, claimOf("b", "nginx", "alias *.eu.example.com")) },
		"held by another":            func(_, other replica) { other.holdExampleFor(t, "b") },
		"stored":                     func(r, _ replica) { r.shows(t, claimOf("b", "nginx", "b.example.com")) },
		"stored, and by a wildcard":  func(r, _ replica) { r.shows(t, claimOf("b", "nginx", "*.eu.example.com")) },
		"asked for in another class": func(_, other replica) { c := claimOf("b", "traefik", "b.example.com"); other.must(t, true, c) },
		"what is known is too old":   func(r, _ replica) { r.state.fail(errors.New("too old")) },
	} {
		t.Run(what, func(t *testing.T) {
			s := newServer()
			r, other := newReplica(t, s, nil), newReplica(t, s, nil)
			prepare(r, other)
			for i := range manyRequests + 1 {
				r.must(t, true, numbered("a", i, fmt.Sprintf("%d.example.com", i)))
			}
			r.awaitHolds(t, 0)
			r.mustCover(t, false, numbered("a", 10, "x.example.com"))
		})
	}
}

// What happens while a hold is taken: before it is written, and when it has come back.
func TestAHoldIsNotHad(t *testing.T) {
	asks := func(t *testing.T, _, other replica) {
		other.must(t, true, claimOf("b", "nginx", "shop.example.com"))
	}
	for what, c := range map[string]struct {
		question  int // to the state
		meanwhile func(t *testing.T, r, other replica)
	}{
		"another namespace asks":                {1, asks},
		"another namespace asks, and waits":     {2, asks},
		"an Ingress of another one is seen now": {2, func(t *testing.T, r, _ replica) { r.shows(t, claimOf("b", "nginx", "shop.example.com")) }},
	} {
		t.Run(what, func(t *testing.T) {
			s := newServer()
			r, other := newReplica(t, s, nil), newReplica(t, s, nil)
			other.must(t, true, claimOf("x", "nginx", "x.example.org")) // it is ready
			questions := 0
			r.state.asked = func() {
				if questions++; questions == c.question {
					c.meanwhile(t, r, other)
				}
			}
			for i := range manyRequests {
				r.must(t, true, numbered("a", i, fmt.Sprintf("%d.example.com", i)))
			}
			r.awaitHolds(t, 0)
			r.mustCover(t, false, numbered("a", 10, "x.example.com"))
			r.must(t, false, numbered("a", 11, "shop.example.com"))
		})
	}
}

// Of two that wait for a hold, the one that asked first is admitted.
func TestTwoWaitForAHold(t *testing.T) {
	s := newServer()
	holder, first, second := newReplica(t, s, nil), newReplica(t, s, nil), newReplica(t, s, nil)
	holder.holdExample(t)
	holder.link.hold(true)
	one := first.ask(t, claimOf("b", "nginx", "shop.example.com"))
	first.journalHas(t, 1)
	two := second.ask(t, claimOf("c", "nginx", "shop.example.com"))
	second.journalHas(t, 1)
	first.awaitEntries(t, second, 1)
	first.refreshOnce(t.Context()) // and looks again
	holder.link.hold(false)
	if !<-one || <-two {
		t.Error("not the first one was admitted")
	}
}

// A hold that can't be had any more isn't waited for: others are to be had.
func TestAHoldIsGivenUpBeforeItsWriteComesBack(t *testing.T) {
	r := newReplicaThatHolds(t, newServer(), nil, 1)
	r.must(t, true, claimOf("x", "nginx", "alias *.example.org")) // it is ready
	r.link.hold(true)
	answer := r.ask(t, numbered("a", 0, "0.example.com"))
	r.await(t, "the hold is asked for", 20*time.Second, func() bool { return r.Journal.holds() == 1 })
	late := r.ask(t, numbered("b", 1, "1.example.com"))
	r.await(t, "nobody waits for the hold", writeTime/2, func() bool {
		known := r.demands[domain{"a", "example.com"}]
		return known != nil && !known.asked && known.hold == nil && r.Journal.holds() == 0
	})
	r.link.hold(false)
	if !<-answer || !<-late {
		t.Error("two hosts of a domain were not free")
	}
}

// awaitEntries returns once this replica has seen so many entries in another one's journal.
func (r replica) awaitEntries(t *testing.T, of replica, want int) {
	t.Helper()
	r.await(t, fmt.Sprintf("sees %d entries of another replica", want), 20*time.Second, func() bool {
		known := r.others[of.writer.name]
		return known != nil && len(known.entries) == want
	})
}

// await looks, under the journal's lock, until a condition holds.
func (r replica) await(t *testing.T, what string, most time.Duration, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), most)
	defer cancel()
	for {
		r.mu.Lock()
		done := holds()
		r.mu.Unlock()
		if done {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("not so: %s", what)
		case <-time.After(time.Millisecond):
		}
	}
}

// Where it isn't known what others ask for, nothing is held.
func TestNoHoldsBesideALeaseThatCanNotBeRead(t *testing.T) {
	s := newServer()
	r := newReplica(t, s, nil)
	r.holdExample(t)
	lease := &coordinationv1.Lease{}
	lease.Namespace, lease.Name, lease.Annotations = "sluice-system", "broken", map[string]string{admittedAnnotation: "?"}
	s.set(func() { s.write(watch.Added, lease) })
	r.awaitHolds(t, 0)
}

// A write that comes back late doesn't renew a hold by when a later one began, which may never come.
func TestAHoldIsNotRenewedByAnotherWrite(t *testing.T) {
	s := newServer()
	r := newReplica(t, s, nil)
	r.holdExample(t)
	r.mustCover(t, true, numbered("a", 10, "x.example.com"))
	r.link.hold(true)
	answer := r.ask(t, claimOf("b", "nginx", "b.example.org"))
	r.journalHas(t, manyRequests+2)
	r.turn(holdTime / 2)
	r.link.cut.Store(true)
	if free, err := r.Hosts().Claim(t.Context(), claimOf("c", "nginx", "c.example.net")); err == nil {
		t.Errorf("%v, and nothing was written", free)
	}
	r.link.hold(false)
	if !<-answer {
		t.Error("the first write did not come back")
	}
	r.turn(holdTime/2 + time.Second)
	if free, err := r.Hosts().Claim(t.Context(), numbered("a", 11, "late.example.com")); err == nil {
		t.Errorf("%v although the hold is over and nothing can be written", free)
	}
}

// A replica that starts while the journal is deleted knows of no hold.
func TestAHoldOfADeletedJournal(t *testing.T) {
	s := newServer()
	r := newReplica(t, s, nil)
	r.holdExample(t)
	s.set(func() { s.write(watch.Deleted, s.leases[r.writer.name].DeepCopy()) })
	r.awaitHolds(t, 0)
}

// Where others have hosts in a domain, nobody has to wait for a hold that is not to be had.
func TestNoHoldIsTriedInASharedDomain(t *testing.T) {
	for what, prepare := range map[string]func(r, other replica){
		"stored":    func(r, _ replica) { r.shows(t, claimOf("b", "nginx", "b.example.com")) },
		"asked for": func(_, other replica) { other.must(t, true, claimOf("b", "nginx", "b.example.com")) },
	} {
		t.Run(what, func(t *testing.T) {
			s := newServer()
			r, other := newReplica(t, s, nil), newReplica(t, s, nil)
			prepare(r, other)
			for i := range manyRequests {
				r.must(t, true, numbered("a", i, fmt.Sprintf("%d.example.com", i)))
			}
			r.awaitHolds(t, 0)
			r.mu.Lock()
			defer r.mu.Unlock()
			if r.sequence != manyRequests {
				t.Errorf("%d writes for %d requests", r.sequence, manyRequests)
			}
		})
	}
}

// Writes that follow each other closely renew a hold as well: the next one has begun when the last one comes back.
func TestAHoldIsRenewedBetweenWrites(t *testing.T) {
	s := newServer()
	r := newReplica(t, s, nil)
	r.holdExample(t)
	r.mustCover(t, true, numbered("a", 10, "x.example.com"))
	r.turn(holdTime / 2)
	r.link.hold(true)
	first := r.ask(t, claimOf("b", "nginx", "b.example.org"))
	r.journalHas(t, manyRequests+2)
	second := r.ask(t, claimOf("c", "nginx", "c.example.net"))
	r.journalHas(t, manyRequests+3)
	r.link.hold(false)
	if !<-first || !<-second {
		t.Error("hosts in other domains were not free")
	}
	r.awaitRenewal(t)
}

// A replica that can't be reached keeps others from what it holds, until what it admitted is over. Its own namespace goes on.
func TestAHoldOfAReplicaThatHasGone(t *testing.T) {
	s := newServer()
	first, second := newReplica(t, s, nil), newReplica(t, s, nil)
	first.holdExample(t)
	second.must(t, true, numbered("a", 20, "before.example.com")) // which shows that it has seen the hold
	first.link.cut.Store(true)
	first.link.hold(true)
	second.must(t, true, numbered("a", 21, "shop.example.com"))
	second.must(t, true, claimOf("b", "nginx", "shop.example.org"))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	free, err := second.Hosts().Claim(ctx, claimOf("b", "nginx", "other.example.com"))
	if want := "reserve: namespace a creates Ingresses in the same domain (example.com), and the replica of Sluice that admits them does not answer; if it is gone, this ends within 2m45s"; free || err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, %v", free, err)
	}
	second.turn(160 * time.Second)
	if free, err := second.Hosts().Claim(t.Context(), claimOf("b", "nginx", "other.example.com")); free || err == nil || !strings.Contains(err.Error(), "this ends within 5s") {
		t.Errorf("of a replica that has been quiet for long: %v, %v", free, err)
	}
	second.turn(6 * time.Second)
	second.must(t, true, claimOf("b", "nginx", "other.example.com"))
}

// A replica relies on a hold for holdTime from the write, not from when that came back.
func TestAHoldThatIsNotRenewed(t *testing.T) {
	s := newServer()
	r := newReplica(t, s, nil)
	r.holdExample(t)
	r.turn(holdTime - time.Second)
	r.mustCover(t, true, numbered("a", 10, "x.example.com")) // and so it is renewed
	r.awaitRenewal(t)
	r.turn(holdTime - time.Second)
	r.mustCover(t, true, numbered("a", 11, "y.example.com"))
	r.awaitRenewal(t)
	r.link.cut.Store(true)
	r.turn(holdTime - time.Second)
	r.must(t, true, numbered("a", 12, "z.example.com"))
	r.turn(2 * time.Second)
	if free, err := r.Hosts().Claim(t.Context(), numbered("a", 13, "late.example.com")); err == nil {
		t.Errorf("%v although the hold is over and nothing can be written", free)
	}
}

// awaitRenewal returns once all holds last for holdTime from now.
func (r replica) awaitRenewal(t *testing.T) {
	t.Helper()
	r.await(t, "the hold is renewed", 20*time.Second, func() bool {
		return !slices.ContainsFunc(r.own, func(o *own) bool { return o.Hold && o.expires.Sub(r.now()) < holdTime })
	})
}

// A hold that nobody uses ends, and one of a replica that stops.
func TestAHoldEnds(t *testing.T) {
	for what, end := range map[string]func(r replica){
		"not used": func(r replica) { r.turn(holdTime + time.Second) },
		"not used, and others write": func(r replica) {
			for i := range 4 {
				r.turn(holdTime / 3)
				r.must(t, true, claimOf(fmt.Sprint("n", i), "nginx", fmt.Sprintf("%d.example.org", i)))
			}
		},
		"the replica": func(r replica) { r.stop() },
	} {
		t.Run(what, func(t *testing.T) {
			s := newServer()
			first, second := newReplica(t, s, nil), newReplica(t, s, nil)
			first.holdExample(t)
			first.mustCover(t, true, numbered("a", 10, "covered.example.com"))
			end(first)
			first.awaitHolds(t, 0)
			second.must(t, true, claimOf("b", "nginx", "free.example.com"))
			second.must(t, false, claimOf("b", "nginx", "covered.example.com"))
			if text := s.stored()[first.writer.name].Annotations[admittedAnnotation]; strings.Contains(text, "hold") {
				t.Errorf("it is still in the journal: %s", text)
			}
		})
	}
}

// What this replica's state shows of what was covered is not in its journal any more. One whose state lags waits for it.
func TestAStateThatLagsBehindAHold(t *testing.T) {
	s := newServer()
	first, second := newReplica(t, s, nil), newReplica(t, s, nil)
	first.holdExample(t)
	claim := numbered("a", 10, "covered.example.com")
	first.mustCover(t, true, claim)
	first.state.reach(7)
	first.shows(t, claim)
	first.mu.Lock()
	first.prune()
	first.mu.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if free, err := second.Hosts().Claim(ctx, claimOf("b", "nginx", "covered.example.com")); err == nil {
		t.Errorf("answered %v before its state was as new", free)
	}
	second.shows(t, claim)
	second.state.reach(7)
	second.must(t, false, claimOf("b", "nginx", "covered.example.com"))
	second.must(t, true, claimOf("b", "nginx", "other.example.com"))
}

// Whatever is asked for, where and when, and whatever a replica sees late: no two namespaces are given one name, and nobody waits
// for ever.
func TestHoldsAtRandom(t *testing.T) {
	rounds := 60
	if testing.Short() {
		rounds = 10
	}
	for seed := range uint64(rounds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 7))
			w := &world{lateWorld: newLateWorld(t, nil, random), live: map[types.UID]state.HostClaim{}}
			w.play(t, random, 30, func() int { return 3000 }, w.ask)
		})
	}
}

// world is what the API server stores of Ingresses.
type world struct {
	*lateWorld
	live map[types.UID]state.HostClaim // admitted, and not deleted
}

// admit notes that a claim was admitted.
func (w *world) admit(t *testing.T, claim state.HostClaim) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, other := range w.live {
		if other.Namespace != claim.Namespace && other.Hosts[0].Pattern().Overlaps(claim.Hosts[0].Pattern()) {
			t.Errorf("%s was given %s, and %s has %s", claim.Namespace, claim.Hosts[0].Host, other.Namespace, other.Hosts[0].Host)
		}
	}
	w.live[claim.UID] = claim
}

func (w *world) store(t *testing.T, claim state.HostClaim) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, func(r replica) { r.shows(t, claim) })
}

func (w *world) delete(claim state.HostClaim) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.live, claim.UID)
	w.events = append(w.events, func(r replica) { r.state.Delete(ingressKind, claim.Namespace, claim.Name) })
}

// ask has some replica asked for some host; what is admitted is stored or not, and may be deleted.
func (w *world) ask(t *testing.T, random *rand.Rand) {
	namespace := []string{"a", "a", "a", "b", "c"}[random.IntN(5)]
	domain := []string{"example.com", "example.com", "eu.example.com", "example.org"}[random.IntN(4)]
	host := fmt.Sprintf("h%d.%s", random.IntN(12), domain)
	if random.IntN(15) == 0 {
		host = []string{"*.", "alias *."}[random.IntN(2)] + domain
	}
	claim := numbered(namespace, random.IntN(1<<30), host)
	r := w.replicas[random.IntN(len(w.replicas))]
	w.disturb(r, random)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	free, err := r.Hosts().Claim(ctx, claim)
	switch {
	case err != nil && !strings.Contains(err.Error(), "reserve: write the journal"):
		t.Errorf("%s asks for %s: %v", namespace, host, err)
	case free:
		w.admit(t, claim)
		if random.IntN(4) > 0 {
			w.store(t, claim)
			if random.IntN(2) > 0 {
				w.delete(claim)
			}
		}
	}
}
