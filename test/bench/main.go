// Command bench measures reviews a second of Sluice against the floor that most webhooks start from:
// controller-runtime's admission.Webhook that allows everything. Both run as processes of their own on
// loopback, behind the same TLS server, in one run, in turn, on the same requests.
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

	"github.com/sluice-gate/sluice/test/memory"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
}

// plan is what one run measures.
type plan struct {
	rounds int
	each   time.Duration // one measurement
	warmUp time.Duration
	http1  bool
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	serve := flags.String("serve", "", "run as the server `floor` or `sluice` (used by bench itself)")
	certDir := flags.String("cert-dir", "", "certificates of the server")
	port := flags.Int("port", 0, "port of the server")
	p := plan{}
	flags.IntVar(&p.rounds, "rounds", 5, "measurements of each server, in turn")
	flags.DurationVar(&p.each, "time", 4*time.Second, "length of one measurement")
	flags.DurationVar(&p.warmUp, "warm-up", 2*time.Second, "load on each server before the first measurement")
	flags.BoolVar(&p.http1, "http1", false, "ask over HTTP/1.1, as an API server does, in place of HTTP/2")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *serve != "" {
		return serveReviews(ctx, *serve, *certDir, *port)
	}
	return compare(ctx, p)
}

// compare starts both servers and prints the table.
func compare(ctx context.Context, p plan) (err error) {
	dir, err := os.MkdirTemp("", "sluice-bench-")
	if err != nil {
		return fmt.Errorf("temporary folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	servers, err := startServers(ctx, dir)
	if err != nil {
		return err
	}
	defer servers.stop()
	protocol := "HTTP/2"
	if p.http1 {
		protocol = "HTTP/1.1"
	}
	fmt.Printf("%d cores, %s, client on the same cores, %s over TLS, %d rounds of %s each; median of rounds\n\n",
		runtime.NumCPU(), runtime.Version(), protocol, p.rounds, p.each)
	fmt.Println("| request | workers | server | reviews/s | p50 | p99 | ratio |")
	fmt.Println("|---|---|---|---|---|---|---|")
	for _, sample := range samples() {
		for _, workers := range []workers{{n: 1}, {n: 8}, {n: 8, rate: 1000}} {
			if err := measure(ctx, p, servers, sample, workers); err != nil {
				return err
			}
		}
	}
	fmt.Println()
	for _, s := range servers {
		peak, err := memory.Peak(s.process.Process.Pid)
		if err != nil {
			return err
		}
		fmt.Printf("peak memory of %s: %d MiB\n", s.name, peak>>20)
	}
	return nil
}

// measure prints one row per server: both are loaded in turn, so that a change of the machine's speed hits both.
func measure(ctx context.Context, p plan, servers servers, sample sample, workers workers) error {
	results := make([][]result, len(servers))
	for round := range p.rounds + 1 {
		for i, s := range servers {
			each := p.each
			if round == 0 {
				each = p.warmUp
			}
			// The floor allows what Sluice denies: only the answer's cost is compared.
			r, err := load(ctx, newClient(p.http1), s.url, sample, workers, each, sample.allowed || s.name == floorName)
			if err != nil {
				return fmt.Errorf("%s, %s: %w", s.name, sample.name, err)
			}
			if round > 0 {
				results[i] = append(results[i], r)
			}
		}
	}
	var ratios []float64
	for round := range p.rounds {
		ratios = append(ratios, results[1][round].rate()/results[0][round].rate())
	}
	for i, s := range servers {
		ratio := "1"
		if i > 0 {
			ratio = fmt.Sprintf("%.2f", median(ratios))
		}
		fmt.Printf("| %s | %s | %s | %.0f | %s | %s | %s |\n", sample.name, workers, s.name, median(pick(results[i], result.rate)),
			milliseconds(median(pick(results[i], result.p50))), milliseconds(median(pick(results[i], result.p99))), ratio)
	}
	return nil
}

func pick(results []result, of func(result) float64) []float64 {
	out := make([]float64, len(results))
	for i, r := range results {
		out[i] = of(r)
	}
	return out
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

func milliseconds(seconds float64) string { return fmt.Sprintf("%.2f ms", seconds*1000) }
