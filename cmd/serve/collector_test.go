package serve

import (
	"math"
	"runtime"
	"runtime/debug"
	"testing"
)

func TestPercentFor(t *testing.T) {
	for live, want := range map[int64]int{0: 800, 1 << 20: 800, 22 << 20: 300, 44 << 20: 100, 80 << 20: 50, 1 << 30: 50} {
		if got := percentFor(live); got != want {
			t.Errorf("%d MiB live: %d %%, want %d", live>>20, got, want)
		}
	}
}

func TestLimitFor(t *testing.T) {
	for live, want := range map[int64]int64{0: 100, 15: 100, 64: 116, 200: 337} {
		if got := limitFor(live << 20); got != want<<20 {
			t.Errorf("%d MiB live: at most %d MiB, want %d", live, got>>20, want)
		}
	}
}

func TestMemoryIsBoundByTheContainersLimit(t *testing.T) {
	unbound := debug.SetMemoryLimit(-1)
	t.Cleanup(func() { debug.SetMemoryLimit(unbound) })
	for _, test := range []struct {
		limit, own string
		want       int64 // MiB; 0 is unbound
	}{
		{"", "", 0},
		{"524288000", "", 450},
		{"1048576000", "", 900},
		{"524288000", "100MiB", 0}, // the runtime has read it
	} {
		debug.SetMemoryLimit(unbound)
		t.Setenv("MEMORY_LIMIT", test.limit)
		t.Setenv("GOMEMLIMIT", test.own)
		want := unbound
		if test.want > 0 {
			want = test.want << 20
		}
		if err := boundMemory(); err != nil || debug.SetMemoryLimit(-1) != want {
			t.Errorf("MEMORY_LIMIT=%s GOMEMLIMIT=%s: the limit is %d, want %d; %v", test.limit, test.own, debug.SetMemoryLimit(-1), want, err)
		}
	}
	t.Setenv("GOMEMLIMIT", "")
	for _, limit := range []string{"512Mi", "0", "-1"} {
		t.Setenv("MEMORY_LIMIT", limit)
		if boundMemory() == nil {
			t.Errorf("MEMORY_LIMIT=%s was taken", limit)
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
