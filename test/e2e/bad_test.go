package e2e_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/sluice-gate/sluice/test/memory"
)

const review = `{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {"uid": "bad", "kind": {"group": "", "version": "v1", "kind": "ConfigMap"},
	"resource": {"group": "", "version": "v1", "resource": "configmaps"}, "operation": "CREATE", "namespace": "load", "name": "bad",
	"object": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "bad"}, "data": {"key": %s}}}}`

// bad is what a webhook must survive, and how it answers.
type bad struct {
	body   []byte // nil is one that trickles in
	answer int
}

func badReviewsByName() map[string]bad {
	huge := func(size int) []byte { return fmt.Appendf(nil, review, `"`+strings.Repeat("x", size)+`"`) }
	return map[string]bad{
		"truncated":       {[]byte(review[:200]), http.StatusBadRequest},
		"wrong version":   {[]byte(strings.Replace(fmt.Sprintf(review, `"value"`), "admission.k8s.io/v1", "admission.k8s.io/v9", 1)), http.StatusBadRequest},
		"duplicate keys":  {[]byte(strings.Replace(fmt.Sprintf(review, `"value"`), `"data"`, `"data": {}, "data"`, 1)), http.StatusBadRequest},
		"deep":            {fmt.Appendf(nil, review, strings.Repeat("[", 10_000)+strings.Repeat("]", 10_000)), http.StatusBadRequest},
		"huge":            {huge(8 << 20), http.StatusRequestEntityTooLarge},
		"large, in parts": {huge(6 << 20)[:6<<20], http.StatusBadRequest}, // read to its end, which is not that of a review
		"slow":            {nil, http.StatusRequestTimeout},
	}
}

// badReviews sends 100 of them a second to the replicas, past the API server.
func badReviews(ctx context.Context) {
	const rate, seconds = 100, 6
	clients := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, MaxIdleConnsPerHost: 20}}
	defer clients.CloseIdleConnections()
	var mu sync.Mutex
	all, answers := badReviewsByName(), map[string]map[int]int{} // how often each was answered with which status
	for name := range all {
		answers[name] = map[int]int{}
	}
	l := startLoad(ctx)
	var running sync.WaitGroup
	pace := time.NewTicker(time.Second / rate)
	defer pace.Stop()
	sent := 0
	for sent < rate*seconds {
		for name, bad := range all {
			<-pace.C
			sent++
			to := replicas.running()[sent%replicas.wanted].Address
			running.Go(func() {
				defer GinkgoRecover()
				answer := sendBad(ctx, clients, to, bad)
				mu.Lock()
				defer mu.Unlock()
				answers[name][answer]++
			})
		}
	}
	running.Wait()
	l.stopUnharmed(ctx, fmt.Sprintf("%d bad reviews come in %d s", sent, seconds))
	AddReportEntry("answers to bad reviews", fmt.Sprint(answers))
	for name, bad := range all {
		for status := range answers[name] {
			Expect(status).To(BeElementOf(bad.answer, http.StatusTooManyRequests, connectionClosed), name)
		}
		Expect(answers[name][bad.answer]).To(BeNumerically(">", 0), name)
	}
	limit := replicas.container.Resources.Limits.Memory().Value()
	for _, p := range replicas.running() {
		peak := peakMemory(p)
		AddReportEntry("peak memory of a replica", fmt.Sprintf("%d MiB, the limit is %d MiB", peak>>20, limit>>20))
		Expect(peak).To(BeNumerically("<", limit))
	}
}

// connectionClosed is in place of a status: who sends on after it is refused may not see the answer.
const connectionClosed = 0

// sendBad returns the status; nothing bad may be allowed.
func sendBad(ctx context.Context, c *http.Client, to string, bad bad) int {
	GinkgoHelper()
	body, timeout := bad.body, "10s"
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	content := io.Reader(bytes.NewReader(body))
	if body == nil {
		slow, never := io.Pipe()
		defer context.AfterFunc(ctx, func() { _ = never.Close() })() // a request whose connection is closed waits for its body
		defer func() { _ = never.Close() }()
		content, timeout = io.MultiReader(strings.NewReader(review[:100]), slow), "1s"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+to+"/validate?timeout="+timeout, content)
	Expect(err).NotTo(HaveOccurred())
	request.Header.Set("Content-Type", "application/json")
	if body == nil {
		request.ContentLength = int64(len(review))
	}
	response, err := c.Do(request)
	if err != nil {
		return connectionClosed
	}
	defer response.Body.Close()
	answer, _ := io.ReadAll(response.Body) // what comes after an error is no answer
	Expect(string(answer)).NotTo(MatchRegexp(`"allowed": *true`))
	return response.StatusCode
}

// ask sends a review to a replica, past the API server, and returns the answer.
func ask(ctx context.Context, p *pod, review string) (string, error) {
	client := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+p.Address+"/validate?timeout=1s", strings.NewReader(review))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	return string(answer), err
}

// peakMemory is what a process held of memory at most, in bytes.
func peakMemory(p *pod) int64 {
	GinkgoHelper()
	peak, err := memory.Peak(p.Pid())
	Expect(err).NotTo(HaveOccurred())
	return peak
}
