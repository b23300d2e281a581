// Package webhook speaks admission.k8s.io/v1 over HTTP: it decodes an AdmissionReview, asks the gate and
// writes the answer. It decides nothing itself.
//
// A review that was judged is answered with 200, whatever the verdict. Everything else (a request that is
// none, an overload, no policies yet) is answered with another code and a line of text; the API server
// takes that for a failed call and goes by the webhook's failurePolicy.
package webhook

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/engine"
)

// Reviewer is what judges: *policies.Gate. A panic in it is answered with a denial.
type Reviewer interface {
	Review(ctx context.Context, request policies.Request) policies.Decision
	Mutate(ctx context.Context, request policies.Request) policies.Decision
	Guard(ctx context.Context, request policies.Request) policies.Decision
	Hold(ctx context.Context, request policies.Request) policies.Decision
}

// Current is the Reviewer in use. The zero Current has none: reviews are refused with 503, so that a
// webhook with failurePolicy Ignore isn't held up by a Sluice that is starting. It is safe for concurrent use.
type Current struct{ snapshot atomic.Pointer[snapshot] }

type snapshot struct {
	reviewer Reviewer
	kinds    map[schema.GroupKind]string // as metrics name them
}

// Set makes a Reviewer the one that further reviews ask. kinds are those that it knows, such as
// Gate.Kinds: metrics count every other kind as "other".
func (c *Current) Set(reviewer Reviewer, kinds []schema.GroupKind) {
	names := make(map[schema.GroupKind]string, len(kinds))
	for _, kind := range kinds {
		names[kind] = engine.FormatGroupKind(kind)
	}
	c.snapshot.Store(&snapshot{reviewer, names})
}

// Ready is a healthz.Checker: policies have been compiled and are in use.
func (c *Current) Ready(*http.Request) error {
	if c.snapshot.Load() == nil {
		return errors.New("no policies have been compiled yet")
	}
	return nil
}

func (s *snapshot) kindName(kind schema.GroupKind) string {
	if name, known := s.kinds[kind]; known {
		return name
	}
	return "other"
}
