package corpus_test

import (
	"context"
	"strings"
	"testing"

	"github.com/sluice-gate/sluice/policies/corpus"
	"github.com/sluice-gate/sluice/policies/profile"
)

func run(t *testing.T, paths ...string) []corpus.Result {
	t.Helper()
	set, err := profile.Load(profile.Options{Paths: []string{"testdata/policies"}})
	if err != nil {
		t.Fatal(err)
	}
	steps := 0
	results, problems, err := corpus.Run(context.Background(), corpus.Options{
		Paths: paths, Policies: set, Progress: func(int, int) { steps++ },
	})
	if err != nil || len(problems) > 0 || steps != len(results) {
		t.Fatalf("%v, problems %v, %d steps", err, problems, steps)
	}
	return results
}

func TestRun(t *testing.T) {
	want := map[string]string{
		"service-001": "passed deny",
		"service-002": "passed allow",
		"service-003": "passed allow",
		"service-004": "passed warn",
		"service-005": "failed deny keep has to report it",
		"service-006": "passed allow",
		"service-007": "failed could not judge broken could not be evaluated",
		"service-008": "passed warn",
		"service-009": "passed deny",
		"service-010": `failed could not judge policy "port": spec.parameters: additional properties 'size' not allowed`,
	}
	results := run(t, "testdata/cases")
	for _, r := range results {
		got := strings.TrimSpace(strings.Join([]string{string(r.Status), r.Got, r.Reason}, " "))
		if got != want[r.Case.ID] {
			t.Errorf("%s: got %q, want %q; findings %+v", r.Case.ID, got, want[r.Case.ID], r.Findings)
		}
	}
	if len(results) != len(want) {
		t.Errorf("%d results, want %d", len(results), len(want))
	}
}

const good = `id: x-001
title: a title
expect: allow
about: [port]
operation: CREATE
state: []
object: {apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop}, spec: {ports: [{port: 80, protocol: TCP}]}}
why: Because.
`

func TestReadCases(t *testing.T) {
	for name, c := range map[string]struct{ old, new, want string }{
		"good":           {"", "", ""},
		"no mapping":     {good, "- 1\n", "x.yaml:1:1: expected a mapping"},
		"unknown key":    {"why:", "reason: x\nwhy:", `x.yaml:8:1: unknown key "reason"`},
		"no expect":      {"expect: allow\n", "", "x.yaml:1:1: expect is missing"},
		"bad expect":     {"expect: allow", "expect: maybe", `x.yaml:3:1: expect: "maybe": want deny, warn, allow`},
		"bad operation":  {"CREATE", "CONNECT", `operation: "CONNECT"`},
		"no about":       {"expect: allow\nabout: [port]\n", "expect: warn\n", "about is missing"},
		"near to none":   {"about: [port]", "about: []", ""},
		"wrong type":     {"about: [port]", "about: port", "x.yaml:4:1: about: expected []string, found a string"},
		"no old object":  {"CREATE", "UPDATE", "oldObject is missing"},
		"an old object":  {"why:", "oldObject: {a: b}\nwhy:", "x.yaml:8:1: oldObject: only an UPDATE has an oldObject"},
		"no object":      {"object:", "oldObject:", "object is missing"},
		"no kind":        {"kind: Service, ", "", "kind is missing"},
		"raw and bad":    {"state: []", "state: []\nraw: true\n# {port: 80} is fine", ""},
		"raw and worse":  {"port: 80", "prot: 80", ""},
		"bad policy":     {"state: []", "policies: [{apiVersion: policy.sluice.dev/v1alpha1, kind: GatePolicy, metadata: {name: a}, spec: {rul: b}}]", `x.yaml:6:99: unknown field "spec.rul"; did you mean "rule"?`},
		"no policy":      {"state: []", "policies: [{apiVersion: v1, kind: Service, metadata: {name: a}}]", `policies[0].kind: expected a GatePolicy, found Service`},
		"bad state":      {"state: []", "state: [{a: b}]", "x.yaml:6:9: apiVersion is missing"},
		"duplicate keys": {"why:", "id: x-002\nwhy:", `duplicate key "id"`},
	} {
		t.Run(name, func(t *testing.T) {
			cases, problems := corpus.ReadCases("x.yaml", []byte(strings.Replace(good, c.old, c.new, 1)))
			if c.want == "" {
				if len(cases) != 1 || len(problems) != 0 {
					t.Fatalf("%d cases, problems %v", len(cases), problems)
				}
				return
			}
			if len(cases) != 0 || len(problems) == 0 {
				t.Fatalf("%d cases, problems %v", len(cases), problems)
			}
			var texts []string
			for _, p := range problems {
				texts = append(texts, p.String())
			}
			if text := strings.Join(texts, "\n"); !strings.Contains(text, c.want) {
				t.Errorf("no %q in\n%s", c.want, text)
			}
		})
	}
	raw := strings.NewReplacer("state: []", "state: []\nraw: true", "port: 80,", "prot: 80,").Replace(good)
	if cases, problems := corpus.ReadCases("x.yaml", []byte(raw)); len(cases) != 0 || len(problems) == 0 {
		t.Errorf("a raw object that is not valid: %d cases, problems %v", len(cases), problems)
	}
}

func TestContextEndsTheRun(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	set, err := profile.Load(profile.Options{Paths: []string{"testdata/policies"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := corpus.Run(ctx, corpus.Options{Paths: []string{"testdata/cases"}, Policies: set}); err == nil {
		t.Error("want an error")
	}
}
