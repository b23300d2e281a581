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
	objects int // of each kind, for each hook
	turn    int // so many are written before it is another hook's turn
	clients int
	pace    *rate.Limiter // nil for as fast as can be
}

func run(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("apiserver", flag.ContinueOnError)
	floor := flags.String("serve-floor", "", "run as the hook that allows everything, at this address (used by bench itself)")
	certDir := flags.String("cert-dir", "", "certificates of the hook")
	p := plan{}
	flags.IntVar(&p.objects, "objects", 2000, "Ingresses and NetworkPolicies for each hook")
	flags.IntVar(&p.turn, "turn", 50, "objects that are written before it is another hook's turn")
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

// compare has the hooks take turns, which are short, so that a change of the machine's speed hits all of them, and prints the table.
func compare(ctx context.Context, s *stage, p plan) error {
	fmt.Printf("%d cores, %s, API server, hooks and %d clients on the same cores; %d objects for each hook, in turns of %d; "+
		"a replica with these policies was ready %.1f s after its start\n\n", runtime.NumCPU(), runtime.Version(), p.clients, p.objects, p.turn, s.ready.Seconds())
	fmt.Println("| write | hook | writes/s | p50 | p99 | against allow-all | quarters of the turns |")
	fmt.Println("|---|---|---|---|---|---|---|")
	whole := map[hook][]measurement{} // each of them one turn of every write
	for _, op := range s.operations() {
		turns := map[hook][]measurement{}
		for first := 0; first < p.objects; first += p.turn {
			for _, h := range inTurn(first / p.turn) {
				m, err := timed(ctx, p, first, min(p.turn, p.objects-first), func(i int) error { return op.do(ctx, h, i) })
				if err != nil {
					return fmt.Errorf("%s, hook %s: %w", op.name, h, err)
				}
				turns[h] = append(turns[h], m)
			}
		}
		printTurns(op.name, turns)
		for h, ms := range turns {
			if whole[h] == nil {
				whole[h] = make([]measurement, len(ms))
			}
			for i, m := range ms {
				whole[h][i] = together([]measurement{whole[h][i], m})
			}
		}
	}
	printTurns("all of these", whole)
	return nil
}

// printTurns prints a row for each hook: by all turns together, and by each beside the allow-all hook's.
func printTurns(name string, turns map[hook][]measurement) {
	floor := together(turns[floorHook])
	for _, h := range hooks() {
		var ratios []float64
		for i, m := range turns[h] {
			ratios = append(ratios, m.rate()/turns[floorHook][i].rate())
		}
		slices.Sort(ratios)
		all := together(turns[h])
		fmt.Printf("| %s | %s | %.0f | %s | %s | %.2f | %.2f to %.2f |\n", name, h.title(), all.rate(), milliseconds(all.quantile(50)),
			milliseconds(all.quantile(99)), all.rate()/floor.rate(), ratios[len(ratios)/4], ratios[len(ratios)*3/4])
	}
}

// inTurn are the hooks, of which each round begins with another one: none always writes just after the same other has.
func inTurn(round int) []hook {
	all := hooks()
	at := round % len(all)
	return slices.Concat(all[at:], all[:at])
}

// measurement is the time of each write, sorted, and of all together.
type measurement struct {
	took time.Duration
	each []time.Duration
}

func together(turns []measurement) measurement {
	var out measurement
	for _, m := range turns {
		out.took += m.took
		out.each = append(out.each, m.each...)
	}
	slices.Sort(out.each)
	return out
}

func (m measurement) rate() float64 { return float64(len(m.each)) / m.took.Seconds() }

func (m measurement) quantile(percent int) float64 {
	return m.each[len(m.each)*percent/100].Seconds()
}

func milliseconds(seconds float64) string { return fmt.Sprintf("%.1f ms", seconds*1000) }
