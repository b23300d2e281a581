package reservation

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/state"
)

func of(name string, version int) state.PolicyChange {
	return state.PolicyChange{Namespace: "shop", Name: name, UID: "u-" + name, ResourceVersion: fmt.Sprint(version)}
}

// never are policies that don't suffice.
func never(*engine.PolicyList) bool { return false }

func objects(list *engine.PolicyList) []engine.Document {
	out, err := list.Objects()
	if err != nil {
		panic(err)
	}
	return out
}

func leftText(left state.Remaining) string {
	var out []string
	for _, object := range objects(left.Policies) {
		out = append(out, object.Get("metadata", "name").Text())
	}
	return strings.Join(out, ",") + " pending " + strings.Join(left.Pending, ",")
}

// sees claims a change, which is admitted or not, and compares what it is judged by.
func sees(t *testing.T, r replica, change state.PolicyChange, admit bool, want string) {
	t.Helper()
	got := ""
	err := r.Isolation().Claim(t.Context(), change, never, func(left state.Remaining) bool { got = leftText(left); return admit })
	if err != nil || got != want {
		t.Errorf("%s: sees %q, %v, want %q", change.Name, got, err, want)
	}
}

func TestChangesSeeEachOther(t *testing.T) {
	s, c := newServer(), newCluster("a", "b", "c")
	one, two := newReplica(t, s, c), newReplica(t, s, c)
	sees(t, one, of("a", 1), true, "a,b,c pending ")
	sees(t, two, of("b", 1), false, "b,c pending a")
	two.journalHas(t, 0)
	sees(t, one, of("c", 1), true, "b,c pending a") // b's was not admitted
	sees(t, two, of("a", 1), true, "a,b pending c") // its own claim is none of others
	c.change("a", 2)
	sees(t, two, of("b", 1), false, "a,b pending c") // a has changed: the API server asks again for what was admitted
	two.journalHas(t, 0)
	sees(t, one, of("a", 2), true, "a,b pending c")
	c.change("a", 0)
	c.change("c", 0)
	sees(t, two, of("b", 1), false, "b pending ")
	c.change("c", 1)
	for _, r := range []replica{one, two} {
		r.turn(DefaultLife + 1)
	}
	sees(t, two, of("b", 1), true, "b,c pending ")
	if left, err := two.Isolation().Remaining(t.Context(), of("c", 1)); err != nil || leftText(left) != "c pending b" {
		t.Errorf("remaining: %s, %v", leftText(left), err)
	}
}

// A state that lags behind a policy takes it for what was to be changed, which it may have been; behind a deletion that another
// replica has seen it waits. What it would refuse is judged again by what the API server has.
func TestIsolationByAStateThatLags(t *testing.T) {
	s, c := newServer(), newCluster("a", "b", "c")
	one, two := newReplica(t, s, c), newReplica(t, s, c)
	c.change("a", 5)
	two.state.seen = map[string]stored{"a": {1, []string{"a"}}, "b": {1, []string{"b"}}}
	sees(t, one, of("a", 5), true, "a,b,c pending ")
	sees(t, two, of("b", 1), true, "b pending a")
	two.state.seen = map[string]stored{"b": {1, []string{"b"}}}
	c.change("a", 0)
	sees(t, two, of("b", 1), false, "b,c pending ") // judged twice

	one.state.reach(9)
	one.journalHas(t, 0)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := two.Isolation().Claim(ctx, of("b", 1), never, func(state.Remaining) bool { return true }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("before it knows what became of a: %v", err)
	}
	two.state.reach(9)
	sees(t, two, of("b", 1), true, "b pending ")
}

// What has happened leaves the journal, so that it stays small.
func TestSettledChangesAreForgotten(t *testing.T) {
	s, c := newServer(), newCluster("a", "b", "c")
	r := newReplica(t, s, c)
	for version := range 50 {
		c.change("a", version+1)
		sees(t, r, of("a", version+1), true, "a,b,c pending ")
	}
	if text := r.journalHas(t, 1); !strings.Contains(text, `"resourceVersion":"50"`) {
		t.Error(text)
	}
}

// Of changes at the same moment on two replicas each sees those that were admitted before.
func TestChangesAtTheSameMoment(t *testing.T) {
	for round := range 20 {
		s, c := newServer(), newCluster("a", "b", "c")
		replicas := []replica{newReplica(t, s, c), newReplica(t, s, c)}
		var admitted atomic.Int64
		var group sync.WaitGroup
		for at, name := range []string{"a", "b", "c"} {
			group.Go(func() {
				last := false
				err := replicas[at%2].Isolation().Claim(t.Context(), of(name, 1), never, func(left state.Remaining) bool {
					last = len(left.Policies.Policies().All()) > 1 // itself and another
					return last
				})
				if err != nil {
					t.Error(err)
				}
				if last {
					admitted.Add(1)
				}
			})
		}
		group.Wait()
		if admitted.Load() != 2 {
			t.Fatalf("round %d: %d of 3 admitted, want 2", round, admitted.Load())
		}
	}
}

func TestIsolationFailsClosed(t *testing.T) {
	s, c := newServer(), newCluster("a")
	r := newReplica(t, s, c)
	judged := false
	judge := func(state.Remaining) bool { judged = true; return true }
	r.state.failing, c.failing = errors.New("no answer"), errors.New("no answer")
	if err := r.Isolation().Claim(t.Context(), of("a", 1), never, judge); err == nil || judged {
		t.Errorf("without policies: %v, judged %v", err, judged)
	}
	if _, err := r.Isolation().Remaining(t.Context(), of("a", 1)); err == nil {
		t.Error("remaining without policies")
	}
	r.state.failing, c.failing = nil, nil
	s.set(func() { s.failing = true })
	if err := r.Isolation().Claim(t.Context(), of("a", 1), never, judge); err == nil || judged {
		t.Errorf("without Leases: %v, judged %v", err, judged)
	}
	if _, err := NewJournal(Options{Client: r.link, Namespace: "sluice-system"}); err == nil {
		t.Error("made without state")
	}
}
