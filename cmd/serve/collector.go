package serve

import (
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// A review leaves some 40 KB of garbage beside a live heap of some 15 MB, which Go's default would collect every few hundred
// reviews. So the heap may grow to what suffices for some thousand reviews, if the state leaves room for that.
const (
	enough     = 120 << 20 // bytes of heap, of which none needs to be more
	beside     = 12 << 20  // of the runtime beside the heap
	minPercent = 50
	maxPercent = 800
)

// TuneCollector trades memory for time, until the process ends. GOGC, if set, wins. GOMEMLIMIT bounds all memory in any case: it is
// what the container may have, of which a tenth is for what Go does not count.
func TuneCollector() {
	most := debug.SetMemoryLimit(-1)
	if most < math.MaxInt64 {
		most = most / 10 * 9
		debug.SetMemoryLimit(most)
	}
	if os.Getenv("GOGC") == "" {
		t := &tuner{most: most}
		t.tune(0)
		t.follow()
	}
}

// tuner says how garbage is collected.
type tuner struct {
	most int64 // what GOMEMLIMIT leaves
	live int64 // by which it was last said; 0 before
}

// follow goes by what lives whenever garbage has been collected, which frees a sentinel.
func (t *tuner) follow() {
	sentinel := new(struct{ _ *int })
	runtime.AddCleanup(sentinel, func(t *tuner) { t.tune(liveHeap()); t.follow() }, t)
}

// tune goes by what lives, unless that is little else than before: setting it stops the world for a moment.
func (t *tuner) tune(live int64) {
	if t.live > 0 && 10*max(live-t.live, t.live-live) <= t.live {
		return
	}
	t.live = live
	debug.SetGCPercent(percentFor(live))
	debug.SetMemoryLimit(min(t.most, limitFor(live)))
}

// percentFor is the percentage of what lives at which the heap has grown to enough.
func percentFor(live int64) int {
	if live == 0 {
		return maxPercent
	}
	return min(max(int(enough*100/live)-100, minPercent), maxPercent)
}

// limitFor is what the runtime may keep: it returns to the system what it needed only to start.
func limitFor(live int64) int64 { return max(enough, live/8*13) + beside }

func liveHeap() int64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return int64(sample[0].Value.Uint64()) //nolint:gosec // no heap has half of all addresses
}
