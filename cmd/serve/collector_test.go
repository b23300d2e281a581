package serve

import (
	"math"
	"runtime"
	"runtime/debug"
	"testing"
)

func TestPercentFor(t *testing.T) {
	for live, want := range map[int64]int{0: 800, 1 << 20: 800, 30 << 20: 300, 60 << 20: 100, 80 << 20: 50, 1 << 30: 50} {
		if got := percentFor(live); got != want {
			t.Errorf("%d MiB live: %d %%, want %d", live>>20, got, want)
		}
	}
}

func TestLimitFor(t *testing.T) {
	for live, want := range map[int64]int64{0: 132, 15: 132, 64: 132, 80: 142, 200: 337} {
		if got := limitFor(live << 20); got != want<<20 {
			t.Errorf("%d MiB live: at most %d MiB, want %d", live, got>>20, want)
		}
	}
}

func TestGoStaysBelowTheContainersLimit(t *testing.T) {
	limit := debug.SetMemoryLimit(-1)
	t.Cleanup(func() { debug.SetMemoryLimit(limit) })
	t.Setenv("GOGC", "100") // nothing else sets the limit
	for given, want := range map[int64]int64{500 << 20: 450 << 20, math.MaxInt64: math.MaxInt64} {
		debug.SetMemoryLimit(given)
		TuneCollector()
		if got := debug.SetMemoryLimit(-1); got != want {
			t.Errorf("with %d bytes Go's limit is %d, want %d", given, got, want)
		}
	}
}

// What lives may grow and shrink at any time: the limit follows, or Go would do nothing but collect.
func TestTheCollectorFollows(t *testing.T) {
	percent, limit := debug.SetGCPercent(100), debug.SetMemoryLimit(-1)
	t.Cleanup(func() { debug.SetGCPercent(percent); debug.SetMemoryLimit(limit) })
	known := &tuner{most: math.MaxInt64}
	for _, live := range []int64{0, 15 << 20, 100 << 20, 400 << 20, 20 << 20} {
		known.tune(live)
		if got := debug.SetMemoryLimit(-1); got != limitFor(live) {
			t.Errorf("%d MiB live: the limit is %d MiB", live>>20, got>>20)
		}
	}
	known.tune(21 << 20)
	if got := debug.SetMemoryLimit(-1); got != limitFor(20<<20) {
		t.Errorf("a small change: the limit is %d MiB", got>>20)
	}
	(&tuner{most: 50 << 20}).tune(400 << 20)
	if got := debug.SetMemoryLimit(-1); got != 50<<20 {
		t.Errorf("GOMEMLIMIT is 50 MiB, the limit %d MiB", got>>20)
	}
}

func TestTheCollectorSeesWhatLives(t *testing.T) {
	percent, limit := debug.SetGCPercent(100), debug.SetMemoryLimit(-1)
	known := &tuner{most: math.MaxInt64}
	known.tune(0)
	known.follow()
	held := make([]byte, 300<<20)
	for debug.SetMemoryLimit(-1) < 500<<20 { // or the test takes too long
		runtime.GC()
	}
	runtime.KeepAlive(held)
	debug.SetGCPercent(percent)
	debug.SetMemoryLimit(limit)
}
