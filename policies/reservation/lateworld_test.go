package reservation

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// lateWorld is what happens at the API server, and replicas that see it late, each in its time.
type lateWorld struct {
	*server
	replicas []replica

	mu     sync.Mutex
	events []func(r replica) // whose versions are 1, 2, …
}

func newLateWorld(t *testing.T, c *cluster, random *rand.Rand) *lateWorld {
	w := &lateWorld{server: newServer()}
	w.slow = time.Duration(random.IntN(3)) * time.Millisecond
	for range 3 {
		w.replicas = append(w.replicas, newReplicaThatHolds(t, w.server, c, 1+random.IntN(2)))
	}
	return w
}

// play has six clients ask so many times, while each replica looks at what happened with pauses of up to late microseconds.
func (w *lateWorld) play(t *testing.T, random *rand.Rand, asks int, late func() int, ask func(*testing.T, *rand.Rand)) {
	ctx, stop := context.WithCancel(t.Context())
	var shown, asked sync.WaitGroup
	for _, r := range w.replicas {
		seed, late := random.Uint64(), late()
		shown.Go(func() { w.show(ctx, r, late, rand.New(rand.NewPCG(seed, 1))) })
	}
	for range 6 {
		seed := random.Uint64()
		asked.Go(func() {
			random := rand.New(rand.NewPCG(seed, 2))
			for range asks {
				ask(t, random)
			}
		})
	}
	asked.Wait()
	stop()
	shown.Wait()
}

// show has a replica see what happened, until ctx ends.
func (w *lateWorld) show(ctx context.Context, r replica, late int, random *rand.Rand) {
	for seen := 0; ctx.Err() == nil; time.Sleep(time.Duration(random.IntN(late)) * time.Microsecond) {
		w.mu.Lock()
		events := w.events[seen:]
		w.mu.Unlock()
		for _, event := range events[:random.IntN(len(events)+1)] {
			seen++
			r.state.see(uint64(seen), func() { event(r) })
		}
	}
}

// disturb has a watch stand still for a moment, or writes be made and not answered.
func (w *lateWorld) disturb(r replica, random *rand.Rand) {
	if random.IntN(5) == 0 {
		r.link.hold(true)
		time.AfterFunc(time.Duration(random.IntN(4))*time.Millisecond, func() { r.link.hold(false) })
	}
	if random.IntN(20) == 0 {
		w.set(func() { w.deaf = true })
		time.AfterFunc(time.Millisecond, func() { w.set(func() { w.deaf = false }) })
	}
}
