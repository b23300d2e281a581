package webhook

import (
	"fmt"
	"net/http"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/healthz"
)

// SyncedUntil holds once synced does, or when the time has come. What isn't synced by then fails the
// policies that need it, not the replica.
func SyncedUntil(synced func() bool, giveUp time.Time, now func() time.Time) healthz.Checker {
	return func(*http.Request) error {
		if synced() || !now().Before(giveUp) {
			return nil
		}
		return fmt.Errorf("caches are not synced; policies that need them fail alone from %s on", giveUp.UTC().Format(time.RFC3339))
	}
}
