// Command tally runs tests and adds up what they say.
//
//	tally go ARGUMENTS…   is `go test ARGUMENTS…`, ending with a line "N passed, N failed"
//	tally make TARGET…    runs make targets one by one, also after one that failed, and ends with such a line, the sum
//	                      of theirs. A target without such a line, or failing with none failed, counts as one check
//
// A test with subtests counts by these. Skipped tests are named and not counted. The exit code is 0, 1 if something
// failed, or 2 if it could not run.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	total, err := run(ctx, os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "tally:", err)
		stop()
		os.Exit(2)
	}
	fmt.Println(total)
	if total.failed > 0 {
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) (count, error) {
	if len(args) < 2 {
		return count{}, fmt.Errorf("usage: tally go ARGUMENTS… | tally make TARGET…")
	}
	switch args[0] {
	case "go":
		return goTest(ctx, os.Stdout, args[1:])
	case "make":
		return makeTargets(ctx, os.Stdout, args[1:])
	default:
		return count{}, fmt.Errorf("unknown command %q", args[0])
	}
}

// count is how many checks passed and failed. Its text is the summary line of `sluice test` too.
type count struct{ passed, failed int }

func (c count) String() string {
	return fmt.Sprintf("%d passed, %d failed", c.passed, c.failed)
}

func (c count) plus(other count) count {
	return count{passed: c.passed + other.passed, failed: c.failed + other.failed}
}
