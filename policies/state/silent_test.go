package state

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	clienttesting "k8s.io/client-go/testing"
)

// A client hides that the API server is gone: it waits, and then returns a watch that is over. That is no news of it.
func TestTheAPIServerIsSilent(t *testing.T) {
	c, server, _ := testCluster(t)
	var lost atomic.Bool
	var asked, listed atomic.Int64
	var events atomic.Pointer[watch.FakeWatcher]
	answer := make(chan struct{})
	server.PrependWatchReactor("ingresses", func(clienttesting.Action) (bool, watch.Interface, error) {
		if lost.Load() {
			asked.Add(1)
			return true, watch.NewEmptyWatch(), nil
		}
		w := watch.NewFake()
		events.Store(w)
		return true, w, nil
	})
	server.PrependReactor("list", "ingresses", func(clienttesting.Action) (bool, runtime.Object, error) {
		if lost.Load() {
			listed.Add(1)
			<-answer
		}
		return false, nil, nil
	})
	c.Watch(t.Context(), ingressKind)
	eventually(t, "the watch", func() bool { return c.Synced() && events.Load() != nil })
	w := c.watch(ingressKind)
	eventually(t, "nothing that is waited for", func() bool { return w.behind.Load() == nil })
	lost.Store(true)
	events.Load().Add(unstructuredIngress("shop", "web")) // a watch without any event is tried again later
	events.Load().Stop()
	eventually(t, "a watch that is over at once, and a list", func() bool { return asked.Load() > 0 && listed.Load() > 0 })
	if w.behind.Load() == nil || c.Problem(ingressKind) == nil {
		t.Error("a watch that was over at once counts as news")
	}
	w.problem.Store(nil)
	w.behind.Store(new(time.Now().Add(-2 * staleAfter)))
	_, _, err := c.ClaimHosts(HostClaim{HostClaims: hostClaims("lab", "free.example.com")}, time.Now().Add(time.Hour))
	if err == nil || !strings.Contains(err.Error(), "not known since") || !strings.Contains(err.Error(), "the API server does not answer") {
		t.Errorf("silent for long: %v", err)
	}
	lost.Store(false)
	close(answer)
	eventually(t, "news", func() bool { return w.behind.Load() == nil })
}
