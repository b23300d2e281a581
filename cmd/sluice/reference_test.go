package main

import (
	"io/fs"
	"os"
	"testing"

	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/profile"
	"github.com/sluice-gate/sluice/rego"
)

// The reference of the rules is what they say of themselves today.
func TestReferenceIsCurrent(t *testing.T) {
	const file = "../../rego/README.md"
	got, stderr, code := sluice(t, "", "rules", "-o", "markdown")
	if code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want := readFile(t, file); got != want {
		t.Errorf("%s is stale: run go test ./cmd/sluice -run Reference -update", file)
	}
}

// Every rule shows what it does: a test of it has METADATA with custom.example.
func TestEveryRuleHasExamples(t *testing.T) {
	set, err := profile.Load(profile.Options{})
	if err != nil {
		t.Fatal(err)
	}
	examples, err := engine.Examples(t.Context(), []fs.FS{rego.Rules}...)
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range set.Library.Rules() {
		shown := map[engine.Showing]bool{}
		for _, e := range examples[rule.ID] {
			shown[e.Shows] = true
		}
		var wanted []engine.Showing
		if rule.States(engine.Deny) || rule.States(engine.Warn) {
			wanted = append(wanted, engine.ShowsRefused, engine.ShowsAdmitted)
		}
		if rule.States(engine.Patch) {
			wanted = append(wanted, engine.ShowsPatched)
		}
		if rule.States(engine.Generate) {
			wanted = append(wanted, engine.ShowsGenerated)
		}
		for _, w := range wanted {
			if !shown[w] {
				t.Errorf("%s: no test shows what is %s: write above one of them\n# METADATA\n# custom: {example: %s}", rule.ID, w, w)
			}
		}
	}
}
