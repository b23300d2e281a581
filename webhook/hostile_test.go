package webhook

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/profile"
	"github.com/sluice-gate/sluice/policies/state"
)

// An object that is small in text and large in memory, or that has a finding in every line, is refused within
// the deadline and leaves the process as it was.
func TestHostileObjects(t *testing.T) {
	if testing.Short() {
		t.Skip("it measures time and memory, which the race detector multiplies")
	}
	set, err := profile.Load(profile.Options{Name: "restricted"})
	if err != nil {
		t.Fatal(err)
	}
	known := state.NewFiles()
	gate, err := policies.NewGate(policies.Options{Library: set.Library, Policies: set.Policies, State: known, Namespaces: known})
	if err != nil {
		t.Fatal(err)
	}
	current := &Current{}
	current.Set(gate, gate.Kinds())
	handlers, err := NewHandlers(Options{Current: current, Registerer: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	review := func(kind, spec string) string {
		return fmt.Sprintf(`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"1","operation":"CREATE","namespace":"shop","name":"x",
			"kind":{"group":"networking.k8s.io","version":"v1","kind":%q},"object":{"metadata":{"name":"x","namespace":"shop"},"spec":%s}}}`, kind, spec)
	}
	list := func(item string, n int) string { return "[" + strings.Repeat(item+",", n-1) + item + "]" }
	cases := map[string]struct {
		body string
		code int
	}{
		"a million rules":         {review("Ingress", `{"rules":`+list("{}", 1_000_000)+`}`), http.StatusOK},
		"a million egress rules":  {review("NetworkPolicy", `{"egress":`+list("{}", 1_000_000)+`}`), http.StatusOK},
		"many rules":              {review("Ingress", `{"rules":`+list("{}", 90_000)+`}`), http.StatusOK},
		"rules at the limit":      {review("Ingress", `{"rules":`+list("{}", 5_000)+`}`), http.StatusOK},
		"many egress rules":       {review("NetworkPolicy", `{"policyTypes":["Egress"],"egress":`+list("{}", 90_000)+`}`), http.StatusOK},
		"many CIDRs":              {review("NetworkPolicy", `{"policyTypes":["Egress"],"egress":[{"to":`+list(`{"ipBlock":{"cidr":"10.0.0.1/8"}}`, 30_000)+`}]}`), http.StatusOK},
		"many policy types":       {review("NetworkPolicy", `{"policyTypes":`+list(`"Egress"`, 90_000)+`,"egress":[{}]}`), http.StatusOK},
		"one name of three MiB":   {review("Ingress", `{"rules":[{"host":"`+strings.Repeat("a", 3<<20)+`"}]}`), http.StatusOK},
		"many hosts in the alias": {strings.Replace(review("Ingress", `{}`), `"name":"x","namespace":"shop"}`, `"name":"x","annotations":{"nginx.ingress.kubernetes.io/server-alias":"`+strings.Repeat("a.b ", 60_000)+`"}}`, 1), http.StatusOK},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			runtime.GC()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			request := httptest.NewRequest(http.MethodPost, "/validate?timeout=10s", strings.NewReader(c.body))
			request.Header.Set("Content-Type", "application/json")
			answer := httptest.NewRecorder()
			handlers.Validate.ServeHTTP(answer, request)
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			t.Logf("%v, %d MiB allocated, %d bytes: %.200s", took, (after.TotalAlloc-before.TotalAlloc)>>20, answer.Body.Len(), answer.Body)
			if answer.Code != c.code || strings.Contains(answer.Body.String(), `"allowed":true`) {
				t.Errorf("got %d %.300s", answer.Code, answer.Body)
			}
			if took > 9*time.Second {
				t.Errorf("it took %v of the 10 s that the API server waits", took)
			}
			if allocated := (after.TotalAlloc - before.TotalAlloc) >> 20; allocated > 600 {
				t.Errorf("%d MiB were allocated", allocated)
			}
		})
	}
}
