package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// runs receives what a watched command prints, and lets a test wait for a text.
type runs struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{}
}

func (r *runs) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case r.more <- struct{}{}:
	default:
	}
	return r.text.Write(p)
}

// next waits for a text, and takes it and what is before it away.
func (r *runs) next(t *testing.T, want string) string {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		r.mu.Lock()
		before, _, found := strings.Cut(r.text.String(), want)
		if found {
			r.text.Next(len(before) + len(want))
		}
		seen := r.text.String()
		r.mu.Unlock()
		if found {
			return before
		}
		select {
		case <-r.more:
		case <-deadline:
			t.Fatalf("no %q in\n%s", want, seen)
		}
	}
}

const watchedTest = "package x_test\n\ntest_it if 1 == 1\n"

// Every save of a file, in a folder that is new too, runs the tests again; what is broken for a while ends nothing.
func TestWatch(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "x_test.rego")
	write(t, file, watchedTest)
	ctx, interrupt := context.WithCancel(context.Background())
	defer interrupt()
	out := &runs{more: make(chan struct{}, 1)}
	done := make(chan int, 1)
	go func() {
		done <- run(ctx, []string{"test", "--watch", dir}, streams{strings.NewReader(""), out, out})
	}()
	const settledAgain = "Watching for changes; Ctrl-C ends.\n"

	out.next(t, "1 passed, 0 failed\n"+settledAgain)
	write(t, file, strings.Replace(watchedTest, "1 == 1", "1 == 2", 1))
	if got := out.next(t, "0 passed, 1 failed\n"+settledAgain); !strings.Contains(got, "-2\n        +1\n") {
		t.Errorf("no difference in\n%s", got)
	}
	write(t, file, "package x_test\n\ntest_it if {\n")
	out.next(t, "x_test.rego:3:12: unexpected eof token\n\ttest_it if {\n\t           ^\n"+settledAgain)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	out.next(t, "no tests in "+dir)
	out.next(t, settledAgain)
	below := filepath.Join(dir, "area", "rule")
	if err := os.MkdirAll(below, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(below, "x_test.rego"), watchedTest)
	out.next(t, "1 passed, 0 failed\n"+settledAgain)
	// An editor that writes another file and moves it over.
	write(t, filepath.Join(below, ".x.swp"), strings.Replace(watchedTest, "1 == 1", "3 == 4", 1))
	if err := os.Rename(filepath.Join(below, ".x.swp"), filepath.Join(below, "x_test.rego")); err != nil {
		t.Fatal(err)
	}
	out.next(t, "0 passed, 1 failed\n"+settledAgain)

	interrupt()
	select {
	case code := <-done:
		if code != 0 {
			t.Errorf("exit %d after Ctrl-C", code)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("Ctrl-C does not end it")
	}
}

func TestWatchOfNothing(t *testing.T) {
	stdout, stderr, code := sluice(t, "", "test", "--watch", filepath.Join(t.TempDir(), "nowhere"))
	if code != 2 || stdout != "" || !strings.Contains(stderr, "no such file or directory") {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
}
