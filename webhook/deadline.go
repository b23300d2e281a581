package webhook

import (
	"net/url"
	"strings"
	"time"
)

// The API server's default for timeoutSeconds of a webhook, and its maximum.
const (
	defaultTimeout = 10 * time.Second
	maxTimeout     = 30 * time.Second
)

// callTimeout reads the timeout that the API server appends to a webhook's URL (?timeout=10s): how long it
// waits for the answer, rounded up to a second. Missing, malformed, zero and negative ones are defaultTimeout;
// longer ones are maxTimeout.
func callTimeout(rawQuery string) time.Duration {
	text, _ := strings.CutPrefix(rawQuery, "timeout=") // as the API server writes it
	timeout, err := time.ParseDuration(text)
	if err != nil {
		if values, unreadable := url.ParseQuery(rawQuery); unreadable == nil {
			timeout, err = time.ParseDuration(values.Get("timeout"))
		}
	}
	if err != nil || timeout <= 0 {
		return defaultTimeout
	}
	return min(timeout, maxTimeout)
}

// reviewTime is how much of a call's timeout the review may take. The rest, a tenth and at least 100 ms, is
// for the way back, so that the denial that says why comes before the API server's own "context deadline
// exceeded"; of a timeout below 200 ms it is half.
func reviewTime(timeout time.Duration) time.Duration {
	margin := max(timeout/10, 100*time.Millisecond)
	return timeout - min(margin, timeout/2)
}
