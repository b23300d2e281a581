package controllers

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// updateStatus writes the status of an object that came from a cache. If it was not stored, the rest is what the reconciler
// returns: the object is gone, or the cache brings a newer one, at once or soon.
func updateStatus(ctx context.Context, c client.Client, object client.Object) (stored bool, again ctrl.Result, err error) {
	switch err := c.Status().Update(ctx, object); {
	case err == nil:
		return true, ctrl.Result{}, nil
	case apierrors.IsConflict(err):
		return false, ctrl.Result{RequeueAfter: time.Second}, nil
	default:
		return false, ctrl.Result{}, client.IgnoreNotFound(err)
	}
}
