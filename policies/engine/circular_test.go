package engine_test

import (
	"context"
	"strings"
	"testing"

	"github.com/sluice-gate/sluice/policies/engine"
)

// A rule that makes a variable a part of itself would end the whole process.
func TestNothingIsAPartOfItself(t *testing.T) {
	for _, body := range []string{
		`deny contains "x" if { x = {x}; x != 1 }`,
		`deny contains "x" if { {x} = x; x != 1 }`,
		`deny contains "x" if { x = {x: 1}; x != 1 }`,
		`deny contains "x" if { x = {[1, {x}]}; x != 1 }`,
		`deny contains "x" if { [x, y] = [{y}, {x}]; x != y }`,
		`deny contains "x" if { [x, {x}] = [[y], y]; x != y }`,
		`deny contains "x" if { {"a": y} = {"a": {y}}; y != 1 }`,
		`deny contains "x" if { every y in [1] { x = {x}; x != y } }`,
		`deny contains "x" if { count({x | x = {x}}) == 1 }`,
		`deny contains "x" if { count([{1: x | x = {x}}]) == 1 }`,
		`deny contains "x" if { $"{[x | x = {x}]}" == "x" }`,
		"deny contains \"x\" if two\ntwo := 1 if false else := 2 if { x = {x}; x != 1 }",
	} {
		_, err := load(t, nil).Inline("a.rego", thing(body))
		if err == nil || !strings.Contains(err.Error(), "a variable can't be a part of itself") {
			t.Errorf("%s: got %v", body, err)
		}
	}
	for _, body := range []string{
		`deny contains "x" if { x := 1; y = {x: {x}}; y[1][x] }`,
		`deny contains "x" if { some x in [1, 2]; {x} = {2} }`,
		`deny contains "x" if { some x; y = {x: [x]}; x = 1; y[x][0] == x }`,
		`deny contains "x" if { x := 1; count({y | y = {x}}) == x }`,
		"deny contains \"x\" if f(1) == {1}\nf(x) := y if y = {x}",
	} {
		program := compile(t, load(t, map[string]string{"a": thing(body)}), "a")
		if out := program.Evaluate(context.Background(), input(t, `{}`), []int{0}, engine.Deny)[0]; out.Err != nil || len(out.Deny) != 1 {
			t.Errorf("%s: got %+v", body, out)
		}
	}
}
