package reservation

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Bounds of one sweep.
const (
	maxSwept  = 5000 // Leases that it deletes
	sweepPage = 500
)

// Start implements manager.Runnable: it deletes Leases whose reservations have all expired, until ctx ends. What
// fails is left for the next time, or for another replica.
func (c *Claimer) Start(ctx context.Context) error {
	for {
		pause := c.life/2 + rand.N(c.life)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		_ = c.Sweep(ctx)
	}
}

// NeedLeaderElection implements manager.LeaderElectionRunnable: every replica sweeps.
func (c *Claimer) NeedLeaderElection() bool { return false }

// Sweep deletes the Leases whose reservations have all expired.
func (c *Claimer) Sweep(ctx context.Context) error {
	deleted := 0
	for next := ""; deleted < maxSwept; {
		list := &coordinationv1.LeaseList{}
		if err := c.leases.client.List(ctx, list, client.InNamespace(c.leases.namespace), client.HasLabels{label},
			client.Limit(sweepPage), client.Continue(next)); err != nil {
			return fmt.Errorf("sweep reservations: %w", err)
		}
		for i := range list.Items {
			lease := &list.Items[i]
			if !expired(lease, c.now()) {
				continue
			}
			deleted++
			if err := c.leases.client.Delete(ctx, lease, unchangedSince(lease)); err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
				return fmt.Errorf("sweep reservations: %w", err)
			}
		}
		if next = list.Continue; next == "" {
			return nil
		}
	}
	return nil
}

func expired(lease *coordinationv1.Lease, now time.Time) bool {
	spec := lease.Spec
	if spec.RenewTime == nil || spec.LeaseDurationSeconds == nil {
		return true // nobody holds it
	}
	return now.After(spec.RenewTime.Add(time.Duration(*spec.LeaseDurationSeconds) * time.Second))
}
