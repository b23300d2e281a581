package webhook

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"

	"github.com/sluice-gate/sluice/policies"
)

// maxEventNote is what fits in an event's note, in bytes: 1,024 less what the API server may add.
const maxEventNote = 1000

// Events about denials are few: a client that tries again and again, or makes up names, must not fill etcd. What is beyond is
// counted; the decision log and Sluice's log have every denial.
const (
	namespaceEvents = 10 // at once in a namespace, then one every namespacePause
	namespacePause  = 30 * time.Second
	totalEvents     = 50 // at once by a replica, then totalRate a second
	totalRate       = 2
	maxNamespaces   = 1000 // that are remembered
)

// teller makes events of reviews. It never waits: the recorder has a queue, and what does not fit in is lost.
type teller struct {
	recorder events.EventRecorder
	dropped  *prometheus.CounterVec
	now      func() time.Time

	mu         sync.Mutex
	total      *rate.Limiter
	namespaces map[string]*rate.Limiter
}

func newTeller(recorder events.EventRecorder, dropped *prometheus.CounterVec) *teller {
	return &teller{recorder: recorder, dropped: dropped, now: time.Now, total: rate.NewLimiter(totalRate, totalEvents), namespaces: map[string]*rate.Limiter{}}
}

// tell makes an event of what a review came to, if it is worth one. A dry run did nothing.
func (t *teller) tell(request policies.Request, decision policies.Decision) {
	if t == nil || request.DryRun {
		return
	}
	switch {
	case decision.BreakGlass && len(decision.Findings) > 0:
		t.breakGlass(request, decision.Findings[0])
	case !decision.Allowed() && request.Kind.Kind != "":
		t.denied(request, decision)
	}
}

// denied is seen by `kubectl get events` in the namespace of what was refused; of what has none, in default, where the API server
// keeps events about it.
func (t *teller) denied(request policies.Request, decision policies.Decision) {
	object := regarding(request)
	if reason := t.exceeds(object.Namespace); reason != "" {
		t.dropped.WithLabelValues(reason).Inc()
		return
	}
	note := "could not judge: " + decision.Failure
	if denials := decision.Denials(); decision.Failure == "" && len(denials) > 0 {
		note = ""
		for i, f := range denials {
			if i > 0 {
				note += "; "
			}
			note += f.Policy + ": " + f.Message
			if len(note) > maxEventNote {
				break
			}
		}
	}
	t.recorder.Eventf(object, nil, corev1.EventTypeWarning, "Denied", operationName(request.Operation), "%s",
		shorten(request.User.Name+": "+string(request.Operation)+": "+oneLine(note), maxEventNote))
}

// exceeds is which bound one more event would exceed; empty if none.
func (t *teller) exceeds(namespace string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	limiter := t.namespaces[namespace]
	if limiter == nil {
		if len(t.namespaces) >= maxNamespaces {
			for some := range t.namespaces { // it may be told of more often than it should, but within the total
				delete(t.namespaces, some)
				break
			}
		}
		limiter = rate.NewLimiter(rate.Every(namespacePause), namespaceEvents)
		t.namespaces[namespace] = limiter
	}
	switch now := t.now(); {
	case !limiter.AllowN(now, 1):
		return "namespace"
	case !t.total.AllowN(now, 1):
		return "total"
	}
	return ""
}

// regarding is the object of a request, which may not exist.
func regarding(request policies.Request) *corev1.ObjectReference {
	metadata := request.Subject().Get("metadata")
	object := &corev1.ObjectReference{
		APIVersion: request.Kind.GroupVersion().String(), Kind: request.Kind.Kind, Namespace: request.Namespace, Name: request.Name,
		UID: types.UID(metadata.Get("uid").Text()),
	}
	if request.Kind.Group == "" && request.Kind.Kind == "Namespace" {
		object.Namespace = ""
	}
	if object.Name == "" {
		object.Name = metadata.Get("generateName").Text()
	}
	return object
}
