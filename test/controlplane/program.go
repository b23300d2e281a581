package main

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// stopTimeout is how long a program may take to end when asked, before it is killed.
const stopTimeout = 20 * time.Second

// program is a server that runs until stop is called or it ends by itself; done is closed then.
type program struct {
	cmd    *exec.Cmd
	stderr bytes.Buffer
	done   chan struct{}
}

func start(path string, args ...string) (*program, error) {
	p := &program{cmd: exec.Command(path, args...), done: make(chan struct{})}
	p.cmd.Stderr = &p.stderr
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", filepath.Base(path), err)
	}
	go func() {
		_ = p.cmd.Wait() // how it ends does not matter: it is asked to
		close(p.done)
	}()
	return p, nil
}

// stop ends the program, waits for that, and returns what it wrote to stderr.
func (p *program) stop() string {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // fails if it ended by itself
	select {
	case <-p.done:
	case <-time.After(stopTimeout):
		_ = p.cmd.Process.Kill() // fails if it ended meanwhile
		<-p.done
	}
	return p.stderr.String()
}
