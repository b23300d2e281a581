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

// cluster holds NetworkPolicies by name, and their versions.
type cluster struct {
	mu       sync.Mutex
	versions map[string]int
	failing  error
}

func newCluster(names ...string) *cluster {
	c := &cluster{versions: map[string]int{}}
	for _, name := range names {
		c.versions[name] = 1
	}
	return c
}

func (c *cluster) LivePolicies(_ context.Context, namespace string) ([]state.LivePolicy, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []state.LivePolicy
	for _, name := range []string{"a", "b", "c"} {
		version, there := c.versions[name]
		if !there {
			continue
		}
		document, err := engine.FromGo(map[string]any{"metadata": map[string]any{
			"namespace": namespace, "name": name, "uid": "u-" + name, "resourceVersion": fmt.Sprint(version)}})
		if err != nil {
			return nil, err
		}
		live, err := state.NewLivePolicy(document)
		if err != nil {
			return nil, err
		}
		out = append(out, live)
	}
	return out, c.failing
}

// change deletes a policy, or changes it to a version.
func (c *cluster) change(name string, version int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.versions[name] = version; version == 0 {
		delete(c.versions, name)
	}
}

func newIsolation(t *testing.T, s *server, c *cluster) (*Isolation, *atomic.Int64) {
	t.Helper()
	i, err := NewIsolation(IsolationOptions{Client: s, Namespace: "sluice-system", Policies: c})
	if err != nil {
		t.Fatal(err)
	}
	clock := &atomic.Int64{}
	clock.Store(time.Now().UnixNano())
	i.now = func() time.Time { return time.Unix(0, clock.Load()) }
	return i, clock
}

func of(name string, version int) state.PolicyChange {
	return state.PolicyChange{Namespace: "shop", Name: name, UID: "u-" + name, ResourceVersion: fmt.Sprint(version)}
}

func leftText(left state.Remaining) string {
	var out []string
	for _, object := range left.Policies.Objects() {
		out = append(out, object.Get("metadata", "name").Text())
	}
	return strings.Join(out, ",") + " pending " + strings.Join(left.Pending, ",")
}

// sees claims a change, which is admitted or not, and compares what it is judged by.
func sees(t *testing.T, i *Isolation, change state.PolicyChange, admit bool, want string) {
	t.Helper()
	got := ""
	err := i.Claim(t.Context(), change, func(left state.Remaining) bool { got = leftText(left); return admit })
	if err != nil || got != want {
		t.Errorf("%s: sees %q, %v, want %q", change.Name, got, err, want)
	}
}

func TestChangesSeeEachOther(t *testing.T) {
	s, c := newServer(), newCluster("a", "b", "c")
	one, _ := newIsolation(t, s, c)
	two, clock := newIsolation(t, s, c)
	sees(t, one, of("a", 1), true, "a,b,c pending ")
	sees(t, two, of("b", 1), false, "b,c pending a")
	sees(t, one, of("c", 1), true, "b,c pending a") // b's was not admitted
	sees(t, two, of("a", 1), true, "a,b pending c") // its own claim is none of others
	c.change("a", 2)
	sees(t, two, of("b", 1), false, "a,b pending c") // a has changed: the API server asks again for what was admitted
	sees(t, one, of("a", 2), true, "a,b pending c")
	c.change("a", 0)
	c.change("c", 0)
	sees(t, two, of("b", 1), false, "b pending ")
	c.change("c", 1)
	clock.Add(int64(DefaultLife) + 1)
	sees(t, two, of("b", 1), true, "b,c pending ")
	if left, err := two.Remaining(t.Context(), of("c", 1)); err != nil || leftText(left) != "c pending b" {
		t.Errorf("remaining: %s, %v", leftText(left), err)
	}
}

// What has happened leaves the Lease, so that it stays small.
func TestSettledChangesAreForgotten(t *testing.T) {
	s, c := newServer(), newCluster("a", "b", "c")
	i, _ := newIsolation(t, s, c)
	for version := range 50 {
		c.change("a", version+1)
		sees(t, i, of("a", version+1), true, "a,b,c pending ")
	}
	entries, err := i.leases.read(t.Context(), "shop", i.now())
	if err != nil || len(entries) != 1 || entries[0].ResourceVersion != "50" {
		t.Errorf("%+v, %v", entries, err)
	}
}

// Of changes at the same moment on two replicas each sees those that were admitted before.
func TestChangesAtTheSameMoment(t *testing.T) {
	for round := range 20 {
		s, c := newServer(), newCluster("a", "b", "c")
		one, _ := newIsolation(t, s, c)
		two, _ := newIsolation(t, s, c)
		var admitted atomic.Int64
		var group sync.WaitGroup
		for at, name := range []string{"a", "b", "c"} {
			group.Go(func() {
				last := false
				err := []*Isolation{one, two}[at%2].Claim(t.Context(), of(name, 1), func(left state.Remaining) bool {
					last = len(left.Policies.Objects()) > 1 // itself and another
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
	i, _ := newIsolation(t, s, c)
	judged := false
	judge := func(state.Remaining) bool { judged = true; return true }
	c.failing = errors.New("no answer")
	if err := i.Claim(t.Context(), of("a", 1), judge); err == nil || judged {
		t.Errorf("without policies: %v, judged %v", err, judged)
	}
	if _, err := i.Remaining(t.Context(), of("a", 1)); err == nil {
		t.Error("remaining without policies")
	}
	c.failing = nil
	s.failing.Store(true)
	if err := i.Claim(t.Context(), of("a", 1), judge); err == nil || judged {
		t.Errorf("without Leases: %v, judged %v", err, judged)
	}
	if _, err := i.Remaining(t.Context(), of("a", 1)); err == nil {
		t.Error("remaining without Leases")
	}
	if _, err := NewIsolation(IsolationOptions{Client: s, Namespace: "sluice-system"}); err == nil {
		t.Error("made without policies")
	}
}

// A Claimer sweeps what an Isolation leaves.
func TestSweepIsolation(t *testing.T) {
	s, c := newServer(), newCluster("a")
	i, _ := newIsolation(t, s, c)
	sees(t, i, of("a", 1), true, "a pending ")
	r := newReplica(t, s)
	r.turn(DefaultLife + 2*time.Second)
	if err := r.Sweep(t.Context()); err != nil || len(s.leases(t)) != 0 {
		t.Errorf("%v, %d Leases", err, len(s.leases(t)))
	}
}
