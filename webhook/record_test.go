package webhook

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/webhook/decisionlog"
)

// recorded posts reviews with a decision log, and returns its lines.
func recorded(t *testing.T, reviewer Reviewer, objects bool, bodies ...string) []decisionlog.Entry {
	t.Helper()
	path := filepath.Join(t.TempDir(), "decisions")
	log, err := decisionlog.Open(decisionlog.Options{Output: path, Objects: objects, Registerer: prometheus.NewRegistry(), Log: logr.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	handlers, _ := handlersOf(t, reviewer, func(o *Options) { o.Decisions = log })
	for _, body := range bodies {
		post(handlers.Validate, body)
	}
	if err := log.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var entries []decisionlog.Entry
	for line := range strings.Lines(string(data)) {
		var entry decisionlog.Entry
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		entries = append(entries, entry)
	}
	return entries
}

func TestReviewsAreInTheDecisionLog(t *testing.T) {
	entries := recorded(t, newGate(t, "ingress-tls-required"), false, shopReview, shopFixed, "{}",
		`{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"1"}}`)
	if len(entries) != 2 {
		t.Fatalf("2 of 4 are reviews, %d lines", len(entries))
	}
	denied, allowed := entries[0], entries[1]
	if since := time.Since(denied.Time); since < 0 || since > time.Minute || denied.DurationSeconds <= 0 || denied.DurationSeconds > 60 {
		t.Errorf("%v ago, took %v s", since, denied.DurationSeconds)
	}
	finding := decisionlog.Finding{Policy: "ingress-tls-required", Action: "deny", Message: `host "shop.example.com" is served without a certificate`, Field: "spec.rules[0].host"}
	if len(denied.Findings) != 1 || denied.Findings[0] != finding {
		t.Errorf("findings %+v", denied.Findings)
	}
	if denied.UID != shopUID || denied.User != "kubernetes-admin" || len(denied.Groups) != 2 || denied.Operation != "CREATE" || denied.Kind != "networking.k8s.io/Ingress" ||
		denied.Namespace != "shop" || denied.Name != "web" || denied.DryRun || denied.Decision != "deny" || denied.Handler != "validate" || denied.Object != nil {
		t.Errorf("%+v", denied)
	}
	if allowed.Decision != "allow" || len(allowed.Findings) > 0 {
		t.Errorf("%+v", allowed)
	}
}

func TestWhatGoesIsTheObject(t *testing.T) {
	deletion := strings.NewReplacer(`"operation":"CREATE"`, `"operation":"DELETE"`, `"oldObject":null`, `"other":null`, `"object":{`, `"oldObject":{`).Replace(shopReview)
	for _, entry := range recorded(t, allowing, true, shopReview, deletion) {
		if !strings.Contains(string(entry.Object), `"shop.example.com"`) {
			t.Errorf("%s: %s", entry.Operation, entry.Object)
		}
	}
}

func TestEntriesAreBounded(t *testing.T) {
	many := make([]policies.Finding, 1000)
	for i := range many {
		many[i] = policies.Finding{Policy: "p", Effect: policies.EffectWarn, Message: strings.Repeat("a", 10<<10)}
	}
	entry := recorded(t, deciding(policies.Decision{Judged: true, Findings: many}), false, shopReview)[0]
	if last := entry.Findings[len(entry.Findings)-1]; len(entry.Findings) != maxEntryFindings+1 || last.Message != "and 900 more findings" || len(entry.Findings[0].Message) > maxEntryMessage {
		t.Errorf("%d findings, the last %+v", len(entry.Findings), last)
	}
}
