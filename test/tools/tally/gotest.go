package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// event is a line of `go test -json`; see `go doc test2json` and `go help buildjson`.
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
}

// goTest writes what `go test` would, without packages that have no tests, and with the names of skipped tests.
func goTest(ctx context.Context, out io.Writer, args []string) (count, error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-json"}, args...)...)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return count{}, err
	}
	if err := cmd.Start(); err != nil {
		return count{}, fmt.Errorf("start go test: %w", err)
	}
	r := newReader(out)
	readErr := r.read(stdout)
	err = cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == 1 && r.total.failed > 0 {
		err = nil // the count says so
	}
	if err := errors.Join(err, readErr); err != nil {
		return r.total, fmt.Errorf("go test: %w", err)
	}
	return r.total, nil
}

// reader adds up events and writes what is worth reading.
type reader struct {
	out      io.Writer
	total    count
	output   map[string][]string // what a test printed, by package and test
	parents  map[string]bool     // tests with subtests
	failures map[string]int      // failed tests below a test, and below a package
}

func newReader(out io.Writer) *reader {
	return &reader{out: out, output: map[string][]string{}, parents: map[string]bool{}, failures: map[string]int{}}
}

func (r *reader) read(stream io.Reader) error {
	decoder := json.NewDecoder(stream)
	for {
		var e event
		if err := decoder.Decode(&e); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			_, _ = io.Copy(io.Discard, stream) // or go test would block
			return fmt.Errorf("read its events: %w", err)
		}
		r.add(e)
	}
}

func (r *reader) add(e event) {
	key := e.Package + " " + e.Test
	switch {
	case e.Action == "build-output":
		fmt.Fprint(r.out, e.Output)
	case e.Action == "output" && e.Test == "":
		if worthReading(e.Output) {
			fmt.Fprint(r.out, e.Output)
		}
	case e.Action == "output":
		r.output[key] = append(r.output[key], e.Output)
	case e.Action == "run":
		if i := strings.LastIndexByte(key, '/'); i > len(e.Package) {
			r.parents[key[:i]] = true
		}
	case e.Action == "skip" && e.Test != "":
		fmt.Fprintf(r.out, "skip\t%s %s\n", e.Package, lastLine(r.output[key]))
	case e.Action == "pass" && e.Test != "" && !r.parents[key]:
		r.total.passed++
	case e.Action == "fail":
		r.fail(e, key)
	}
	if e.Action == "pass" || e.Action == "fail" || e.Action == "skip" {
		delete(r.output, key)
	}
}

// fail counts a failed test, and a parent or a package only if nothing below it failed.
func (r *reader) fail(e event, key string) {
	fmt.Fprint(r.out, strings.Join(r.output[key], ""))
	if r.failures[key] > 0 {
		return
	}
	r.total.failed++
	r.failures[e.Package+" "]++
	for i := len(key) - 1; i > len(e.Package); i-- {
		if key[i] == '/' {
			r.failures[key[:i]]++
		}
	}
}

func worthReading(line string) bool {
	return line != "PASS\n" && line != "FAIL\n" && !strings.HasSuffix(line, "[no test files]\n") &&
		!strings.HasPrefix(line, "\t") // coverage of packages without tests
}

// lastLine is the result line of a skipped test with its reason in front.
func lastLine(output []string) string {
	text := strings.TrimSpace(strings.Join(output, ""))
	var words []string
	for line := range strings.SplitSeq(text, "\n") {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "===") {
			words = append(words, strings.TrimPrefix(line, "--- SKIP: "))
		}
	}
	return strings.Join(words, " ")
}
