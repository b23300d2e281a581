package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/sluice-gate/sluice/test/memory"
)

// soakObjects are written again and again, beside soakHeld Ingresses and as many NetworkPolicies that stay; sampleInterval is the
// time between two looks at the process.
const (
	soakObjects    = 200
	soakHeld       = 10_000
	sampleInterval = 5 * time.Second
)

// A soak fails if what lives in the process grows by more than this from the second quarter of the time to the last, or if it ever
// took more memory than it should. In the first quarter caches fill.
const (
	maxHeapGrowth      = 1.1 // times
	maxGoroutineGrowth = 20
	maxPeak            = 200 << 20 // bytes
)

// sample is what the process holds at one moment. heap is what was alive when garbage was last collected.
type sample struct{ heap, resident, goroutines float64 }

// soak has Sluice asked about writes for a long time, at half of the rate that the machine can do.
func soak(ctx context.Context, s *stage, p plan, length time.Duration) error {
	started := time.Now()
	writes, err := s.writeAll(ctx, p)
	if err != nil {
		return fmt.Errorf("measure the peak: %w", err)
	}
	peak := float64(writes) / time.Since(started).Seconds()
	p.pace = rate.NewLimiter(rate.Limit(peak/2), p.clients)
	fmt.Printf("ready %.1f s after the start; peak %.0f writes/s, soak at %.0f for %s beside %d Ingresses and %d NetworkPolicies\n",
		s.ready.Seconds(), peak, peak/2, length, soakHeld, soakHeld)
	samples := make(chan []sample, 1)
	sampling, stop := context.WithCancel(ctx)
	go func() { samples <- s.sampleUntil(sampling) }()
	writes = 0
	for end := time.Now().Add(length); err == nil && time.Now().Before(end); {
		var more int
		more, err = s.writeAll(ctx, p)
		writes += more
	}
	stop()
	all := <-samples
	if err != nil {
		return fmt.Errorf("after %d writes: %w", writes, err)
	}
	return errors.Join(judge(all, writes), s.judgePeak())
}

// writeAll makes every operation on soakObjects objects, and counts the writes.
func (s *stage) writeAll(ctx context.Context, p plan) (int, error) {
	writes := 0
	for _, op := range s.operations() {
		m, err := timed(ctx, p, 0, soakObjects, func(i int) error { return op.do(ctx, sluiceHook, i) })
		if err != nil {
			return writes, fmt.Errorf("%s: %w", op.name, err)
		}
		writes += len(m.each)
	}
	return writes, nil
}

// judgePeak prints how much memory the process has taken at most, and fails if that is too much.
func (s *stage) judgePeak() error {
	peak, err := memory.Peak(s.replica.Pid())
	if err != nil {
		return err
	}
	fmt.Printf("\nat most %d MiB resident\n", peak>>20)
	if peak > maxPeak {
		return fmt.Errorf("more than %d MiB", maxPeak>>20)
	}
	return nil
}

// judge prints what the process held in each quarter of the time, and fails if that grew.
func judge(all []sample, writes int) error {
	if len(all) < 8 {
		return fmt.Errorf("%d samples say nothing: soak longer", len(all))
	}
	fmt.Printf("\n%d writes, no error; medians of each quarter:\n\n| quarter | live heap | resident | goroutines |\n|---|---|---|---|\n", writes)
	var quarters [4]sample
	for i := range quarters {
		part := all[i*len(all)/4 : (i+1)*len(all)/4]
		quarters[i] = sample{pick(part, func(s sample) float64 { return s.heap }), pick(part, func(s sample) float64 { return s.resident }),
			pick(part, func(s sample) float64 { return s.goroutines })}
		fmt.Printf("| %d | %.0f MiB | %.0f MiB | %.0f |\n", i+1, quarters[i].heap/(1<<20), quarters[i].resident/(1<<20), quarters[i].goroutines)
	}
	before, after := quarters[1], quarters[3]
	switch {
	case after.heap > before.heap*maxHeapGrowth:
		return errors.New("the heap grows")
	case after.goroutines > before.goroutines+maxGoroutineGrowth:
		return errors.New("goroutines pile up")
	}
	return nil
}

func pick(samples []sample, of func(sample) float64) float64 {
	var values []float64
	for _, s := range samples {
		values = append(values, of(s))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// sampleUntil looks at the process until the context ends.
func (s *stage) sampleUntil(ctx context.Context) []sample {
	var all []sample
	tick := time.NewTicker(sampleInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return all
		case <-tick.C:
		}
		if one, err := s.sample(ctx); err == nil { // one that is missing is no reason to end
			all = append(all, one)
		}
	}
}

func (s *stage) sample(ctx context.Context) (sample, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.replica.Metrics+"/metrics", nil)
	if err != nil {
		return sample{}, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return sample{}, err
	}
	defer response.Body.Close()
	values := map[string]float64{}
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if name, value, ok := strings.Cut(lines.Text(), " "); ok {
			values[name], _ = strconv.ParseFloat(value, 64) // comments are no numbers, and not asked for
		}
	}
	return sample{values["go_gc_heap_live_bytes"], values["process_resident_memory_bytes"], values["go_goroutines"]}, lines.Err()
}
