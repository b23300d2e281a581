package rego_test

import (
	"flag"
	"os"
	"testing"

	"github.com/sluice-gate/sluice/policies/engine"
)

var update = flag.Bool("update", false, "rewrite files that aren't formatted")

// The rules on disk, those that aren't embedded too, are what `sluice lint` asks of every rule.
func TestLint(t *testing.T) {
	folder := os.DirFS(".")
	findings, err := engine.Lint(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range findings {
		if f.ID == engine.LintFormat && *update {
			reformat(t, f.File)
			continue
		}
		t.Errorf("%s:%d:%d: %s: %s (%s)", f.File, f.Line, f.Column, f.ID, f.Reason, f.Fix)
	}
}

func reformat(t *testing.T, file string) {
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	formatted, err := engine.Format(file, string(source))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(formatted), 0o644); err != nil {
		t.Fatal(err)
	}
}
