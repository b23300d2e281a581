package engine_test

import (
	"context"
	"testing"

	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/rego"
)

// The shipped rules load and their own tests pass.
func TestShippedRules(t *testing.T) {
	library, err := engine.Load(rego.Rules)
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range library.Rules() {
		t.Log(rule.ID, rule.Verbs)
	}
	results, covered, err := engine.Test(context.Background(), rego.Rules)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if !r.Passed {
			t.Errorf("%s:%d %s failed %s", r.File, r.Line, r.Name, r.Reason)
		}
	}
	t.Log(covered)
}
