package state

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/rest"
)

// An API server whose clock differs from ours, and what it answers.
type timeServer struct {
	ahead  atomic.Int64 // as time.Duration
	status atomic.Int64
	date   atomic.Pointer[string] // instead of its time; nil is its time
	slow   atomic.Bool
}

func (s *timeServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	date := time.Now().Add(time.Duration(s.ahead.Load())).UTC().Format(http.TimeFormat)
	if other := s.date.Load(); other != nil {
		date = *other
	}
	w.Header().Set("Date", date)
	if s.slow.Load() {
		select {
		case <-r.Context().Done():
		case <-time.After(2 * maxAnswerTime):
		}
	}
	w.WriteHeader(int(s.status.Load()))
}

func newClock(t *testing.T, local func() time.Time) (*Clock, *timeServer, func()) {
	t.Helper()
	s := &timeServer{}
	s.status.Store(http.StatusOK)
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	c, err := NewClock(&rest.Config{Host: server.URL}, server.Client(), local)
	if err != nil {
		t.Fatal(err)
	}
	return c, s, server.Close
}

// shows holds the clock to be that much ahead of ours, as well as whole seconds tell.
func shows(t *testing.T, c *Clock, ahead time.Duration) {
	t.Helper()
	if off := time.Until(c.Now()) - ahead; off.Abs() > 800*time.Millisecond {
		t.Errorf("the clock is %s ahead, want %s", off+ahead, ahead)
	}
}

func TestTheClockIsTheServersWhateverTheMachinesIs(t *testing.T) {
	for _, wrong := range []time.Duration{0, time.Hour, -time.Hour} {
		t.Run(fmt.Sprint(wrong), func(t *testing.T) {
			c, server, _ := newClock(t, func() time.Time { return time.Now().Add(wrong) })
			shows(t, c, wrong)
			if c.Ready(nil) == nil {
				t.Error("ready without an answer")
			}
			if err := c.Ask(t.Context()); err != nil || c.Ready(nil) != nil {
				t.Fatal(err, c.Ready(nil))
			}
			shows(t, c, 0)
			server.ahead.Store(int64(-3 * time.Hour)) // somebody sets it
			if err := c.Ask(t.Context()); err != nil {
				t.Fatal(err)
			}
			shows(t, c, -3*time.Hour)
		})
	}
}

// What is past stays past: seconds that are cut off are no reason to set the clock.
func TestTheClockIsNotSetForLittle(t *testing.T) {
	c, server, _ := newClock(t, time.Now)
	if err := c.Ask(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := c.last.Load()
	for _, step := range []struct {
		ahead time.Duration
		set   bool
	}{{0, false}, {-400 * time.Millisecond, false}, {400 * time.Millisecond, false}, {4 * time.Second, true}} {
		server.ahead.Store(int64(step.ahead))
		if err := c.Ask(t.Context()); err != nil || (c.last.Load() != first) != step.set {
			t.Errorf("%s ahead: set is %v, %v", step.ahead, c.last.Load() != first, err)
		}
	}
}

func TestTheClockGoesOnWithoutAnAnswer(t *testing.T) {
	c, server, stop := newClock(t, func() time.Time { return time.Time{} })
	server.ahead.Store(int64(time.Hour))
	if err := c.Ask(t.Context()); err != nil {
		t.Fatal(err)
	}
	server.ahead.Store(0)
	for _, bad := range []struct {
		name  string
		begin func()
	}{
		{"a gateway answers", func() { server.status.Store(http.StatusBadGateway) }},
		{"no Date", func() { server.date.Store(new("")) }},
		{"an answer too late", func() { server.slow.Store(true) }},
		{"nobody answers", stop},
	} {
		server.status.Store(http.StatusOK)
		server.date.Store(nil)
		server.slow.Store(false)
		bad.begin()
		if err := c.Ask(t.Context()); err == nil {
			t.Errorf("%s: no error", bad.name)
		}
		shows(t, c, time.Hour)
	}
}

func TestTheTimeIsForEverybody(t *testing.T) {
	c, server, _ := newClock(t, func() time.Time { return time.Time{} })
	server.status.Store(http.StatusForbidden)
	if err := c.Ask(t.Context()); err != nil {
		t.Fatal(err)
	}
	shows(t, c, 0)
}
