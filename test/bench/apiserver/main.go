// Command apiserver measures what hooks cost those who write objects: a real API server takes the same writes without any
// hook, with one that allows everything, with Sluice, and with a ValidatingAdmissionPolicy, in turn, in one run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/time/rate"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	log.SetLogger(logr.Discard()) // what the client says of itself
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
}

// plan is what one run measures.
type plan struct {
	objects int // of each kind, in each round
	rounds  int
	clients int
	pace    *rate.Limiter // nil for as fast as can be
}

func run(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("apiserver", flag.ContinueOnError)
	floor := flags.String("serve-floor", "", "run as the hook that allows everything, at this address (used by bench itself)")
	certDir := flags.String("cert-dir", "", "certificates of the hook")
	p := plan{}
	flags.IntVar(&p.objects, "objects", 2000, "Ingresses and NetworkPolicies of each round")
	flags.IntVar(&p.rounds, "rounds", 3, "measurements of each hook, in turn")
	flags.IntVar(&p.clients, "clients", 8, "clients that write at the same time")
	length := flags.Duration("soak", 0, "in place of comparing, have Sluice asked about writes for so long, and see whether it grows")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *floor != "" {
		return serveFloor(ctx, *floor, *certDir)
	}
	held := 0
	if *length > 0 {
		held = soakHeld
	}
	s, err := newStage(ctx, held)
	defer func() { err = errors.Join(err, s.stop()) }()
	if err != nil {
		return err
	}
	if *length > 0 {
		return soak(ctx, s, p, *length)
	}
	return compare(ctx, s, p)
}

// compare measures all hooks round by round, so that a change of the machine's speed hits all of them, and prints the table.
func compare(ctx context.Context, s *stage, p plan) error {
	results := map[string]map[string][]measurement{} // by operation and hook
	for round := range p.rounds {
		for _, h := range hooks() {
			if err := s.use(ctx, h); err != nil {
				return fmt.Errorf("%s: %w", h, err)
			}
			measured, err := s.measure(ctx, p)
			if err != nil {
				return fmt.Errorf("%s, round %d: %w", h, round+1, err)
			}
			for operation, m := range measured {
				if results[operation] == nil {
					results[operation] = map[string][]measurement{}
				}
				results[operation][h] = append(results[operation][h], m)
			}
		}
	}
	fmt.Printf("%d cores, %s, API server, hooks and %d clients on the same cores; %d objects, median of %d rounds\n\n",
		runtime.NumCPU(), runtime.Version(), p.clients, p.objects, p.rounds)
	fmt.Println("| write | hook | writes/s | p50 | p99 | against allow-all |")
	fmt.Println("|---|---|---|---|---|---|")
	for _, operation := range operations() {
		for _, h := range hooks() {
			all := results[operation][h]
			var ratios []float64
			for round, m := range all {
				ratios = append(ratios, m.rate()/results[operation][floorHook][round].rate())
			}
			fmt.Printf("| %s | %s | %.0f | %s | %s | %.2f |\n", operation, h, median(all, measurement.rate),
				milliseconds(median(all, func(m measurement) float64 { return m.quantile(50) })),
				milliseconds(median(all, func(m measurement) float64 { return m.quantile(99) })), middle(ratios))
		}
	}
	return nil
}

// measurement is the time of each write, sorted, and of all together.
type measurement struct {
	took time.Duration
	each []time.Duration
}

func (m measurement) rate() float64 { return float64(len(m.each)) / m.took.Seconds() }

func (m measurement) quantile(percent int) float64 {
	return m.each[len(m.each)*percent/100].Seconds()
}

func median(all []measurement, of func(measurement) float64) float64 {
	var values []float64
	for _, m := range all {
		values = append(values, of(m))
	}
	return middle(values)
}

func middle(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

func milliseconds(seconds float64) string { return fmt.Sprintf("%.1f ms", seconds*1000) }
