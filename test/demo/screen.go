package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// The escape sequences that a terminal gets, and nothing else.
const (
	bold   = "\x1b[1m"
	dim    = "\x1b[2m"
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	plain  = "\x1b[0m"
)

// screen writes the demo's output. Colour is for terminals, unless NO_COLOR is set.
type screen struct {
	w        io.Writer
	terminal bool
	color    bool
}

func newScreen(file *os.File) *screen {
	terminal := term.IsTerminal(int(file.Fd()))
	return &screen{w: file, terminal: terminal, color: terminal && os.Getenv("NO_COLOR") == ""}
}

// step shows what is going on and, when it is done, how long it took.
func (s *screen) step(what string, do func() error) error {
	started := time.Now()
	if s.terminal {
		fmt.Fprint(s.w, s.paint(dim, fmt.Sprintf("  %-46s …", what)))
	}
	err := do()
	if s.terminal {
		fmt.Fprint(s.w, "\r")
	}
	if err != nil {
		fmt.Fprintln(s.w, s.paint(red, fmt.Sprintf("  %-46s failed", what)))
		return err
	}
	fmt.Fprintln(s.w, s.paint(dim, fmt.Sprintf("  %-46s %4.1f s", what, time.Since(started).Seconds())))
	return nil
}

func (s *screen) heading(text string) {
	fmt.Fprintf(s.w, "\n%s\n", s.paint(bold, text))
}

func (s *screen) command(name string, args ...string) {
	fmt.Fprintln(s.w, s.paint(green, "$ "+name+" "+strings.Join(args, " ")))
}

// output shows what a command printed, as it is.
func (s *screen) output(text string) {
	if text == "" {
		return
	}
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		switch {
		case strings.HasPrefix(line, "Error"):
			line = s.paint(red, line)
		case strings.HasPrefix(line, "Warning"):
			line = s.paint(yellow, line)
		}
		fmt.Fprintln(s.w, line)
	}
}

// goOn says how to use what is left running.
func (s *screen) goOn(kubeconfig, kubectl, log string) {
	s.heading("Everything is still running. In another terminal:")
	fmt.Fprintf(s.w, `
    export KUBECONFIG=%s
    alias kubectl=%s
    kubectl apply -f config/samples/03-internet-in-two-halves.yaml

The log of sluice is %s. Ctrl-C stops everything.
`, kubeconfig, kubectl, log)
}

func (s *screen) paint(color, text string) string {
	if !s.color {
		return text
	}
	return color + text + plain
}
