package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// result is one measurement.
type result struct {
	took      time.Duration
	latencies []time.Duration // sorted
}

func (r result) rate() float64 { return float64(len(r.latencies)) / r.took.Seconds() }
func (r result) p50() float64  { return r.quantile(50) }
func (r result) p99() float64  { return r.quantile(99) }

func (r result) quantile(percent int) float64 {
	return r.latencies[len(r.latencies)*percent/100].Seconds()
}

// workers ask at the same time, each as soon as it has an answer, or all of them together at a rate.
type workers struct {
	n    int
	rate rate.Limit // reviews a second; 0 for as fast as can be
}

// String implements fmt.Stringer.
func (w workers) String() string {
	if w.rate == 0 {
		return strconv.Itoa(w.n)
	}
	return fmt.Sprintf("%d, at %.0f/s", w.n, float64(w.rate))
}

// load posts the sample from a number of workers, each waiting for its answer. Every answer is checked.
func load(ctx context.Context, client *http.Client, url string, s sample, workers workers, each time.Duration, allowed bool) (result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer client.CloseIdleConnections()
	var mu sync.Mutex
	var all []time.Duration
	var failed error
	var group sync.WaitGroup
	pace := rate.NewLimiter(rate.Inf, 0)
	if workers.rate > 0 {
		pace = rate.NewLimiter(workers.rate, 1)
	}
	start := time.Now()
	for range workers.n {
		group.Go(func() {
			var mine []time.Duration
			for time.Since(start) < each && ctx.Err() == nil {
				_ = pace.Wait(ctx) // if it ends, so does what follows
				sent := time.Now()
				if err := review(ctx, client, url, s.body, allowed); err != nil {
					mu.Lock()
					failed = err
					mu.Unlock()
					cancel()
					return
				}
				mine = append(mine, time.Since(sent))
			}
			mu.Lock()
			all = append(all, mine...)
			mu.Unlock()
		})
	}
	group.Wait()
	if failed == nil {
		failed = ctx.Err()
	}
	if failed != nil || len(all) == 0 {
		return result{}, fmt.Errorf("load: %w", failed)
	}
	slices.Sort(all)
	return result{took: time.Since(start), latencies: all}, nil
}

// newClient has one connection for HTTP/2, or one for each worker, as an API server asks a hook that it knows by its Service
// (https://issue.k8s.io/75791). It trusts any certificate: both servers are this program's own children on loopback.
func newClient(http1 bool) *http.Client {
	protocols := &http.Protocols{}
	protocols.SetHTTP1(http1)
	protocols.SetHTTP2(!http1)
	return &http.Client{Transport: &http.Transport{
		Protocols:           protocols,
		MaxIdleConnsPerHost: 25,                                    // as in client-go
		TLSClientConfig:     &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // see above
	}}
}

func review(ctx context.Context, client *http.Client, url string, body []byte, allowed bool) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	// Decoding each answer would measure the client: a substring tells allowed from denied.
	if response.StatusCode != http.StatusOK || bytes.Contains(answer, []byte(`"allowed":true`)) != allowed {
		return fmt.Errorf("unexpected answer %d: %.300s", response.StatusCode, answer)
	}
	return nil
}

// checkAnswer decodes one answer, to be sure that the substring test means what it says.
func checkAnswer(ctx context.Context, url string, s sample, allowed bool) error {
	client := newClient(false)
	defer client.CloseIdleConnections()
	response, err := client.Post(url, "application/json", bytes.NewReader(s.body))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var answer struct {
		Response struct {
			UID     string
			Allowed bool
		}
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return err
	}
	if answer.Response.Allowed != allowed || answer.Response.UID == "" {
		return fmt.Errorf("%s: allowed is %t", s.name, answer.Response.Allowed)
	}
	return ctx.Err()
}
