package installed

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Reservations are what all replicas have reserved: how often they have written it, and how many entries there are now.
func Reservations(ctx context.Context, api client.Reader) (writes, entries int, err error) {
	var list coordinationv1.LeaseList
	if err := api.List(ctx, &list, client.InNamespace(Namespace), client.HasLabels{"policy.sluice.dev/reservations"}); err != nil {
		return 0, 0, err
	}
	for _, lease := range list.Items {
		n, err := strconv.Atoi(lease.Annotations["policy.sluice.dev/sequence"])
		if err != nil {
			return 0, 0, fmt.Errorf("the Lease %s: %w", lease.Name, err)
		}
		writes += n
		entries += strings.Count(lease.Annotations["policy.sluice.dev/admitted"], `"id"`)
	}
	return writes, entries, nil
}

// QuietReservations waits until nothing is reserved, because it is stored or has expired, and tells how often reservations were written.
func QuietReservations(ctx context.Context, api client.Reader, within time.Duration) (writes int, err error) {
	err = wait.PollUntilContextTimeout(ctx, 10*time.Millisecond, within, true, func(ctx context.Context) (bool, error) {
		var entries int
		writes, entries, err = Reservations(ctx, api)
		return entries == 0, err
	})
	return writes, err
}
