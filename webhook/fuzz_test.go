package webhook

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// FuzzReview holds both handlers to never panic, and to answer every body with a strict AdmissionReview or
// with a 4xx that has a reason.
func FuzzReview(f *testing.F) {
	for _, seed := range []string{
		shopReview, shopFixed, "", "{}", "[]", "null", shopReview[:700],
		strings.Replace(shopReview, `"spec":{`, `"spec":7,"x":{`, 1),
		strings.Replace(shopReview, `"host":"shop.example.com"`, `"host":"\u0000\ud800\n\"`+"\xff"+`"`, 1),
		strings.Replace(shopReview, "CREATE", "DELETE", 1),
		strings.Replace(shopReview, `"uid":"705ab4f5`, `"uid":"\u0001\"`, 1),
	} {
		f.Add([]byte(seed))
	}
	handlers, _ := handlersOf(f, newGate(f, "ingress-tls-required", "ingress-https-redirect"), nil)
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, handler := range []http.Handler{handlers.Validate, handlers.Mutate} {
			r := httptest.NewRequest("POST", "/validate", bytes.NewReader(body))
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			switch {
			case w.Code == 200:
				response := decodeStrictly(t, w.Body.Bytes()).Response
				if response == nil || response.UID == "" || !response.Allowed && (response.Result == nil || response.Result.Message == "") {
					t.Fatalf("no complete answer: %s", w.Body)
				}
			case w.Code < 400 || w.Code > 499 || strings.TrimSpace(w.Body.String()) == "":
				t.Fatalf("got %d %s", w.Code, w.Body)
			}
		}
	})
}
