package serve

import (
	"os"
	"runtime/debug"
)

// TuneCollector trades memory for time: a review leaves some 40 KB of garbage beside a live heap of some
// 15 MB, which Go's default would collect every few hundred reviews. GOGC, if set, wins; GOMEMLIMIT bounds
// the heap in any case.
func TuneCollector() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(800)
	}
}
