package engine_test

import (
	"context"
	"strings"
	"testing"

	"github.com/sluice-gate/sluice/policies/engine"
)

// Without a request there is nothing to judge: every policy says so, in one unit and in several, and none allows.
func TestNoRequest(t *testing.T) {
	library := load(t, map[string]string{"a": module("a", good), "b": module("b", good), "lib": wordLib("shipped")})
	a, _ := library.Rule("test-a")
	b, _ := library.Rule("test-b")
	program, err := engine.Compile([]engine.Policy{{Name: "a", Rule: a}, {Name: "b", Rule: b},
		inline(t, library, "c", saying("c"), wordLib("own"))}, engine.DefaultBudget(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, active := range [][]int{{0}, {1, 0}, {2, 0, 1}} {
		outcomes := program.Evaluate(context.Background(), engine.Input{}, active, engine.Deny)
		if len(outcomes) != len(active) {
			t.Fatalf("%v: got %+v", active, outcomes)
		}
		for i, o := range outcomes {
			if o.Policy != active[i] || o.Err == nil || !strings.Contains(o.Err.Error(), "there is no request") {
				t.Errorf("%v: got %+v", active, o)
			}
		}
	}
	for _, e := range program.Explain(context.Background(), engine.Input{}, 0, engine.Deny) {
		if e.Err == nil || !strings.Contains(e.Err.Error(), "there is no request") {
			t.Errorf("explain: got %+v", e)
		}
	}
	if outcomes := program.Evaluate(context.Background(), engine.Input{}, nil, engine.Deny); len(outcomes) > 0 {
		t.Errorf("nobody was asked: got %+v", outcomes)
	}
}
