package serve

import (
	"testing"

	"k8s.io/client-go/rest"
)

func TestRequestsToTheAPIServer(t *testing.T) {
	for name, c := range map[string]struct{ given, want float32 }{"no rate is given": {0, -1}, "a rate is given": {7, 7}} {
		given := &rest.Config{QPS: c.given}
		if got := toAPIServer(given); got.QPS != c.want || !got.DisableCompression {
			t.Errorf("%s: %v requests a second, compression off: %t; want %v, true", name, got.QPS, got.DisableCompression, c.want)
		}
		if given.QPS != c.given || given.DisableCompression {
			t.Errorf("%s: what was given is changed", name)
		}
	}
}
