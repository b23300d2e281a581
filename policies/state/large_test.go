package state

import (
	"fmt"
	"strings"
	"testing"
)

// An Ingress with more values than a review may have, stored before Sluice came, keeps nobody from being judged: its
// hosts are known.
func TestAnIngressTooLargeToJudgeIsFoundByItsHosts(t *testing.T) {
	c, _, _ := testCluster(t)
	w := &watched{kind: ingressKind, cluster: c}
	large := unstructuredIngress("shop", "large")
	paths := make([]any, 13_000)
	for i := range paths {
		paths[i] = map[string]any{"path": fmt.Sprintf("/%d", i), "pathType": "Prefix",
			"backend": map[string]any{"service": map[string]any{"name": "web", "port": map[string]any{"number": int64(80)}}}}
	}
	large.Object["spec"] = map[string]any{"ingressClassName": "nginx", "defaultBackend": map[string]any{"service": map[string]any{"name": "web"}},
		"rules": []any{map[string]any{"host": "large.example.com", "http": map[string]any{"paths": paths}}}}
	annotations := large.GetAnnotations()
	annotations["nginx.ingress.kubernetes.io/server-alias"] = "alias.example.com"
	large.SetAnnotations(annotations)
	if err := w.Replace([]any{large}, ""); err != nil {
		t.Fatal(err)
	}
	const want = "large.example.com: shop/large large.example.com; alias.example.com: shop/large alias.example.com"
	if got := conflicts(t, c.Index, ingress(t, "lab", "new", "", "large.example.com", "alias.example.com", "other.example.com")); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if _, _, err := c.Index.Get(ingressKind, "shop", "large"); err == nil || !strings.Contains(err.Error(), "100000") && !strings.Contains(err.Error(), "100,000") {
		t.Errorf("the object itself: %v", err)
	}
}
