// Package decisionlog writes one line of JSON for each review. It never holds a review up: what the output does not take in
// time, or at all, is counted and lost.
package decisionlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-gate/sluice/policies/engine"
)

// Stdout as Options.Output is the standard output. Sluice's own log goes to the standard error.
const Stdout = "stdout"

// Options say what is logged where.
type Options struct {
	// Output is Stdout or the path of a file, which is made if need be, appended to, and opened anew when somebody has moved it
	// away; a file that is copied and truncated is as well.
	Output  string
	Objects bool // log the objects, too
	Masks   Masks
	// Registerer takes the metrics. Log is told when the output takes no more, at most once a minute, and when it does again.
	Registerer prometheus.Registerer
	Log        logr.Logger
}

// What waits to be written is bounded in lines and bytes, so that a slow output costs a known amount of memory.
const (
	maxLines = 4096
	maxBytes = 8 << 20
	maxBatch = 64 << 10 // bytes that are written at once
)

// sayInterval is the time between two times that Log is told of an output that takes no more, such as a disk that is full again and
// again.
const sayInterval = time.Minute

// Log is open until Close. It is safe for concurrent use.
type Log struct {
	objects bool
	masks   Masks
	log     logr.Logger
	out     io.WriteCloser

	lines   chan []byte
	pending atomic.Int64 // bytes in lines
	full    atomic.Bool  // a line did not fit; until half is free, none is encoded for nothing
	stop    chan struct{}
	stopped chan struct{}
	close   sync.Once

	written prometheus.Counter
	dropped *prometheus.CounterVec

	// Of the writer alone:
	said time.Time // when Log was last told that the output takes no more
	told bool      // and not yet that it does again
	torn bool      // the last write ended within a line
}

// Open begins a log.
func Open(o Options) (*Log, error) {
	if o.Output == Stdout {
		return start(o, keptOpen{os.Stdout})
	}
	out, err := openFile(o.Output)
	if err != nil {
		return nil, fmt.Errorf("open the decision log: %w", err)
	}
	return start(o, out)
}

func start(o Options, out io.WriteCloser) (*Log, error) {
	if o.Registerer == nil {
		return nil, errors.New("open the decision log: Registerer is required")
	}
	l := &Log{
		objects: o.Objects, masks: o.Masks, log: o.Log, out: out,
		lines: make(chan []byte, maxLines), stop: make(chan struct{}), stopped: make(chan struct{}),
		written: prometheus.NewCounter(prometheus.CounterOpts{Name: "sluice_decision_log_lines_total", Help: "Lines written to the decision log."}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sluice_decision_log_dropped_total",
			Help: "Lines that are missing in the decision log, by why: queue_full (the output is too slow), write_failed (such as a full disk) or encode_failed."}, []string{"reason"}),
	}
	for _, reason := range []string{"queue_full", "write_failed", "encode_failed"} {
		l.dropped.WithLabelValues(reason)
	}
	if err := errors.Join(o.Registerer.Register(l.written), o.Registerer.Register(l.dropped)); err != nil {
		return nil, fmt.Errorf("register metrics of the decision log: %w", err)
	}
	go l.run()
	return l, nil
}

// Add logs a review. object is what was judged; it may be absent.
func (l *Log) Add(entry Entry, object engine.Document) {
	if l.full.Load() && (l.pending.Load() > maxBytes/2 || len(l.lines) > maxLines/2) {
		l.dropped.WithLabelValues("queue_full").Inc()
		return
	}
	line, err := l.encode(entry, object)
	if err != nil {
		l.dropped.WithLabelValues("encode_failed").Inc()
		return
	}
	if fits := l.enqueue(line); !fits {
		l.dropped.WithLabelValues("queue_full").Inc()
		l.full.Store(true)
	} else if l.full.Load() {
		l.full.Store(false)
	}
}

func (l *Log) enqueue(line []byte) bool {
	size := int64(len(line))
	if l.pending.Add(size) <= maxBytes {
		select {
		case l.lines <- line:
			return true
		default:
		}
	}
	l.pending.Add(-size)
	return false
}

// Close writes what waits, unless the context ends before. What is added after it is lost.
func (l *Log) Close(ctx context.Context) error {
	l.close.Do(func() { close(l.stop) })
	select {
	case <-l.stopped:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("close the decision log: %w", ctx.Err())
	}
}

func (l *Log) run() {
	defer close(l.stopped)
	defer l.out.Close()
	for {
		select {
		case line := <-l.lines:
			l.write(l.batch(line))
		case <-l.stop:
			for {
				select {
				case line := <-l.lines:
					l.write(l.batch(line))
				default:
					return
				}
			}
		}
	}
}

// batch is a line and what else waits.
func (l *Log) batch(line []byte) []byte {
	l.pending.Add(-int64(len(line)))
	for len(line) < maxBatch {
		select {
		case next := <-l.lines:
			l.pending.Add(-int64(len(next)))
			line = append(line, next...)
		default:
			return line
		}
	}
	return line
}

// write writes whole lines. After one that was cut short by an error the next begins on a line of its own.
func (l *Log) write(lines []byte) {
	total := bytes.Count(lines, []byte("\n"))
	offset := 0
	if l.torn {
		lines, offset = append([]byte("\n"), lines...), 1
	}
	n, err := l.out.Write(lines)
	if n > 0 {
		l.torn = lines[n-1] != '\n'
	}
	whole := bytes.Count(lines[min(n, offset):n], []byte("\n"))
	l.written.Add(float64(whole))
	if err == nil {
		if l.told {
			l.log.Info("the decision log is written again")
		}
		l.told = false
		return
	}
	l.dropped.WithLabelValues("write_failed").Add(float64(total - whole))
	if now := time.Now(); now.Sub(l.said) >= sayInterval {
		l.said, l.told = now, true
		l.log.Error(err, "the decision log can't be written; reviews go on, sluice_decision_log_dropped_total counts what is missing")
	}
}
