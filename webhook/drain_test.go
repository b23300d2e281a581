package webhook

import (
	"net/http"
	"strings"
	"testing"
)

func TestDrain(t *testing.T) {
	handlers, _ := handlersOf(t, newGate(t, "ingress-tls-required"), nil)
	drain := &Drain{}
	url, config := start(t, handlers, ServerOptions{Drain: drain})
	transport := &http.Transport{TLSClientConfig: config.Clone()}
	defer transport.CloseIdleConnections()
	for _, begun := range []bool{false, true} {
		if begun {
			drain.Begin()
		}
		response, err := (&http.Client{Transport: transport}).Post(url+ValidatePath+"?timeout=10s", "application/json", strings.NewReader(shopReview))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK || response.Close != begun {
			t.Errorf("begun %v: %s, last of its connection: %v", begun, response.Status, response.Close)
		}
		if err := drain.Ready(nil); (err != nil) != begun {
			t.Errorf("begun %v: readiness: %v", begun, err)
		}
	}
}
