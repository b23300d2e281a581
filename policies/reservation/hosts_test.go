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

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/facts"
	"github.com/sluice-gate/sluice/policies/state"
)

func claimOf(namespace, class string, hosts ...string) state.HostClaim {
	c := state.HostClaim{HostClaims: facts.HostClaims{Namespace: namespace, Name: "web", Class: class}, UID: types.UID("uid-" + namespace), Generation: 1}
	for _, host := range hosts {
		via := facts.ViaRule
		if alias, is := strings.CutPrefix(host, "alias "); is {
			host, via = alias, facts.ViaAlias
		}
		c.Hosts = append(c.Hosts, facts.Host{Host: host, Via: via})
	}
	return c
}

func (r replica) must(t *testing.T, want bool, claim state.HostClaim) {
	t.Helper()
	if got, err := r.Hosts().Claim(t.Context(), claim); err != nil || got != want {
		t.Errorf("%s asks for %.200s: got %v, %v, want %v", claim.Namespace, fmt.Sprint(claim.Hosts), got, err, want)
	}
}

// ask asks for hosts without waiting for the answer.
func (r replica) ask(t *testing.T, claim state.HostClaim) <-chan bool {
	answer := make(chan bool, 1)
	go func() {
		free, err := r.Hosts().Claim(t.Context(), claim)
		if err != nil {
			t.Error(err)
		}
		answer <- free
	}()
	return answer
}

// holds the Ingress a/web.
func (r replica) holds(t *testing.T, uid string, generation int, host string) {
	t.Helper()
	claim := claimOf("a", "nginx", host)
	claim.UID, claim.Generation = types.UID(uid), int64(generation)
	r.shows(t, claim)
}

// shows has the state show what a claim was about.
func (r replica) shows(t testing.TB, claim state.HostClaim) {
	t.Helper()
	var rules []any
	for _, host := range claim.Hosts {
		rules = append(rules, map[string]any{"host": host.Host})
	}
	object, err := engine.FromGo(map[string]any{"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
		"metadata": map[string]any{"namespace": claim.Namespace, "name": claim.Name, "uid": string(claim.UID), "generation": claim.Generation},
		"spec":     map[string]any{"ingressClassName": claim.Class, "rules": rules}})
	if err != nil {
		t.Fatal(err)
	}
	r.state.Put(object)
}

func (r replica) lost() {
	r.state.Delete(schema.GroupKind{Group: "networking.k8s.io", Kind: "Ingress"}, "a", "web")
}

// journalHas returns once the journal has been written with so many entries beside holds, and what it has.
func (r replica) journalHas(t *testing.T, entries int) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		lease := r.link.stored()[r.writer.name]
		if lease != nil {
			text := lease.Annotations[admittedAnnotation]
			if strings.Count(text, `"id"`)-strings.Count(text, `"hold"`) == entries {
				return text
			}
		}
		select {
		case <-ctx.Done():
			t.Fatalf("the journal has not %d entries: %v", entries, lease)
		case <-time.After(time.Millisecond):
		}
	}
}

func TestAcrossReplicas(t *testing.T) {
	for _, c := range []struct {
		what, classA, a, classB, b string
		both                       bool
	}{
		{"one host", "nginx", "shop.example.com", "nginx", "shop.example.com", false},
		{"two hosts of a domain", "nginx", "shop.example.com", "nginx", "blog.example.com", true},
		{"a wildcard and its name", "nginx", "*.example.com", "nginx", "shop.example.com", false},
		{"a name and its wildcard", "nginx", "shop.example.com", "nginx", "*.example.com", false},
		{"another class", "nginx", "shop.example.com", "traefik", "shop.example.com", true},
		{"no class", "", "shop.example.com", "traefik", "shop.example.com", false},
		{"a deep wildcard and a name", "nginx", "alias *.example.com", "nginx", "a.b.example.com", false},
		{"a name and a deep wildcard", "nginx", "a.b.example.com", "nginx", "alias *.example.com", false},
		{"a deep wildcard elsewhere", "nginx", "a.b.example.com", "nginx", "alias *.example.org", true},
		{"every host and a name", "nginx", "", "nginx", "shop.example.com", false},
		{"a name and every host", "nginx", "shop.example.com", "nginx", "", false},
		{"two deep wildcards", "nginx", "alias *.example.com", "nginx", "alias *.a.example.com", false},
		{"a host without domain", "nginx", "shop", "nginx", "shop", false},
		{"a single label and every host", "nginx", "shop", "nginx", "", false},
	} {
		t.Run(c.what, func(t *testing.T) {
			s := newServer()
			first, second := newReplica(t, s, nil), newReplica(t, s, nil)
			first.must(t, true, claimOf("a", c.classA, c.a))
			second.must(t, c.both, claimOf("b", c.classB, c.b))
			second.must(t, !c.both, claimOf("a", c.classB, c.b)) // the winner's own namespace
		})
	}
}

func TestTheStateShowsWhoCameFirst(t *testing.T) {
	s := newServer()
	first, second := newReplica(t, s, nil), newReplica(t, s, nil)
	first.must(t, true, claimOf("a", "nginx", "*.example.com"))
	second.must(t, false, claimOf("b", "nginx", "shop.example.com"))
	found, err := second.state.HostConflicts(claimOf("b", "nginx", "shop.example.com").HostClaims, nil)
	if err != nil || len(found) != 1 || found[0].Other.Host != "*.example.com" || !found[0].Other.Pending {
		t.Errorf("%+v, %v", found, err)
	}
	second.journalHas(t, 0)
	writes := s.writes
	second.must(t, false, claimOf("b", "nginx", "blog.example.com"))
	if s.writes != writes {
		t.Error("a host that this replica knows to be taken was asked for again")
	}
}

// A reservation lasts from when a replica first saw it, whatever other clocks say.
func TestExpiry(t *testing.T) {
	s := newServer()
	first, second, third := newReplica(t, s, nil), newReplica(t, s, nil), newReplica(t, s, nil)
	second.turn(time.Hour)
	third.turn(-time.Hour)
	first.must(t, true, claimOf("a", "nginx", "shop.example.com"))
	for _, r := range []replica{second, third} {
		r.must(t, true, claimOf("x", "nginx", "x.example.com")) // which shows that it has seen the other
		r.turn(DefaultLife - time.Second)
	}
	second.must(t, false, claimOf("b", "nginx", "shop.example.com"))
	third.turn(2 * time.Second)
	third.must(t, true, claimOf("b", "nginx", "shop.example.com"))
	first.must(t, false, claimOf("a", "nginx", "shop.example.com", "other.example.com"))
}

// A host is free again as soon as this replica has seen what became of its holder.
func TestSettledByTheState(t *testing.T) {
	s := newServer()
	first, second := newReplica(t, s, nil), newReplica(t, s, nil)
	first.must(t, true, claimOf("a", "nginx", "shop.example.com"))
	second.holds(t, "uid-a", 1, "shop.example.com")
	second.must(t, false, claimOf("b", "nginx", "shop.example.com"))
	second.holds(t, "uid-a", 2, "moved.example.com")
	second.must(t, true, claimOf("b", "nginx", "shop.example.com"))

	first.must(t, true, claimOf("a", "nginx", "other.example.com"))
	third := newReplica(t, s, nil)
	third.holds(t, "uid-a", 1, "other.example.com")
	third.lost()
	third.must(t, true, claimOf("b", "nginx", "other.example.com"))
}

// A host that was given up twice by Ingresses of one name is free, too.
func TestSettledAgain(t *testing.T) {
	r := newReplica(t, newServer(), nil)
	for _, uid := range []string{"one", "two"} {
		again := claimOf("a", "nginx", "shop.example.com")
		again.UID = types.UID(uid)
		r.must(t, true, again)
		r.holds(t, uid, 1, "shop.example.com")
		r.lost()
	}
	r.must(t, true, claimOf("b", "nginx", "shop.example.com"))
}

// What a replica's own state shows leaves its journal. One whose state lags must not take the host for free.
func TestAStateThatLagsBehindAJournal(t *testing.T) {
	s := newServer()
	first, second := newReplica(t, s, nil), newReplica(t, s, nil)
	first.must(t, true, claimOf("a", "nginx", "shop.example.com"))
	first.journalHas(t, 1)
	first.state.reach(7)
	first.holds(t, "uid-a", 1, "shop.example.com")
	if text := first.journalHas(t, 0); !strings.Contains(text, `"settled":{"ingresses":7}`) {
		t.Errorf("the journal: %s", text)
	}
	answer := second.ask(t, claimOf("b", "nginx", "shop.example.com"))
	second.journalHas(t, 1)
	second.state.reach(6)
	second.holds(t, "uid-a", 1, "shop.example.com")
	select {
	case free := <-answer:
		t.Fatalf("answered %v before its state was as new", free)
	default:
	}
	second.state.reach(7)
	if <-answer {
		t.Error("the host went to two")
	}
}

func TestAStateThatStaysBehind(t *testing.T) {
	s := newServer()
	first, second := newReplica(t, s, nil), newReplica(t, s, nil)
	first.must(t, true, claimOf("a", "nginx", "shop.example.com"))
	first.state.reach(7)
	first.holds(t, "uid-a", 1, "shop.example.com")
	first.journalHas(t, 0)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	free, err := second.Hosts().Claim(ctx, claimOf("b", "nginx", "shop.example.com"))
	if free || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, %v", free, err)
	}
	second.state.reach(8)
	first.must(t, true, claimOf("c", "nginx", "blog.example.com"))
	second.must(t, true, claimOf("b", "nginx", "other.example.com"))
}

// What this replica sees while its write is on the way may settle a reservation: because the Ingress is stored, and
// not because its host is free.
func TestTheHolderIsSeenMeanwhile(t *testing.T) {
	s := newServer()
	first, second := newReplica(t, s, nil), newReplica(t, s, nil)
	first.must(t, true, claimOf("a", "nginx", "shop.example.com"))
	second.must(t, true, claimOf("c", "nginx", "any.example.com"))
	second.link.hold(true)
	answer := second.ask(t, claimOf("b", "nginx", "shop.example.com"))
	second.journalHas(t, 2)
	second.holds(t, "uid-a", 1, "shop.example.com")
	second.holds(t, "uid-a", 2, "shop.example.com") // with another path
	second.link.hold(false)
	if <-answer {
		t.Error("the host went to two")
	}
	first.must(t, true, claimOf("b", "nginx", "other.example.com")) // nothing is left that is in its way
}

// Two creates of one name have two uids. What becomes of one says nothing of the other, which may still be stored.
func TestOfTwoCreatesOfOneNameOneIsSettled(t *testing.T) {
	for _, sameReplica := range []bool{true, false} {
		s := newServer()
		first, second, third, later := newReplica(t, s, nil), newReplica(t, s, nil), newReplica(t, s, nil), newReplica(t, s, nil)
		slow, quick := claimOf("a", "nginx", "shop.example.com"), claimOf("a", "nginx", "shop.example.com")
		quick.UID = "uid-quick"
		first.must(t, true, slow)
		if !sameReplica {
			first = second
		}
		first.must(t, true, quick)
		for _, r := range []replica{first, third} {
			r.holds(t, "uid-quick", 1, "shop.example.com")
			r.lost()
			r.must(t, false, claimOf("b", "nginx", "shop.example.com"))
		}
		later.must(t, true, claimOf("x", "nginx", "x.example.com")) // which shows that it has seen the others
		later.turn(DefaultLife + time.Second)
		later.must(t, true, claimOf("b", "nginx", "shop.example.com"))
	}
}

func TestRefusedRequestsKeepNothing(t *testing.T) {
	s := newServer()
	first, second := newReplica(t, s, nil), newReplica(t, s, nil)
	first.must(t, true, claimOf("a", "nginx", "taken.example.org"))
	second.must(t, false, claimOf("b", "nginx", "shop.example.com", "taken.example.org", "www.example.net"))
	second.journalHas(t, 0)
	first.must(t, true, claimOf("c", "nginx", "shop.example.com", "www.example.net"))
	// What the same Ingress had before stays.
	second.must(t, true, claimOf("d", "nginx", "x.example.io"))
	second.must(t, false, claimOf("d", "nginx", "x.example.io", "taken.example.org"))
	first.must(t, false, claimOf("e", "nginx", "x.example.io"))
}

// The same request again takes the place of what it asked for before.
func TestTheSameAgain(t *testing.T) {
	r := newReplica(t, newServer(), nil)
	for range 5 {
		r.must(t, true, claimOf("a", "nginx", "shop.example.com"))
	}
	r.journalHas(t, 1)
}

func TestTheAPIServerIsGone(t *testing.T) {
	s := newServer()
	r := newReplica(t, s, nil)
	r.must(t, true, claimOf("z", "nginx", "z.example.com"))
	s.set(func() { s.failing = true })
	free, err := r.Hosts().Claim(t.Context(), claimOf("a", "nginx", "shop.example.com"))
	if free || err == nil || !strings.Contains(err.Error(), "reserve: write the journal: the API server is not there") {
		t.Errorf("%v, %v", free, err)
	}
	s.set(func() { s.failing = false })
	r.must(t, true, claimOf("b", "nginx", "shop.example.com"))
}

func TestTheAPIServerWasNeverThere(t *testing.T) {
	s := newServer()
	s.failing = true
	r := newReplica(t, s, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	free, err := r.Hosts().Claim(ctx, claimOf("a", "nginx", "shop.example.com"))
	if free || err == nil || !strings.Contains(err.Error(), "the reservations of other replicas are not known yet") {
		t.Errorf("%v, %v", free, err)
	}
}

// A write that was made and not answered is in nobody's way for long.
func TestAWriteWithoutAnswer(t *testing.T) {
	s := newServer()
	first, second := newReplica(t, s, nil), newReplica(t, s, nil)
	first.must(t, true, claimOf("z", "nginx", "z.example.com"))
	first.link.hold(true)
	s.set(func() { s.deaf = true })
	if free, err := first.Hosts().Claim(t.Context(), claimOf("a", "nginx", "shop.example.com")); free || err == nil {
		t.Errorf("%v, %v", free, err)
	}
	s.set(func() { s.deaf = false })
	first.link.hold(false)
	first.journalHas(t, 1)
	second.must(t, true, claimOf("b", "nginx", "shop.example.com"))
	first.must(t, false, claimOf("a", "nginx", "shop.example.com"))
}

// A watch that shows nothing is not waited for.
func TestAWatchThatStandsStill(t *testing.T) {
	s := newServer()
	first, second := newReplica(t, s, nil), newReplica(t, s, nil)
	first.must(t, true, claimOf("z", "nginx", "z.example.com"))
	second.must(t, true, claimOf("y", "nginx", "y.example.com"))
	second.link.hold(true)
	first.must(t, true, claimOf("a", "nginx", "shop.example.com"))
	second.must(t, false, claimOf("b", "nginx", "shop.example.com"))
	second.must(t, true, claimOf("b", "nginx", "blog.example.com"))
}

func TestALeaseThatCanNotBeRead(t *testing.T) {
	s := newServer()
	r := newReplica(t, s, nil)
	for what, text := range map[string]string{"no JSON": "?", "no record": "", "nothing": `{"entries": [{"id": "x"}]}`,
		"a hold of nothing": `{"entries": [{"id": "x", "hold": true}]}`} {
		lease := &coordinationv1.Lease{}
		lease.Namespace, lease.Name, lease.Annotations = "sluice-system", "broken", map[string]string{admittedAnnotation: text}
		s.set(func() { s.write(watch.Modified, lease) })
		claim := claimOf("b", "nginx", "blog."+strings.ReplaceAll(what, " ", "-")+".example.com")
		_, err := r.Hosts().Claim(t.Context(), claim)
		if err == nil || !strings.Contains(err.Error(), "the Lease sluice-system/broken can't be read, delete it") {
			t.Errorf("%s: %v", what, err)
		}
		s.set(func() { s.write(watch.Deleted, lease) })
		r.must(t, true, claim)
	}
}

// Somebody deletes a journal that is in use.
func TestADeletedJournal(t *testing.T) {
	s := newServer()
	first, second := newReplica(t, s, nil), newReplica(t, s, nil)
	first.must(t, true, claimOf("a", "nginx", "shop.example.com"))
	first.journalHas(t, 1)
	s.set(func() { s.write(watch.Deleted, s.leases[first.writer.name].DeepCopy()) })
	first.journalHas(t, 1)
	second.must(t, false, claimOf("b", "nginx", "shop.example.com"))
}

func TestBounds(t *testing.T) {
	r := newReplica(t, newServer(), nil)
	var err error
	for i := 0; i < 5000 && err == nil; i++ {
		claim := claimOf(fmt.Sprintf("n%d", i), "nginx", strings.Repeat("a", 50)+fmt.Sprint(i)+".example.org", strings.Repeat("b", 50)+fmt.Sprint(i)+".example.org")
		_, err = r.Hosts().Claim(t.Context(), claim)
	}
	if err == nil || !strings.Contains(err.Error(), "changes were admitted and have not been seen yet, more than can be reserved: try again later") {
		t.Errorf("many Ingresses: %v", err)
	}
}

// One namespace can't fill a journal that others need too.
func TestOneNamespaceLeavesRoom(t *testing.T) {
	r := newReplica(t, newServer(), nil)
	var err error
	for i := 0; i < 5000 && err == nil; i++ {
		var hosts []string
		for j := range 20 {
			hosts = append(hosts, fmt.Sprintf("%s-%d-%d.example.org", strings.Repeat("a", 40), i, j))
		}
		claim := claimOf("greedy", "nginx", hosts...)
		claim.Name = fmt.Sprint("web-", i)
		_, err = r.Hosts().Claim(t.Context(), claim)
	}
	if err == nil || !strings.Contains(err.Error(), "changes of namespace greedy were admitted and have not been seen yet, more than can be reserved: try again later") {
		t.Errorf("many Ingresses of one namespace: %v", err)
	}
	r.must(t, true, claimOf("other", "nginx", "shop.example.org"))
	var hosts []string
	for i := range 5000 {
		hosts = append(hosts, fmt.Sprintf("shop-%d.example.net", i))
	}
	if _, err := r.Hosts().Claim(t.Context(), claimOf("large", "nginx", hosts...)); err == nil || !strings.Contains(err.Error(), "the Ingress takes 5000 hosts at once, more than can be reserved: add them in several steps") {
		t.Errorf("one Ingress: %v", err)
	}
	r.must(t, true, claimOf("large", "nginx", hosts[:1500]...))
}

// What is asked while a write is under way is written together.
func TestWritesAreShared(t *testing.T) {
	s := newServer()
	s.slow = 20 * time.Millisecond
	r := newReplica(t, s, nil)
	r.must(t, true, claimOf("first", "nginx", "first.example.com"))
	writes := s.writes
	var group sync.WaitGroup
	for i := range 50 {
		group.Go(func() { r.must(t, true, claimOf(fmt.Sprint("n", i), "nginx", fmt.Sprintf("%d.example.com", i))) })
	}
	group.Wait()
	if n := s.writes - writes; n > 10 {
		t.Errorf("%d writes for 50 requests at once", n)
	}
}

// The journal of a replica that has gone is deleted once nothing in it lasts; what was deleted before lasts all the same.
func TestSweep(t *testing.T) {
	s := newServer()
	r := newReplica(t, s, nil)
	gone := &coordinationv1.Lease{}
	gone.Namespace, gone.Name = "sluice-system", "gone"
	gone.Annotations = map[string]string{admittedAnnotation: `{"entries": [{"id": "x", "ingress": {"namespace": "a", "name": "web", "class": "nginx", "hosts": {"rule": ["shop.example.com"]}}}]}`}
	s.set(func() { s.write(watch.Added, gone.DeepCopy()) })
	r.must(t, true, claimOf("b", "nginx", "shop.example.org"))
	r.turn(DefaultLife + holdTime - time.Second)
	if err := r.Sweep(t.Context()); err != nil || s.stored()["gone"] == nil {
		t.Errorf("too early: %v, left %v", err, s.stored())
	}
	r.turn(2 * time.Second)
	if err := r.Sweep(t.Context()); err != nil || s.stored()["gone"] != nil {
		t.Errorf("%v, left %v", err, s.stored())
	}

	again := newReplica(t, s, nil)
	s.set(func() { s.write(watch.Added, gone.DeepCopy()) })
	again.must(t, true, claimOf("c", "nginx", "shop.example.net"))
	s.set(func() { s.write(watch.Deleted, s.leases["gone"].DeepCopy()) })
	again.must(t, false, claimOf("b", "nginx", "shop.example.com"))
	again.turn(DefaultLife + holdTime + time.Second)
	if err := again.Sweep(t.Context()); err != nil {
		t.Error(err)
	}
	again.mu.Lock()
	defer again.mu.Unlock()
	if again.others["gone"] != nil {
		t.Error("what was deleted long ago is still known")
	}
}

// Whatever the order in which requests come to two replicas, no two of them have one name, and one has it.
func TestManyRequestsAtOnce(t *testing.T) {
	hosts := []string{"shop.example.com", "*.example.com", "alias *.example.com", "", "alias .com"}
	for range 40 {
		s := newServer()
		replicas := []replica{newReplica(t, s, nil), newReplica(t, s, nil)}
		var won atomic.Int64
		var group sync.WaitGroup
		for i, host := range hosts {
			group.Go(func() {
				free, err := replicas[i%2].Hosts().Claim(t.Context(), claimOf(fmt.Sprint("n", i), "nginx", host))
				if err != nil {
					t.Error(err)
				}
				if free {
					won.Add(1)
				}
			})
		}
		group.Wait()
		if won.Load() != 1 {
			t.Fatalf("%d winners", won.Load())
		}
	}
}

// BenchmarkClaim is what a reservation costs beside the API server's time; test/hosts measures that.
func BenchmarkClaim(b *testing.B) {
	r := newReplica(b, newServer(), nil)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		claim := claimOf("a", "nginx", fmt.Sprintf("shop.example-%d.com", i))
		claim.UID = types.UID(fmt.Sprint(i))
		free, err := r.Hosts().Claim(context.Background(), claim)
		if err != nil || !free {
			b.Fatal(free, err)
		}
		r.shows(b, claim)
	}
}
