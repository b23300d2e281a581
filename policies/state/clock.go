package state

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"k8s.io/client-go/rest"
)

// Clock tells the API server's time. What replicas have to agree on goes by it, because the clock of a node may be an hour off, or be
// set while Sluice runs. Between two answers it follows this machine's monotonic clock, which nobody sets. The Date of an answer has
// whole seconds: two Clocks differ by about a second. It is safe for concurrent use.
type Clock struct {
	client *http.Client
	url    string
	local  func() time.Time
	last   atomic.Pointer[reading]
}

// reading is what the API server's clock showed at a moment of this process.
type reading struct {
	server time.Time
	at     time.Time // has a monotonic reading
}

// NewClock makes a Clock that has not asked yet. The client is that of config. Until the first answer the time is local's.
func NewClock(config *rest.Config, client *http.Client, local func() time.Time) (*Clock, error) {
	base, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, fmt.Errorf("find the API server: %w", err)
	}
	return &Clock{client: client, url: base.JoinPath("version").String(), local: local}, nil
}

// Now is the API server's time.
func (c *Clock) Now() time.Time {
	if last := c.last.Load(); last != nil {
		return last.server.Add(time.Since(last.at))
	}
	return c.local()
}

const (
	askInterval = 10 * time.Second // how soon it is seen that the API server's own clock was set
	askRetry    = time.Second
	// maxAnswerTime is how long an answer may take that is believed: when in it the Date was written nobody knows.
	maxAnswerTime = 2 * time.Second
	// resolution is what two answers of one clock may differ by. The time doesn't jump, and never goes back, for that.
	resolution = 3 * time.Second / 2
)

// Ask asks the API server once.
func (c *Clock) Ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, maxAnswerTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url, nil)
	if err != nil {
		return fmt.Errorf("ask for the time: %w", err)
	}
	asked := time.Now()
	response, err := c.client.Do(request)
	if err != nil {
		return fmt.Errorf("ask for the time: %w", err)
	}
	at := time.Now()
	response.Body.Close()
	// Whoever may not see the version is told the time all the same; who answers for an API server that is down is not asked.
	if response.StatusCode >= http.StatusInternalServerError || at.Sub(asked) > maxAnswerTime {
		return fmt.Errorf("ask for the time: %s after %s", response.Status, at.Sub(asked))
	}
	date, err := http.ParseTime(response.Header.Get("Date"))
	if err != nil {
		return fmt.Errorf("ask for the time: %w", err)
	}
	said := date.Add(time.Second / 2) // half of the second that is cut off
	if last := c.last.Load(); last == nil || said.Sub(last.server.Add(at.Sub(last.at))).Abs() > resolution {
		c.last.Store(&reading{server: said, at: at})
	}
	return nil
}

// Start implements manager.Runnable: it asks until ctx ends. Without an answer the time goes on from the last one.
func (c *Clock) Start(ctx context.Context) error {
	for {
		pause := askInterval
		if err := c.Ask(ctx); err != nil {
			pause = askRetry
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// NeedLeaderElection implements manager.LeaderElectionRunnable: every replica needs the time.
func (c *Clock) NeedLeaderElection() bool { return false }

// Ready is a readiness check that holds from the first answer on.
func (c *Clock) Ready(*http.Request) error {
	if c.last.Load() == nil {
		return errors.New("the API server has not told its time yet")
	}
	return nil
}
