package spelling_test

import (
	"strings"
	"testing"

	"github.com/sluice-gate/sluice/policies/spelling"
)

func TestNearest(t *testing.T) {
	for _, c := range []struct{ misspelt, candidates, want string }{
		{"dney", "deny warn patch", "deny"},
		{"Warm", "deny warn patch", "warn"},
		{"policytypes", "podSelector policyTypes", "policyTypes"},
		{"ingress-tls", "ingress-path ingress-tls-required", "ingress-tls-required"},
		{"tls-required", "ingress-path ingress-tls-required", "ingress-tls-required"},
		{"ingress-tls-requird", "ingress-tls-require ingress-tls-required", "ingress-tls-require"},
		{"ab", "ac ad", "ac"},
		// near misses
		{"deny", "warn patch", ""},
		{"required", "ingress-tls", ""},
		{"gress", "ingress-tls", ""},
		{"x", "y z", ""},
		{"", "deny", ""},
		{"deny", "", ""},
		{"nodeport", "externalips", ""},
	} {
		if got := spelling.Nearest(c.misspelt, strings.Fields(c.candidates)); got != c.want {
			t.Errorf("%q among %s: got %q, want %q", c.misspelt, c.candidates, got, c.want)
		}
	}
}
