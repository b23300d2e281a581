package controllers

import (
	"sync/atomic"
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/handler"
)

// workQueue is the queue of a controller to which others add. Before the controller runs, nothing is added.
type workQueue[T comparable] struct {
	queue atomic.Pointer[workqueue.TypedRateLimitingInterface[T]]
}

func (q *workQueue[T]) start(queue workqueue.TypedRateLimitingInterface[T]) { q.queue.Store(&queue) }

func (q *workQueue[T]) started() bool { return q.queue.Load() != nil }

func (q *workQueue[T]) add(item T) {
	if queue := q.queue.Load(); queue != nil {
		(*queue).Add(item)
	}
}

// addLate adds what has time until everything else is done.
func (q *workQueue[T]) addLate(item T) {
	queue := q.queue.Load()
	if queue == nil {
		return
	}
	if ordered, ok := (*queue).(priorityqueue.PriorityQueue[T]); ok {
		late := handler.LowPriority
		ordered.AddWithOpts(priorityqueue.AddOpts{Priority: &late}, item)
		return
	}
	(*queue).Add(item)
}

func (q *workQueue[T]) addAfter(item T, wait time.Duration) {
	if queue := q.queue.Load(); queue != nil {
		(*queue).AddAfter(item, wait)
	}
}
