package controllers

import (
	"sync"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/source"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

// Snapshot is what one compilation of all policies and exceptions came to. It is immutable.
type Snapshot struct {
	Gate       *policies.Gate
	Policies   map[string]PolicyResult
	Exceptions map[string]ExceptionResult

	triggers  map[schema.GroupKind]bool // the kinds for whose objects something is generated, or pods are held
	asked     map[schema.GroupKind]bool // the kinds that rules ask about which generate something
	holdsPods bool                      // some policy holds pods
}

// PolicyResult is what became of one GatePolicy.
type PolicyResult struct {
	UID        types.UID
	Generation int64
	Created    metav1.Time
	// Err is why this generation doesn't compile.
	Err error
	// LastGood is the version in use: this generation if it compiled, else an older one; nil if there is none.
	LastGood *v1alpha1.LastGood
	// Unrestorable: the last good version that there was doesn't compile any more.
	Unrestorable bool
	// Interest is what the version in use wants to be asked about.
	Interest policies.Interest
}

// activeGeneration is the generation of the version in use; 0 if there is none.
func (r PolicyResult) activeGeneration() int64 {
	if r.LastGood == nil {
		return 0
	}
	return r.LastGood.Generation
}

// version is the one in use.
func (r PolicyResult) version() policyVersion { return policyVersion{r.UID, r.activeGeneration()} }

// index notes what the policies generate for.
func (s *Snapshot) index() {
	s.triggers, s.asked = map[schema.GroupKind]bool{}, map[schema.GroupKind]bool{}
	for _, result := range s.Policies {
		i := result.Interest
		s.holdsPods = s.holdsPods || i.HoldsPods
		if len(i.Generates) > 0 {
			for _, kind := range i.Kinds {
				s.triggers[kind] = true
			}
			for _, kind := range i.State {
				s.asked[kind] = true
			}
		}
	}
}

// ExceptionResult is what became of one GateException.
type ExceptionResult struct {
	UID        types.UID
	Generation int64
	// Err is what is wrong with it. InForce: it excuses all the same, from those of its policies that exist.
	Err     error
	InForce bool
}

// Snapshots holds the newest snapshot and tells those who depend on it of a new one.
type Snapshots struct {
	newest atomic.Pointer[Snapshot]

	mu        sync.Mutex
	listeners []chan event.GenericEvent
}

// Load returns the newest snapshot; nil before the first.
func (s *Snapshots) Load() *Snapshot { return s.newest.Load() }

// Gate returns the newest gate; nil before the first.
func (s *Snapshots) Gate() *policies.Gate {
	if snapshot := s.newest.Load(); snapshot != nil {
		return snapshot.Gate
	}
	return nil
}

// store replaces the snapshot. Who has not yet looked at the one before is told once.
func (s *Snapshots) store(snapshot *Snapshot) {
	s.newest.Store(snapshot)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, listener := range s.listeners {
		select {
		case listener <- event.GenericEvent{Object: &v1alpha1.GatePolicy{}}:
		default:
		}
	}
}

// changes is a source of one event for each new snapshot, handled by h.
func (s *Snapshots) changes(h handler.EventHandler) source.Source {
	return source.Channel(s.listen(), h)
}

// listen returns a channel that gets one event for each new snapshot.
func (s *Snapshots) listen() chan event.GenericEvent {
	listener := make(chan event.GenericEvent, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listeners = append(s.listeners, listener)
	return listener
}
