package reservation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/watch"

	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/state"
)

// ofAll is a change of the policy that selects all pods.
func ofAll() state.PolicyChange {
	change := of("all", 1)
	change.SelectsAll = true
	return change
}

// withAll has a policy for all pods beside others that select their own.
func withAll(names ...string) *cluster {
	c := newCluster(names...)
	c.policies["all"] = stored{version: 1}
	return c
}

// suffices are policies of which one selects all pods.
func suffices(list *engine.PolicyList) bool { return isolated(list, "") == allPods }

// change claims a change in the background, and tells what it was judged by: "covered" if it wasn't.
func (r replica) change(t *testing.T, change state.PolicyChange, suffice func(*engine.PolicyList) bool) chan string {
	answer := make(chan string, 1)
	go func() {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		got := "covered"
		if err := r.Isolation().Claim(ctx, change, suffice, func(left state.Remaining) bool { got = leftText(left); return true }); err != nil {
			got = err.Error()
		}
		answer <- got
	}()
	return answer
}

func says(t *testing.T, what string, answer chan string, want string) {
	t.Helper()
	if got := <-answer; got != want {
		t.Errorf("%s: sees %q, want %q", what, got, want)
	}
}

// holdPolicies has this replica hold the namespace's NetworkPolicies.
func (r replica) holdPolicies(t *testing.T) {
	t.Helper()
	for i := range manyRequests {
		says(t, "before it is held", r.change(t, of(fmt.Sprint("gone-", i), 1), suffices), r.sight())
	}
	r.awaitHolds(t, 1)
}

// sight is what a change sees if nobody changes anything.
func (r replica) sight() string {
	policies, err := r.state.KnownPolicies("shop")
	if err != nil {
		return err.Error()
	}
	return leftText(remaining(state.PolicyChange{}, policies, nil))
}

func TestChangesAreCovered(t *testing.T) {
	s, c := newServer(), withAll("a", "b")
	c.policies["all-too"] = c.policies["all"]
	r := newReplica(t, s, c)
	r.holdPolicies(t)
	writes := r.writesSoFar()
	says(t, "a", r.change(t, of("a", 1), suffices), "covered")
	if now := r.writesSoFar(); now != writes {
		t.Errorf("%d writes for what is covered", now-writes)
	}
	says(t, "in another namespace", r.change(t, state.PolicyChange{Namespace: "blog", Name: "a", UID: "u-a", ResourceVersion: "1"}, suffices), "a,all,all-too,b pending ")
	says(t, "for which that doesn't suffice", r.change(t, of("b", 1), never), "all,all-too,b pending a")
	r.awaitHolds(t, 1)
	says(t, "the policy for all pods", r.change(t, ofAll(), suffices), "all,all-too pending a,b")
	r.awaitHolds(t, 0)
	says(t, "after that", r.change(t, of("c", 1), suffices), "all-too pending a,all,b")
}

func (r replica) writesSoFar() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sequence
}

// A namespace without a policy for all pods isn't held, nor one where that is being changed, or too old to be known.
func TestPoliciesThatAreNotHeld(t *testing.T) {
	for what, prepare := range map[string]func(r, other replica, c *cluster){
		"none selects all pods":                  func(_, _ replica, c *cluster) { c.change("all", 0) },
		"it is being changed on this replica":    func(r, _ replica, _ *cluster) { <-r.change(t, ofAll(), never) },
		"it is being changed on another replica": func(_, other replica, _ *cluster) { <-other.change(t, ofAll(), never) },
		"what is known is too old":               func(r, _ replica, _ *cluster) { r.state.fail(errors.New("too old")) },
	} {
		t.Run(what, func(t *testing.T) {
			s, c := newServer(), withAll("a")
			r, other := newReplica(t, s, c), newReplica(t, s, c)
			prepare(r, other, c)
			for i := range manyRequests + 1 {
				if got := <-r.change(t, of(fmt.Sprint("gone-", i), 1), suffices); got == "covered" {
					t.Error("covered")
				}
			}
			r.awaitHolds(t, 0)
		})
	}
}

// Whoever takes away the policy for all pods waits until nobody relies on it, and knows of all that was admitted by it; so do
// others while that is under way, on whichever replica.
func TestWhatWasCoveredIsKnownBeforeIsolationShrinks(t *testing.T) {
	s, c := newServer(), withAll("a", "b", "c", "d")
	holder, second, third := newReplica(t, s, c), newReplica(t, s, c), newReplica(t, s, c)
	holder.holdPolicies(t)
	says(t, "a", holder.change(t, of("a", 1), suffices), "covered")
	for _, r := range []replica{second, third} {
		sees(t, r, of("b", 1), false, "a,all,b,c,d pending ") // it doesn't know of a, which is no danger
		r.journalHas(t, 0)
	}

	holder.link.hold(true)
	shrinks := second.change(t, ofAll(), never)
	second.journalHas(t, 1)
	third.awaitEntries(t, second, 1)
	elsewhere := third.change(t, of("d", 1), never)
	third.journalHas(t, 1)
	late := holder.change(t, of("c", 1), never) // written after the policy for all pods is to go
	holder.journalHas(t, 2)
	says(t, "b, on the holder, which hasn't seen it", holder.change(t, of("b", 1), suffices), "covered")
	select {
	case got := <-shrinks:
		t.Fatalf("the policy for all pods does not wait: %q", got)
	case got := <-elsewhere:
		t.Fatalf("what comes while it goes does not wait: %q", got)
	case <-time.After(50 * time.Millisecond):
	}
	holder.link.hold(false)
	says(t, "the policy for all pods", shrinks, "all,c,d pending a,b")
	says(t, "d on another replica", elsewhere, "c,d pending a,all,b")
	says(t, "c on the holder", late, "c pending a,all,b,d")
	holder.awaitHolds(t, 0)
}

// Any number of replicas hold a namespace's NetworkPolicies, and all of them give way.
func TestTwoReplicasHoldPolicies(t *testing.T) {
	s, c := newServer(), withAll("a", "b")
	first, second, third := newReplica(t, s, c), newReplica(t, s, c), newReplica(t, s, c)
	first.holdPolicies(t)
	second.holdPolicies(t)
	says(t, "a", first.change(t, of("a", 1), suffices), "covered")
	says(t, "b", second.change(t, of("b", 1), suffices), "covered")
	first.awaitHolds(t, 1)
	says(t, "all", third.change(t, ofAll(), never), "all pending a,b")
	first.awaitHolds(t, 0)
	second.awaitHolds(t, 0)
}

// A replica that can't be reached keeps the policies for all pods where they are until what it admitted is over. Others change.
func TestAHoldOfPoliciesOfAReplicaThatHasGone(t *testing.T) {
	s, c := newServer(), withAll("a", "b")
	first, second := newReplica(t, s, c), newReplica(t, s, c)
	first.holdPolicies(t)
	says(t, "which shows that it has seen the hold", second.change(t, of("b", 1), never), "a,all,b pending ")
	first.link.cut.Store(true)
	first.link.hold(true)
	says(t, "a", second.change(t, of("a", 1), never), "a,all pending b")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := second.Isolation().Claim(ctx, ofAll(), never, func(state.Remaining) bool { return true })
	if want := "reserve: NetworkPolicies of the namespace are being changed, and the replica of Sluice that admits them does not answer; if it is gone, this ends within 2m45s"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v", err)
	}
	second.turn(100 * time.Second)
	if err := second.Isolation().Claim(t.Context(), ofAll(), never, func(state.Remaining) bool { return true }); err == nil || !strings.Contains(err.Error(), "this ends within 1m5s") {
		t.Errorf("a replica that has been quiet for long: %v", err)
	}
	says(t, "b, for which nobody waits", second.change(t, of("b", 1), never), "all,b pending a")
	second.turn(66 * time.Second)
	says(t, "after that", second.change(t, ofAll(), never), "a,all pending b")
}

// A hold in a Lease that somebody deleted is respected for as long as any other.
func TestAHoldOfADeletedLeaseLasts(t *testing.T) {
	s, c := newServer(), withAll("a", "b")
	holder, second := newReplica(t, s, c), newReplica(t, s, c)
	holder.holdPolicies(t)
	says(t, "which shows that it has seen the hold", second.change(t, of("b", 1), never), "a,all,b pending ")
	holder.link.cut.Store(true)
	holder.link.hold(true)
	s.set(func() { s.write(watch.Deleted, s.leases[holder.writer.name].DeepCopy()) })
	second.await(t, "it sees the deletion", 20*time.Second, func() bool { return second.others[holder.writer.name].deleted })
	holder.turn(holdTime - time.Second)
	says(t, "a", holder.change(t, of("a", 1), suffices), "covered")
	second.turn(DefaultLife + time.Second)
	if err := second.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	err := second.Isolation().Claim(t.Context(), ofAll(), never, func(state.Remaining) bool { return true })
	if err == nil || !strings.Contains(err.Error(), "this ends within") {
		t.Errorf("the hold is not waited for: %v", err)
	}
}

// loses tells whether some pods that a policy selected, and does not keep, are isolated by no other.
func loses(left *engine.PolicyList, name string, was, keeps pods) bool {
	return was&^(keeps|isolated(left, name)) != 0
}

func selecting(policies map[string][]string) *cluster {
	c := newCluster()
	for name, labels := range policies {
		c.policies[name] = stored{1, labels}
	}
	return c
}

// What takes the place of an earlier change of the same version, and may be another one, takes it in the order, too.
func TestAnUpdateTakesThePlaceOfADeletion(t *testing.T) {
	s, c := newServer(), selecting(map[string][]string{"p": {"a", "b"}, "q": {"a", "b"}, "r": {"b"}})
	r := newReplica(t, s, c)
	claim := func(name string, was, keeps pods, first func()) (admitted bool) {
		calls := 0
		err := r.Isolation().Claim(t.Context(), of(name, 1), never, func(left state.Remaining) bool {
			if calls++; calls == 1 && first != nil {
				defer first()
			}
			admitted = !loses(left.Policies, name, was, keeps)
			return admitted
		})
		if err != nil {
			t.Error(err)
		}
		return admitted
	}
	ab, a := podsOf([]string{"a", "b"}), podsOf([]string{"a"})
	deletion := claim("p", ab, 0, nil)
	if second := claim("q", ab, 0, func() { claim("p", ab, a, nil) }); !deletion || second {
		t.Errorf("p may go: %v, and q beside it: %v", deletion, second)
	}
}

// So it is on other replicas, for a change that has waited for a hold since before.
func TestAnUpdateTakesThePlaceOfADeletionElsewhere(t *testing.T) {
	s, c := newServer(), selecting(map[string][]string{"all": nil, "p": {"a", "b"}, "r": {"b", "c"}})
	one, two, holder := newReplica(t, s, c), newReplica(t, s, c), newReplica(t, s, c)
	holder.holdPolicies(t)
	says(t, "the deletion of p", one.change(t, of("p", 1), never), "all,p,r pending ")
	holder.link.hold(true)
	admitted, judged, goOn := make(chan bool, 1), make(chan bool, 2), make(chan bool)
	go func() {
		last, calls := false, 0
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if err := two.Isolation().Claim(ctx, ofAll(), never, func(left state.Remaining) bool {
			last = !loses(left.Policies, "all", allPods, 0)
			judged <- true
			if calls++; calls == 1 {
				<-goOn
			}
			return last
		}); err != nil {
			t.Error(err)
		}
		admitted <- last
	}()
	two.journalHas(t, 1)
	one.awaitEntries(t, two, 1)
	update := one.change(t, of("p", 1), never)
	one.journalHas(t, 2)
	holder.link.hold(false)
	<-judged
	says(t, "the update of p", update, "p,r pending all")
	one.journalHas(t, 1)
	two.awaitEntries(t, one, 1)
	close(goOn)
	if <-admitted {
		t.Error("the policy for all pods may go beside p: pods a lose their isolation")
	}
}

// A hold begins once the state has caught up with what was changed before.
func TestAHoldAwaitsTheState(t *testing.T) {
	s, c := newServer(), withAll("a")
	r, other := newReplica(t, s, c), newReplica(t, s, c)
	r.state.see(1, func() { r.state.seen = map[string]stored{"all": {version: 1}, "a": {1, []string{"a"}}} })
	other.state.reach(1)
	for i := range manyRequests - 1 {
		says(t, "before it is held", r.change(t, of(fmt.Sprint("gone-", i), 1), suffices), "a,all pending ")
	}
	r.link.hold(true)
	<-other.change(t, ofAll(), never)
	c.change("all", 0)
	other.state.reach(9)
	other.journalHas(t, 0)
	last := r.change(t, of("gone-9", 1), suffices) // by which the hold is asked for
	r.await(t, "a list shows the hold, and of the change before only what it left", 20*time.Second, func() bool {
		return slices.ContainsFunc(r.own, func(o *own) bool { return o.Hold && o.look == nil })
	})
	for range 20 { // for as long as it would take to rely on it
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		if err := r.Isolation().Claim(ctx, of("a", 1), suffices, func(state.Remaining) bool { return true }); err == nil {
			t.Fatal("covered by a policy that has gone")
		}
		cancel()
	}
	r.state.reach(9)
	<-last
}
