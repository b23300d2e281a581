package engine_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-gate/sluice/policies/engine"
)

func explain(t *testing.T, body, object string) engine.Explanation {
	t.Helper()
	program := compile(t, load(t, map[string]string{"x": module("x", body)}), "x")
	got := program.Explain(context.Background(), input(t, object), 0, engine.Deny)
	if len(got) != 1 || got[0].Verb != engine.Deny {
		t.Fatalf("explanations: %+v", got)
	}
	return got[0]
}

// Whatever the number of elements, there is one ending for each expression that failed, with a count.
func TestExplainLoopsBriefly(t *testing.T) {
	hosts := make([]string, 5000)
	for i := range hosts {
		hosts[i] = fmt.Sprintf(`{"host":"h%d.example.com"}`, i)
	}
	hosts[4000] = `{"host":"bad.example.org"}`
	got := explain(t, `deny contains "bad" if {
	some rule in input.request.object.spec.rules
	foreign(rule.host)
	input.request.operation == "UPDATE"
}

foreign(host) if not endswith(host, ".com")`, `{"spec":{"rules":[`+strings.Join(hosts, ",")+`]}}`)
	if got.Err != nil || len(got.Definitions) != 1 {
		t.Fatalf("%v, %d definitions", got.Err, len(got.Definitions))
	}
	endings := got.Definitions[0].Endings
	if len(endings) != 2 || endings[0].Count != 1 || endings[1].Count != 4999 {
		t.Fatalf("endings: %+v", endings)
	}
	last, foreign := endings[0].Steps[2], endings[1].Steps[1]
	if last.Mark != engine.StepFailed || last.Source != `input.request.operation == "UPDATE"` ||
		len(last.Values) != 1 || last.Values[0] != (engine.Variable{Name: "input.request.operation", Value: `"CREATE"`}) {
		t.Errorf("furthest: %+v", last)
	}
	if rule := endings[0].Steps[0].Values; len(rule) != 1 || rule[0].Value != `{"host": "bad.example.org"}` {
		t.Errorf("bindings that went furthest: %+v", rule)
	}
	if foreign.Mark != engine.StepFailed || len(foreign.Within) != 1 || foreign.Within[0].Arguments[0].Value != `"h0.example.com"` {
		t.Errorf("helper of the first: %+v", foreign)
	}
}

// A helper whose result is in the cache is explained all the same, and a function only for the arguments that it
// was called with.
func TestExplainCachedHelpers(t *testing.T) {
	got := explain(t, `deny contains "a" if low(1)

deny contains "b" if {
	low(5)
	never
}

deny contains "c" if low(5)

deny contains "d" if not enabled

deny contains "e" if not enabled

deny contains "f" if {
	not high(7)
	never
}

deny contains "g" if not high(7)

deny contains "h" if not high(8)

high(n) if n > 5

low(n) if {
	n < 3
	never
}

never if input.request.operation == "DELETE"

enabled if input.request.operation == "CREATE"`, `{}`)
	want := []string{`n = 1: n < 3 held, never failed`, `n = 5: n < 3 failed, never unreached`, `n = 5: n < 3 failed, never unreached`,
		`: input.request.operation == "CREATE" held`, `: input.request.operation == "CREATE" held`,
		`n = 7: n > 5 held`, `n = 7: n > 5 held`, `n = 8: n > 5 held`}
	if len(got.Definitions) != len(want) {
		t.Fatalf("%d definitions", len(got.Definitions))
	}
	for i, d := range got.Definitions {
		within := d.Endings[0].Steps[0].Within
		if len(within) != 1 {
			t.Errorf("%s: %+v", d.Head, within)
			continue
		}
		var args, steps []string
		for _, a := range within[0].Arguments {
			args = append(args, a.Name+" = "+a.Value)
		}
		for _, s := range within[0].Endings[0].Steps {
			steps = append(steps, s.Source+" "+string(s.Mark))
		}
		if text := strings.Join(args, ", ") + ": " + strings.Join(steps, ", "); text != want[i] {
			t.Errorf("%s: got %s, want %s", d.Head, text, want[i])
		}
	}
}

// What ends early says so, and shows how far it came.
func TestExplainErrors(t *testing.T) {
	for body, want := range map[string]string{
		`deny contains "x" if {
	input.request.operation == "CREATE"
	to_number("x") > 1
}`: "invalid syntax",
		`deny contains "x" if {
	input.request.operation == "CREATE"
	some i in numbers.range(1, 90000)
	some j in numbers.range(1, 90000)
	i + j == -1
}`: "stopped after",
	} {
		got := explain(t, body, `{}`)
		if got.Err == nil || !strings.Contains(got.Err.Error(), want) || len(got.Definitions) != 1 || len(got.Definitions[0].Endings) == 0 {
			t.Errorf("%s\n%v, %+v", body, got.Err, got.Definitions)
		}
	}
}

// A head ends where its body begins, whatever stands there.
func TestExplainHeads(t *testing.T) {
	got := explain(t, `deny contains "a" if {
	# if { this is why
	input.request.name == "b"
}

deny contains {"msg": "# if { not", "fix": fix} if { # why
	some i, j

	# which
	fix := input.request.object.spec.rules[i].http.paths[j].path
}

deny contains "c" if f(3)

f(x) := 1 if {
	x == 1
} else := 2 if {
	# some comment
	x == 2
}`, `{"spec":{"rules":[]}}`)
	var heads []string
	for _, d := range got.Definitions {
		heads = append(heads, d.Head)
		for _, within := range d.Endings[0].Steps[len(d.Endings[0].Steps)-1].Within {
			heads = append(heads, within.Head)
		}
	}
	want := []string{`deny contains "a" if`, `deny contains {"msg": "# if { not", "fix": fix} if`, `deny contains "c" if`, "f(x) := 1 if", "else := 2 if"}
	if !slices.Equal(heads, want) {
		t.Errorf("got  %q\nwant %q", heads, want)
	}
}

// No name of the compiler's is shown, whatever the author wrote.
func TestExplainShowsTheAuthorsNames(t *testing.T) {
	text := fmt.Sprintf("%+v", explain(t, `deny contains {"msg": sprintf("%v", [x])} if {
	[a, {"host": x}] := [1, input.request.object.spec.rules[_]]
	some _, y in {"k": [x]}
	every z in y {
		z == [x | some x in y][count(y) - 1]
		f(z, a).b[0] == x
	}
}

f(p, _) := {"b": [q, r]} if {
	q := upper(p)
	r := data.sluice.test.x.limit
}

limit := object.get(input.request.object.spec, "limit", 3)`, badHost))
	for _, bad := range []string{"__local", "$", "data.gate", "sluice.bounded", "internal."} {
		if strings.Contains(text, bad) {
			t.Errorf("%q in %s", bad, text)
		}
	}
	if !strings.Contains(text, "f(z, a).b[0] == x") || !strings.Contains(text, `BAD.EXAMPLE.COM`) {
		t.Errorf("the failing expression and its value: %s", text)
	}
}
