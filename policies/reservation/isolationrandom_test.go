package reservation

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/state"
)

// apps are the labels of all pods that there are.
var apps = []string{"a", "b", "c"}

// pods is a set of pods: a bit for each of apps.
type pods uint

const allPods pods = 1<<3 - 1

func (s stored) selects() pods {
	if s.apps == nil {
		return allPods
	}
	return podsOf(s.apps)
}

func podsOf(labels []string) (out pods) {
	for _, label := range labels {
		out |= 1 << slices.Index(apps, label)
	}
	return out
}

// isolated are the pods that a list of policies selects, but for one of them.
func isolated(list *engine.PolicyList, but string) (out pods) {
	for _, object := range objects(list) {
		if object.Get("metadata", "name").Text() == but {
			continue
		}
		expressions := object.Get("spec", "podSelector", "matchExpressions").Elements()
		if len(expressions) == 0 {
			return allPods
		}
		for _, value := range expressions[0].Get("values").Elements() {
			out |= podsOf([]string{value.Text()})
		}
	}
	return out
}

// Whatever policies are changed, where and when, and whatever a replica sees late: no pod loses its isolation, and nobody waits
// for ever.
func TestIsolationAtRandom(t *testing.T) {
	rounds := 60
	if testing.Short() {
		rounds = 10
	}
	var covered, shrunk sync.Map
	t.Run("worlds", func(t *testing.T) {
		for seed := range uint64(rounds) {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				random := rand.New(rand.NewPCG(seed, 7))
				w := &policyWorld{server: newServer(), cluster: newCluster()}
				w.server.slow = time.Duration(random.IntN(3)) * time.Millisecond
				for range 3 {
					r := newReplicaThatHolds(t, w.server, w.cluster, 1+random.IntN(2))
					r.state.seen = map[string]stored{}
					w.replicas = append(w.replicas, r)
				}
				w.play(t, random)
				covered.Store(seed, w.covered)
				shrunk.Store(seed, w.shrunk)
			})
		}
	})
	for what, counts := range map[string]*sync.Map{"admitted by holds": &covered, "policies for all pods taken away": &shrunk} {
		total := 0
		counts.Range(func(_, n any) bool { total += n.(int); return true })
		t.Logf("%s: %d", what, total)
		if total < 2*rounds {
			t.Errorf("%s: only %d in %d worlds", what, total, rounds)
		}
	}
}

// policyWorld is what the API server has of NetworkPolicies, and replicas that see it late, each in its time.
type policyWorld struct {
	*server
	*cluster // whose lock is for what follows, too
	replicas []replica
	events   []policyEvent // of which the first has version 1
	covered  int           // admitted by holds
	shrunk   int           // policies for all pods that were taken away
}

type policyEvent struct {
	name  string
	there bool
	stored
}

// union is all pods that are isolated. It needs the lock.
func (w *policyWorld) union() (out pods) {
	for _, p := range w.policies {
		out |= p.selects()
	}
	return out
}

// change stores a policy in place of a version of it; 0 to create one, nil to delete it.
func (w *policyWorld) store(t *testing.T, name string, version int, to *stored) {
	w.cluster.mu.Lock()
	defer w.cluster.mu.Unlock()
	was := w.policies[name]
	if was.version != version {
		return // the API server would ask for admission anew
	}
	before := w.union()
	event := policyEvent{name: name, there: to != nil}
	if to == nil {
		delete(w.policies, name)
	} else {
		event.stored = stored{len(w.events) + 1, to.apps}
		w.policies[name] = event.stored
	}
	w.events = append(w.events, event)
	if lost := before &^ w.union(); lost != 0 {
		t.Errorf("pods %03b lost their isolation by a change of %s, which selected %03b", lost, name, was.selects())
	}
	if version > 0 && was.apps == nil && (to == nil || to.apps != nil) {
		w.shrunk++
	}
}

// show has a replica see what is stored, until ctx ends.
func (w *policyWorld) show(ctx context.Context, r replica, random *rand.Rand) {
	late := 1 + random.IntN(10_000)
	for seen := 0; ctx.Err() == nil; time.Sleep(time.Duration(random.IntN(late)) * time.Microsecond) {
		w.cluster.mu.Lock()
		events := w.events[seen:]
		w.cluster.mu.Unlock()
		for _, event := range events[:random.IntN(len(events)+1)] {
			seen++
			r.state.see(uint64(seen), func() {
				r.state.seen = maps.Clone(r.state.seen)
				if event.there {
					r.state.seen[event.name] = event.stored
				} else {
					delete(r.state.seen, event.name)
				}
			})
		}
	}
}

func (w *policyWorld) play(t *testing.T, random *rand.Rand) {
	ctx, stop := context.WithCancel(t.Context())
	var shown, asked sync.WaitGroup
	for _, r := range w.replicas {
		seed := random.Uint64()
		shown.Go(func() { w.show(ctx, r, rand.New(rand.NewPCG(seed, 1))) })
	}
	for range 6 {
		seed := random.Uint64()
		asked.Go(func() {
			random := rand.New(rand.NewPCG(seed, 2))
			for range 40 {
				w.ask(t, random)
			}
		})
	}
	asked.Wait()
	stop()
	shown.Wait()
}

// ask creates, updates or deletes some policy.
func (w *policyWorld) ask(t *testing.T, random *rand.Rand) {
	for _, r := range w.replicas {
		r.turn(time.Second)
	}
	name, to := "all", &stored{}
	w.cluster.mu.Lock()
	if w.policies[name].version > 0 && random.IntN(30) > 0 {
		name = fmt.Sprintf("p%d", random.IntN(5))
	}
	if name != "all" && random.IntN(60) > 0 {
		to.apps = slices.DeleteFunc(slices.Clone(apps), func(string) bool { return random.IntN(2) == 0 })
	}
	was := w.policies[name]
	w.cluster.mu.Unlock()
	if was.version > 0 && random.IntN(2) == 0 {
		to = nil
	}
	if was.version == 0 || to != nil && was.selects()&^to.selects() == 0 {
		w.store(t, name, was.version, to)
		return
	}
	r := w.replicas[random.IntN(len(w.replicas))]
	w.disturb(r, random)
	if !w.claim(t, r, name, was, to) || random.IntN(10) == 0 {
		return
	}
	if random.IntN(2) > 0 {
		time.Sleep(time.Duration(random.IntN(15000)) * time.Microsecond) // between admission and storage
	}
	w.store(t, name, was.version, to)
}

// disturb has a watch stand still for a moment, or writes without an answer.
func (w *policyWorld) disturb(r replica, random *rand.Rand) {
	if random.IntN(5) == 0 {
		r.link.hold(true)
		time.AfterFunc(time.Duration(random.IntN(4))*time.Millisecond, func() { r.link.hold(false) })
	}
	if random.IntN(20) == 0 {
		w.set(func() { w.deaf = true })
		time.AfterFunc(time.Millisecond, func() { w.set(func() { w.deaf = false }) })
	}
}

// claim tells whether a change is admitted.
func (w *policyWorld) claim(t *testing.T, r replica, name string, was stored, to *stored) bool {
	document, err := was.document("shop", name)
	if err != nil {
		t.Error(err)
		return false
	}
	var keeps pods
	if to != nil {
		keeps = to.selects()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	fine := func(list *engine.PolicyList) bool { return was.selects()&^(keeps|isolated(list, name)) == 0 }
	admitted, judged := true, false
	err = r.Isolation().Claim(ctx, state.ChangeOf("shop", document), fine, func(left state.Remaining) bool {
		admitted, judged = fine(left.Policies), true
		if !admitted {
			time.Sleep(rand.N(3 * time.Millisecond)) // the API server is asked for the namespace
		}
		return admitted
	})
	switch {
	case err != nil && strings.Contains(err.Error(), "does not answer"): // clocks are faster than replicas
	case err != nil && !strings.Contains(err.Error(), "reserve: write the journal"):
		t.Errorf("%s: %v", name, err)
	case err == nil && !judged:
		w.cluster.mu.Lock()
		w.covered++
		w.cluster.mu.Unlock()
	}
	return err == nil && admitted
}
