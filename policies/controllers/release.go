package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/sluice-gate/sluice/policies/state"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

// Releaser takes the scheduling gate from pods as soon as their namespace has what is generated for it, or no policy holds pods
// any more. It knows pods that have no node yet, and only since there may be some that wait. It runs on the leader.
type Releaser struct {
	Client    client.Client
	Pods      kubernetes.Interface
	Snapshots *Snapshots
	Metrics   *GenerateMetrics
	// IsFree tells whether the pods of a namespace need not wait.
	IsFree func(ctx context.Context, namespace string) (bool, error)

	queue  workQueue[reconcile.Request]
	mu     sync.Mutex
	store  cache.Store // of pods that wait; nil until it is watched
	inTurn sync.Once
}

// SetupWithManager registers the reconciler.
func (r *Releaser) SetupWithManager(m ctrl.Manager) error {
	log := m.GetLogger().WithValues("controller", "release-pods")
	return ctrl.NewControllerManagedBy(m).Named("release-pods").
		WithOptions(controller.Options{MaxConcurrentReconciles: generateWorkers,
			RateLimiter: retries[reconcile.Request]()}).
		WatchesRawSource(source.Func(func(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
			r.queue.start(queue)
			go r.followSnapshots(ctrl.LoggerInto(ctx, log))
			return nil
		})).
		Complete(r)
}

// followSnapshots watches pods once some policy holds them, or if some were left waiting by an earlier process.
func (r *Releaser) followSnapshots(ctx context.Context) {
	changed := r.Snapshots.listen()
	for {
		if snapshot := r.Snapshots.Load(); snapshot != nil {
			if snapshot.holdsPods || r.someWait(ctx) {
				r.inTurn.Do(func() { r.watch(ctx) })
			}
			r.all()
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}

// withoutNode selects pods that have no node yet: only those can wait.
func withoutNode(options *metav1.ListOptions) {
	options.FieldSelector = fields.OneTermEqualSelector("spec.nodeName", "").String()
}

// someWait asks the API server whether pods wait although no policy holds them. Where Sluice may not know, none does.
func (r *Releaser) someWait(ctx context.Context) bool {
	options := metav1.ListOptions{Limit: inventoryPage}
	withoutNode(&options)
	for {
		pods, err := r.Pods.CoreV1().Pods("").List(ctx, options)
		if err != nil {
			if apierrors.IsForbidden(err) {
				return false
			}
			ctrl.LoggerFrom(ctx).Error(err, "look for pods that wait")
			return true // some may
		}
		if slices.ContainsFunc(pods.Items, func(pod corev1.Pod) bool { return waits(&pod) }) {
			return true
		}
		if options.Continue = pods.Continue; options.Continue == "" {
			return false
		}
	}
}

func (r *Releaser) watch(ctx context.Context) {
	pods := r.Pods.CoreV1().Pods("")
	tell := func(x any) {
		defer r.count()
		if pod, ok := x.(*corev1.Pod); ok && waits(pod) {
			r.enqueue(pod.Namespace)
		}
	}
	store, informer := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: &cache.ListWatch{
			ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
				withoutNode(&options)
				return pods.List(ctx, options)
			},
			WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
				withoutNode(&options)
				return pods.Watch(ctx, options)
			},
		},
		ObjectType: &corev1.Pod{},
		Handler:    cache.ResourceEventHandlerFuncs{AddFunc: tell, UpdateFunc: func(_, pod any) { tell(pod) }, DeleteFunc: func(any) { r.count() }},
		Transform:  onlyGates,
	})
	r.mu.Lock()
	r.store = store
	r.mu.Unlock()
	go informer.RunWithContext(ctx)
}

// onlyGates keeps of a pod what is needed here.
func onlyGates(x any) (any, error) {
	pod, ok := x.(*corev1.Pod)
	if !ok {
		return x, nil
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID, ResourceVersion: pod.ResourceVersion, DeletionTimestamp: pod.DeletionTimestamp},
		Spec:       corev1.PodSpec{SchedulingGates: pod.Spec.SchedulingGates},
	}, nil
}

// waits tells whether a pod has Sluice's gate.
func waits(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp == nil &&
		slices.ContainsFunc(pod.Spec.SchedulingGates, func(g corev1.PodSchedulingGate) bool { return g.Name == v1alpha1.BaselineMark })
}

func (r *Releaser) count() { r.Metrics.held.Set(float64(len(r.waiting("")))) }

// Freed is told of a namespace whose pods need not wait any more.
func (r *Releaser) Freed(namespace string) { r.enqueue(namespace) }

// Told takes a change of the state: of a namespace, whose pods may be free now.
func (r *Releaser) Told(change state.Change) {
	switch {
	case change.Kind != namespaceKind:
	case change.Name == "":
		r.all()
	default:
		r.enqueue(change.Name)
	}
}

func (r *Releaser) enqueue(namespace string) {
	r.queue.add(reconcile.Request{NamespacedName: types.NamespacedName{Name: namespace}})
}

// waiting are the pods that wait, in one namespace or, for "", in all.
func (r *Releaser) waiting(namespace string) []*corev1.Pod {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.store == nil {
		return nil
	}
	var out []*corev1.Pod
	for _, x := range r.store.List() {
		if pod, ok := x.(*corev1.Pod); ok && waits(pod) && (namespace == "" || pod.Namespace == namespace) {
			out = append(out, pod)
		}
	}
	return out
}

func (r *Releaser) all() {
	for _, pod := range r.waiting("") {
		r.enqueue(pod.Namespace)
	}
}

// Reconcile releases the pods of one namespace if it is free. If not, Told brings us back.
func (r *Releaser) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	pods := r.waiting(request.Name)
	if len(pods) == 0 {
		return ctrl.Result{}, nil
	}
	if free, err := r.IsFree(ctx, request.Name); err != nil || !free {
		return ctrl.Result{}, err
	}
	var errs []error
	for _, pod := range pods {
		errs = append(errs, r.release(ctx, pod))
	}
	return ctrl.Result{}, errors.Join(errs...)
}

// release takes Sluice's gate and no other, from this pod and no other of its name.
func (r *Releaser) release(ctx context.Context, pod *corev1.Pod) error {
	patch := fmt.Sprintf(`{"metadata":{"uid":%q},"spec":{"schedulingGates":[{"$patch":"delete","name":%q}]}}`, pod.UID, v1alpha1.BaselineMark)
	target := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name}}
	err := r.Client.Patch(ctx, target, client.RawPatch(types.StrategicMergePatchType, []byte(patch)), client.FieldOwner(fieldManager))
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("release pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	if err == nil {
		r.Metrics.released.Inc()
		ctrl.LoggerFrom(ctx).V(1).Info("pod released", "namespace", pod.Namespace, "name", pod.Name)
	}
	return nil
}
