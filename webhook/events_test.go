package webhook

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/sluice-gate/sluice/policies"
)

// told is a recorder that keeps events as "namespace kind/name type reason action: note".
type told struct {
	mu    sync.Mutex
	lines []string
}

// Eventf implements events.EventRecorder.
func (r *told) Eventf(regarding, related runtime.Object, eventtype, reason, action, note string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o := regarding.(*corev1.ObjectReference)
	r.lines = append(r.lines, fmt.Sprintf("%s %s/%s %s %s %s: "+note, append([]any{o.Namespace, o.Kind, o.Name, eventtype, reason, action}, args...)...))
}

func (r *told) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lines
}

func TestDenialsAreToldInTheNamespace(t *testing.T) {
	finding := policies.Finding{Policy: "a", Effect: policies.EffectDeny, Message: "no\nTLS"}
	denied := policies.Decision{Judged: true, Findings: []policies.Finding{finding, {Policy: "b", Effect: policies.EffectWarn, Message: "w"}, {Policy: "c", Effect: policies.EffectDeny, Message: "m"}}}
	glass := policies.Decision{Judged: true, BreakGlass: true, Findings: []policies.Finding{{Policy: "g", Effect: policies.EffectWarn, Message: "m"}}}
	namespace := strings.NewReplacer(`"kind":{"group":"networking.k8s.io","version":"v1","kind":"Ingress"}`, `"kind":{"group":"","version":"v1","kind":"Namespace"}`,
		`"name":"web","namespace":"shop","operation"`, `"name":"shop","namespace":"shop","operation"`)
	long := denied
	long.Findings = []policies.Finding{{Policy: "a", Effect: policies.EffectDeny, Message: strings.Repeat("ä", 2000)}}
	tests := map[string]struct {
		decision policies.Decision
		body     string
		want     string // how the only event begins; empty for none
	}{
		"denied":           {denied, shopReview, "shop Ingress/web Warning Denied CREATE: kubernetes-admin: CREATE: a: no TLS; c: m"},
		"not judged":       {policies.Decision{Failure: "why"}, shopReview, "shop Ingress/web Warning Denied CREATE: kubernetes-admin: CREATE: could not judge: why"},
		"long":             {long, shopReview, "shop Ingress/web Warning Denied CREATE: kubernetes-admin: CREATE: a: ä"},
		"name to come":     {denied, strings.NewReplacer(`"name":"web","namespace":"shop","operation"`, `"namespace":"shop","operation"`, `"metadata":{"name":"web"`, `"metadata":{"generateName":"web-"`).Replace(shopReview), "shop Ingress/web- Warning Denied"},
		"a namespace":      {denied, namespace.Replace(shopReview), " Namespace/shop Warning Denied CREATE: "},
		"dry run":          {denied, strings.Replace(shopReview, `"dryRun":false`, `"dryRun":true`, 1), ""},
		"allowed":          {policies.Decision{Judged: true}, shopReview, ""},
		"only a warning":   {policies.Decision{Judged: true, Findings: denied.Findings[1:2]}, shopReview, ""},
		"break-glass":      {glass, shopReview, "shop Ingress/web Warning BreakGlass CREATE: kubernetes-admin: CREATE: policy g: m"},
		"dry break-glass":  {glass, strings.Replace(shopReview, `"dryRun":false`, `"dryRun":true`, 1), ""},
		"no review at all": {denied, `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"1"}}`, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			recorder := &told{}
			handlers, _ := handlersOf(t, deciding(test.decision), func(o *Options) { o.Events = recorder })
			post(handlers.Validate, test.body)
			got := recorder.all()
			if test.want == "" && len(got) > 0 || test.want != "" && (len(got) != 1 || !strings.HasPrefix(got[0], test.want)) {
				t.Errorf("got %q, want %q", got, test.want)
			}
			for _, line := range got {
				if _, note, _ := strings.Cut(line, "CREATE: "); len(note) > maxEventNote || !utf8.ValidString(note) {
					t.Errorf("a note of %d bytes", len(note))
				}
			}
		})
	}
}

func TestEventsAreBounded(t *testing.T) {
	recorder := &told{}
	dropped := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "dropped_total"}, []string{"bound"})
	registry := prometheus.NewRegistry()
	registry.MustRegister(dropped)
	teller := newTeller(recorder, dropped)
	now := time.Unix(1000, 0)
	teller.now = func() time.Time { return now }
	deny := func(namespace string, times int) (told int) {
		before := len(recorder.all())
		for range times {
			teller.tell(policies.Request{Kind: ingressKind.WithVersion("v1"), Namespace: namespace, Name: "web", Operation: "CREATE"}, policies.Decision{})
		}
		return len(recorder.all()) - before
	}
	expect := func(what string, got, want int) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %d events, want %d", what, got, want)
		}
	}
	expect("a namespace", deny("shop", 100), namespaceEvents)
	expect("another", deny("other", 3), 3)
	now = now.Add(namespacePause)
	expect("later", deny("shop", 100), 1)
	now = now.Add(time.Hour)
	many := 0
	for i := range 2 * maxNamespaces {
		many += deny(fmt.Sprint("n", i), 1)
	}
	expect("many namespaces", many, totalEvents)
	now = now.Add(time.Second)
	expect("a second later", deny("shop", 100), totalRate)
	if len(teller.namespaces) > maxNamespaces {
		t.Errorf("%d namespaces are remembered", len(teller.namespaces))
	}
	if got := sum(t, registry, "dropped_total", "bound", "namespace"); got != 90+99+90 {
		t.Errorf("%v were too many for their namespace", got)
	}
	if got := sum(t, registry, "dropped_total", "bound", "total"); got != 2*maxNamespaces-totalEvents+8 {
		t.Errorf("%v were too many in total", got)
	}
	for range 200 {
		teller.tell(policies.Request{Operation: "DELETE"}, policies.Decision{Judged: true, BreakGlass: true, Findings: make([]policies.Finding, 1)})
	}
	if got := recorder.all(); !strings.Contains(got[len(got)-200], "BreakGlass") {
		t.Error("break-glass is not told every time")
	}
}
