package serve

import "testing"

func TestPercentFor(t *testing.T) {
	for live, want := range map[int64]int{0: 800, 1 << 20: 800, 20 << 20: 400, 40 << 20: 150, 50 << 20: 100, 80 << 20: 50, 1 << 30: 50} {
		if got := percentFor(live); got != want {
			t.Errorf("%d MiB live: %d %%, want %d", live>>20, got, want)
		}
	}
}

func TestLimitFor(t *testing.T) {
	for live, want := range map[int64]int64{0: 116, 15: 116, 60: 136, 200: 416} {
		if got := limitFor(live << 20); got != want<<20 {
			t.Errorf("%d MiB live: at most %d MiB, want %d", live, got>>20, want)
		}
	}
}
