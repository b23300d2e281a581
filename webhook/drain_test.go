package webhook

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

func TestDrain(t *testing.T) {
	handlers, _ := handlersOf(t, newGate(t, "ingress-tls-required"), nil)
	drain := &Drain{}
	server, err := NewServer(ServerOptions{Drain: drain, CertDir: t.TempDir()}, handlers)
	if err != nil {
		t.Fatal(err)
	}
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	NewVetting(nil, nil, func() policies.Options { return policies.Options{} }).Register(server, scheme)
	served := httptest.NewServer(server.WebhookMux())
	defer served.Close()
	for _, begun := range []bool{false, true} {
		if begun {
			drain.Begin()
		}
		for _, path := range []string{ValidatePath, MutatePath, GuardPath, HoldPath, PoliciesPath, ExceptionsPath} {
			response, err := served.Client().Post(served.URL+path+"?timeout=10s", "application/json", strings.NewReader(shopReview))
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if response.StatusCode != http.StatusOK || response.Close != begun {
				t.Errorf("begun %v: %s: %s, last of its connection: %v", begun, path, response.Status, response.Close)
			}
		}
		if err := drain.Ready(nil); (err != nil) != begun {
			t.Errorf("begun %v: readiness: %v", begun, err)
		}
	}
}
