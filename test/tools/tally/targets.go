package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"time"
)

// makeTargets runs the targets and writes their output, then a table of them. It returns no error because a target
// failed: the count says so.
func makeTargets(ctx context.Context, out io.Writer, targets []string) (count, error) {
	var total count
	var table []string
	for _, target := range targets {
		fmt.Fprintf(out, "\n== make %s\n", target)
		started := time.Now()
		sum, err := makeTarget(ctx, out, target)
		if ctx.Err() != nil {
			return total, errors.New("interrupted")
		}
		if err != nil {
			return total, fmt.Errorf("make %s: %w", target, err)
		}
		total = total.plus(sum)
		table = append(table, fmt.Sprintf("%-12s %5.0f s   %s", target, time.Since(started).Seconds(), sum))
	}
	fmt.Fprintln(out)
	for _, row := range table {
		fmt.Fprintln(out, row)
	}
	return total, nil
}

func makeTarget(ctx context.Context, out io.Writer, target string) (count, error) {
	cmd := exec.CommandContext(ctx, "make", "--no-print-directory", target)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // or what it started would go on
	reader, writer := io.Pipe()
	cmd.Stdout, cmd.Stderr = writer, os.Stderr
	sums := make(chan count)
	go func() { sums <- addUp(reader, out) }()
	err := cmd.Run()
	_ = writer.Close() // of a pipe, it never fails
	sum := <-sums

	exit, failed := errors.AsType[*exec.ExitError](err)
	switch {
	case err != nil && !failed:
		return sum, err
	case failed && exit.ExitCode() < 0:
		return sum, exit
	case failed && sum.failed == 0:
		sum.failed++
	case !failed && sum.failed > 0:
		return sum, fmt.Errorf("exit code 0 after %s", sum)
	case !failed && sum.passed == 0:
		sum.passed++
	}
	return sum, nil
}

// addUp copies lines and adds up those that are counts.
func addUp(in io.Reader, out io.Writer) count {
	line := regexp.MustCompile(`^(\d+) passed, (\d+) failed$`)
	var sum count
	reader := bufio.NewReader(in)
	for {
		text, err := reader.ReadString('\n')
		fmt.Fprint(out, text)
		if match := line.FindStringSubmatch(trimNewline(text)); match != nil {
			sum = sum.plus(count{passed: number(match[1]), failed: number(match[2])})
		}
		if err != nil {
			return sum
		}
	}
}

func trimNewline(text string) string {
	if n := len(text); n > 0 && text[n-1] == '\n' {
		return text[:n-1]
	}
	return text
}

// number reads digits. A count beyond an int is not one.
func number(digits string) int {
	n, err := strconv.Atoi(digits)
	if err != nil {
		return 0
	}
	return n
}
