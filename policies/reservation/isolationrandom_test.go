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
				c := newCluster()
				w := &policyWorld{lateWorld: newLateWorld(t, c, random), cluster: c}
				for _, r := range w.replicas {
					r.state.seen = map[string]stored{}
				}
				w.play(t, random, 40, func() int { return 1 + random.IntN(10_000) }, w.ask)
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

// policyWorld is what the API server has of NetworkPolicies.
type policyWorld struct {
	*lateWorld
	cluster *cluster // by w.mu and its own lock
	covered int      // admitted by holds
	shrunk  int      // policies for all pods that were taken away
}

// union is all pods that are isolated. It needs the cluster's lock.
func (w *policyWorld) union() (out pods) {
	for _, p := range w.cluster.policies {
		out |= p.selects()
	}
	return out
}

// store stores a policy in place of a version of it; 0 to create one, nil to delete it.
func (w *policyWorld) store(t *testing.T, name string, version int, to *stored) {
	w.cluster.mu.Lock()
	defer w.cluster.mu.Unlock()
	was := w.cluster.policies[name]
	if was.version != version {
		return // the API server would ask for admission anew
	}
	before := w.union()
	w.mu.Lock()
	defer w.mu.Unlock()
	change := func(policies map[string]stored) { delete(policies, name) }
	if to != nil {
		now := stored{len(w.events) + 1, to.apps}
		change = func(policies map[string]stored) { policies[name] = now }
	}
	change(w.cluster.policies)
	w.events = append(w.events, func(r replica) {
		r.state.seen = maps.Clone(r.state.seen)
		change(r.state.seen)
	})
	if lost := before &^ w.union(); lost != 0 {
		t.Errorf("pods %03b lost their isolation by a change of %s, which selected %03b", lost, name, was.selects())
	}
	if version > 0 && was.apps == nil && (to == nil || to.apps != nil) {
		w.shrunk++
	}
}

// ask creates, updates or deletes some policy.
func (w *policyWorld) ask(t *testing.T, random *rand.Rand) {
	for _, r := range w.replicas {
		r.turn(time.Second)
	}
	name, to := "all", &stored{}
	w.cluster.mu.Lock()
	if w.cluster.policies[name].version > 0 && random.IntN(30) > 0 {
		name = fmt.Sprintf("p%d", random.IntN(5))
	}
	if name != "all" && random.IntN(60) > 0 {
		to.apps = slices.DeleteFunc(slices.Clone(apps), func(string) bool { return random.IntN(2) == 0 })
	}
	was := w.cluster.policies[name]
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
		w.mu.Lock()
		w.covered++
		w.mu.Unlock()
	}
	return err == nil && admitted
}
