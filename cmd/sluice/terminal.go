package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/mattn/go-isatty"
)

func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && (isatty.IsTerminal(f.Fd()) || isatty.IsCygwinTerminal(f.Fd()))
}

// wantsColor follows no-color.org.
func wantsColor(w io.Writer) bool {
	return isTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// progress is a line on a terminal that says how far a command is, once it has taken a while.
type progress struct {
	w     io.Writer // nil if nobody looks
	what  string
	start time.Time
	last  time.Time
}

// Nothing is shown of what is done within patience.
const (
	patience = time.Second
	interval = 100 * time.Millisecond
)

func newProgress(stderr io.Writer, what string) *progress {
	p := &progress{what: what, start: time.Now()}
	if isTerminal(stderr) {
		p.w = stderr
	}
	return p
}

func (p *progress) step(done, total int) {
	now := time.Now()
	if p.w == nil || now.Sub(p.start) < patience || now.Sub(p.last) < interval {
		return
	}
	p.last = now
	fmt.Fprintf(p.w, "\r\x1b[K%d of %d %s", done, total, p.what)
}

// end removes the line.
func (p *progress) end() {
	if !p.last.IsZero() {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
