package webhook

import (
	"errors"
	"net/http"
	"sync/atomic"

	"sigs.k8s.io/controller-runtime/pkg/webhook"
)

// Drain is the time between being told to stop and stopping. The API server keeps idle HTTP/1.1 connections and does not repeat a
// review whose connection was closed just as it was sent, so that a replica that goes has to make it give them up: each answer says
// that it is the last one of its connection. The zero value has not begun.
type Drain struct{ begun atomic.Bool }

// Begin makes the replica unready and each answer the last one of its connection.
func (d *Drain) Begin() { d.begun.Store(true) }

// Ready is a readiness check that holds until Begin.
func (d *Drain) Ready(*http.Request) error {
	if d.begun.Load() {
		return errors.New("the replica is about to stop")
	}
	return nil
}

func (d *Drain) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d.begun.Load() {
			w.Header().Set("Connection", "close") // over HTTP/2, GOAWAY
		}
		next.ServeHTTP(w, r)
	})
}

// drained is a server all of whose webhooks are drained, those too that others register on it.
type drained struct {
	webhook.Server
	drain *Drain
}

// Register implements webhook.Server.
func (d drained) Register(path string, hook http.Handler) {
	d.Server.Register(path, d.drain.wrap(hook))
}
