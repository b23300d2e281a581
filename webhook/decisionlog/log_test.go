package decisionlog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/sluice-gate/sluice/policies/engine"
)

// output is a disk: it has room for some bytes, -1 for all, and can be made to hang.
type output struct {
	mu     sync.Mutex
	room   int
	data   bytes.Buffer
	failed int
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.room >= 0 && len(p) > o.room {
		n, _ := o.data.Write(p[:o.room])
		o.room = 0
		o.failed++
		return n, syscall.ENOSPC
	}
	if o.room >= 0 {
		o.room -= len(p)
	}
	return o.data.Write(p)
}

func (o *output) Close() error { return nil }

// fixture is a log to an output, with its metrics and what was said about it.
type fixture struct {
	*Log
	registry *prometheus.Registry
	said     *bytes.Buffer
}

func logTo(t *testing.T, o Options, out *output) fixture {
	t.Helper()
	f := fixture{registry: prometheus.NewRegistry(), said: &bytes.Buffer{}}
	var mu sync.Mutex
	o.Registerer, o.Log = f.registry, funcr.New(func(_, args string) {
		mu.Lock()
		defer mu.Unlock()
		f.said.WriteString(args + "\n")
	}, funcr.Options{})
	var err error
	if f.Log, err = start(o, out); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { finish(t, f.Log) })
	return f
}

func finish(t *testing.T, l *Log) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := l.Close(ctx); err != nil {
		t.Error(err)
	}
}

// value is a counter's, by its reason if it has one.
func (f fixture) value(t *testing.T, name, reason string) float64 {
	t.Helper()
	families, err := f.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if problems, err := promlint.NewWithMetricFamilies(families).Lint(); err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			if family.GetName() == name && (reason == "" || metric.GetLabel()[0].GetValue() == reason) {
				return metric.GetCounter().GetValue()
			}
		}
	}
	t.Fatalf("no %s %s", name, reason)
	return 0
}

func document(t *testing.T, text string) engine.Document {
	t.Helper()
	d, err := engine.ParseJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestEveryReviewIsALine(t *testing.T) {
	out := &output{room: -1}
	l := logTo(t, Options{}, out)
	entry := Entry{Time: time.Date(2026, 8, 1, 10, 0, 0, 0, time.UTC), Handler: "validate", UID: "1", User: "jane", Groups: []string{"g"},
		Operation: "CREATE", Kind: "Service", Namespace: "shop", Name: "web", Decision: "deny", DurationSeconds: 0.5,
		Findings: []Finding{{Policy: "p", Action: "deny", Message: "two\nlines", Field: "spec.type"}}}
	l.Add(entry, document(t, `{"kind":"Service"}`))
	l.Add(Entry{UID: "2"}, engine.Document{})
	finish(t, l.Log)
	want := `{"time":"2026-08-01T10:00:00Z","handler":"validate","uid":"1","user":"jane","groups":["g"],"operation":"CREATE","kind":"Service",` +
		`"namespace":"shop","name":"web","dryRun":false,"decision":"deny","findings":[{"policy":"p","action":"deny","message":"two\nlines","field":"spec.type"}],` +
		`"durationSeconds":0.5}`
	lines := strings.Split(out.data.String(), "\n")
	if len(lines) != 3 || lines[0] != want || !strings.Contains(lines[1], `"uid":"2"`) {
		t.Errorf("got  %s\nwant %s", lines, want)
	}
	if l.value(t, "sluice_decision_log_lines_total", "") != 2 {
		t.Error("lines are not counted")
	}
}

// A full disk takes a part of a line, then nothing; later there is room again.
func TestAFullDiskLosesLinesAndNothingElse(t *testing.T) {
	out := &output{room: 1000}
	l := logTo(t, Options{}, out)
	for range 20 {
		l.Add(Entry{UID: strings.Repeat("a", 100)}, engine.Document{})
		time.Sleep(time.Millisecond)
	}
	await(t, func() bool { out.mu.Lock(); defer out.mu.Unlock(); return out.failed > 2 && len(l.lines) == 0 })
	out.mu.Lock()
	out.room = -1
	out.mu.Unlock()
	l.Add(Entry{UID: "last"}, engine.Document{})
	finish(t, l.Log)
	good, bad := 0, 0
	lines := strings.Split(strings.TrimSuffix(out.data.String(), "\n"), "\n")
	for _, line := range lines {
		if json.Valid([]byte(line)) {
			good++
		} else {
			bad++
		}
	}
	if !strings.Contains(lines[len(lines)-1], `"uid":"last"`) || bad != 1 || good < 3 {
		t.Errorf("%d good lines, %d cut short: %s", good, bad, lines)
	}
	written, lost := l.value(t, "sluice_decision_log_lines_total", ""), l.value(t, "sluice_decision_log_dropped_total", "write_failed")
	if int(written) != good || written+lost != 21 {
		t.Errorf("%v written and %v lost are counted, %d are there", written, lost, good)
	}
	if said := l.said.String(); strings.Count(said, "can't be written") != 1 || strings.Count(said, "written again") != 1 {
		t.Errorf("said: %s", said)
	}
}

func await(t *testing.T, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it takes too long")
		}
	}
}

// An output that hangs holds nobody up, and costs a bounded amount of memory.
func TestAnOutputThatHangsHoldsNobodyUp(t *testing.T) {
	for name, size := range map[string]int{"many lines": 10, "large lines": 100 << 10} {
		t.Run(name, func(t *testing.T) {
			out := &output{room: -1}
			out.mu.Lock() // a write hangs
			l := logTo(t, Options{}, out)
			started := time.Now()
			const times = 2 * maxLines
			for range times {
				l.Add(Entry{UID: strings.Repeat("a", size)}, engine.Document{})
				if pending := l.pending.Load(); pending > maxBytes {
					t.Fatalf("%d bytes wait", pending)
				}
			}
			if took := time.Since(started); took > 10*time.Second {
				t.Errorf("took %v", took)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			defer cancel()
			if err := l.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("close waits for an output that hangs: %v", err)
			}
			out.mu.Unlock()
			finish(t, l.Log)
			written, lost := l.value(t, "sluice_decision_log_lines_total", ""), l.value(t, "sluice_decision_log_dropped_total", "queue_full")
			if written+lost != times || lost < maxLines/2 || int(written) != strings.Count(out.data.String(), "\n") {
				t.Errorf("%v written, %v lost", written, lost)
			}
		})
	}
}

func TestAFileIsFollowed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "decisions")
	if err := os.WriteFile(path, []byte("before\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := Open(Options{Output: path, Registerer: prometheus.NewRegistry(), Log: logr.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	has := func(path, text string) func() bool {
		return func() bool {
			data, _ := os.ReadFile(path)
			return strings.Contains(string(data), text) && !bytes.Contains(data, []byte{0})
		}
	}
	l.Add(Entry{UID: "one"}, engine.Document{})
	await(t, has(path, `"uid":"one"`))
	if !has(path, "before\n{")() {
		t.Error("the file is not appended to")
	}
	if err := os.Truncate(path, 0); err != nil { // logrotate's copytruncate
		t.Fatal(err)
	}
	l.Add(Entry{UID: "two"}, engine.Document{})
	await(t, has(path, `"uid":"two"`))
	if err := os.Rename(path, path+".1"); err != nil { // and its default
		t.Fatal(err)
	}
	time.Sleep(lookInterval)
	l.Add(Entry{UID: "three"}, engine.Document{})
	await(t, has(path, `"uid":"three"`))
	finish(t, l)
	if has(path, `"uid":"two"`)() || !has(path+".1", `"uid":"two"`)() {
		t.Error("lines are in the wrong file")
	}
	if _, err := Open(Options{Output: filepath.Join(path, "x"), Registerer: prometheus.NewRegistry()}); err == nil || !strings.Contains(err.Error(), "decision log") {
		t.Errorf("a file in a file: %v", err)
	}
}

// A disk that has a little room now and then is told of once, not with each line.
func TestADiskThatIsFullAgainAndAgainIsToldOfOnce(t *testing.T) {
	out := &output{room: -1}
	l := logTo(t, Options{}, out)
	for range 20 {
		out.mu.Lock()
		out.room, out.failed = 0, 0
		out.mu.Unlock()
		l.Add(Entry{UID: "lost"}, engine.Document{})
		await(t, func() bool { out.mu.Lock(); defer out.mu.Unlock(); return out.failed > 0 })
		out.mu.Lock()
		out.room = -1
		out.mu.Unlock()
		l.Add(Entry{UID: "kept"}, engine.Document{})
		await(t, func() bool {
			return l.value(t, "sluice_decision_log_lines_total", "") == float64(strings.Count(out.text(), "kept")) && len(l.lines) == 0
		})
	}
	finish(t, l.Log)
	if said := l.said.String(); strings.Count(said, "can't be written") != 1 || strings.Count(said, "written again") != 1 {
		t.Errorf("said: %s", said)
	}
}

func (o *output) text() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.data.String()
}
