package e2e_test

import (
	"fmt"
	"io"
	"net"
	"sync"
)

// link carries the connections of the replicas to the API server, so that they can be cut.
type link struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	held  bool // new ones are refused
	open  map[net.Conn]struct{}
	alive sync.WaitGroup
}

func newLink(target string) (*link, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the replicas: %w", err)
	}
	l := &link{listener: listener, target: target, open: map[net.Conn]struct{}{}}
	l.alive.Go(l.accept)
	return l, nil
}

func (l *link) address() string { return l.listener.Addr().String() }

func (l *link) accept() {
	for {
		near, err := l.listener.Accept()
		if err != nil {
			return // closed
		}
		far, err := net.Dial("tcp", l.target)
		if err != nil {
			near.Close()
			continue
		}
		l.mu.Lock()
		if l.held {
			near.Close()
			far.Close()
		} else {
			l.open[near], l.open[far] = struct{}{}, struct{}{}
			l.alive.Go(func() { l.carry(near, far) })
		}
		l.mu.Unlock()
	}
}

func (l *link) carry(near, far net.Conn) {
	var back sync.WaitGroup
	back.Go(func() { transfer(near, far) })
	transfer(far, near)
	back.Wait()
	l.mu.Lock()
	delete(l.open, near)
	delete(l.open, far)
	l.mu.Unlock()
}

func transfer(to, from net.Conn) {
	_, _ = io.Copy(to, from) // its two ends see how it ended
	to.Close()
	from.Close()
}

// cut ends all connections and returns how many there were; new ones are served.
func (l *link) cut() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	for conn := range l.open {
		conn.Close()
	}
	return len(l.open) / 2
}

// hold refuses new connections, or serves them again.
func (l *link) hold(held bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = held
}

func (l *link) close() {
	l.listener.Close()
	l.cut()
	l.alive.Wait()
}
