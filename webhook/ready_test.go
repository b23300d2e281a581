package webhook

import (
	"strings"
	"testing"
	"time"
)

func TestSyncedUntil(t *testing.T) {
	now, synced := time.Unix(1000, 0), false
	check := SyncedUntil(func() bool { return synced }, time.Unix(1060, 0), func() time.Time { return now })
	says(t, check(nil), "not synced")
	synced = true
	says(t, check(nil), "")
	synced, now = false, time.Unix(1060, 0)
	says(t, check(nil), "")
}

func TestReadyOncePoliciesAreCompiled(t *testing.T) {
	var current Current
	says(t, current.Ready(nil), "no policies have been compiled yet")
	current.Set(allowing, nil)
	says(t, current.Ready(nil), "")
}

// says holds err to say the text, or to be nil if there is none.
func says(t *testing.T, err error, text string) {
	t.Helper()
	if (err == nil) != (text == "") || err != nil && !strings.Contains(err.Error(), text) {
		t.Errorf("got %v, want %q", err, text)
	}
}
