package serve

import (
	"sync/atomic"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
)

// lateRecorder records events once it has what to record them with: handlers are made before the manager that has it.
type lateRecorder struct {
	recorder atomic.Pointer[events.EventRecorder]
}

func (l *lateRecorder) use(recorder events.EventRecorder) { l.recorder.Store(&recorder) }

// Eventf implements events.EventRecorder.
func (l *lateRecorder) Eventf(regarding, related runtime.Object, eventtype, reason, action, note string, args ...any) {
	if recorder := l.recorder.Load(); recorder != nil {
		(*recorder).Eventf(regarding, related, eventtype, reason, action, note, args...)
	}
}
