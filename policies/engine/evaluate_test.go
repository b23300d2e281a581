package engine_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/sluice-gate/sluice/policies/engine"
)

const head = `# METADATA
# title: A title
# description: A description.
# custom:
#   severity: high
#   kinds: [networking.k8s.io/Ingress]
package sluice.test.%s

`

// module is a complete rule around a body.
func module(name, body string) string { return fmt.Sprintf(head, name) + body }

const good = `deny contains {"msg": msg, "field": sprintf("spec.rules[%d].host", [i])} if {
	some i, rule in input.request.object.spec.rules
	rule.host == "bad.example.com"
	msg := "bad host"
}`

func load(t testing.TB, modules map[string]string) *engine.Library {
	t.Helper()
	folder := fstest.MapFS{}
	for name, source := range modules {
		folder[name+".rego"] = &fstest.MapFile{Data: []byte(source)}
	}
	library, err := engine.Load(folder)
	if err != nil {
		t.Fatal(err)
	}
	return library
}

func compile(t testing.TB, library *engine.Library, names ...string) *engine.Program {
	t.Helper()
	var policies []engine.Policy
	for _, name := range names {
		rule, ok := library.Rule("test-" + name)
		if !ok {
			t.Fatalf("no rule %s", name)
		}
		policies = append(policies, engine.Policy{Name: name, Rule: rule})
	}
	program, err := engine.Compile(policies, engine.DefaultBudget(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return program
}

func input(t testing.TB, object string) engine.Input {
	t.Helper()
	request, err := engine.ParseJSON([]byte(`{"operation":"CREATE","object":` + object + `}`))
	if err != nil {
		t.Fatal(err)
	}
	return engine.Input{Request: request}
}

const badHost = `{"spec":{"rules":[{"host":"bad.example.com"}]}}`

// Rules that never end, eat memory or contradict themselves: each is stopped within its budget and is the
// error of its own policy, beside the good policy's finding, and the next review is unharmed.
func TestRunawayRules(t *testing.T) {
	doubling := "x0 := \"0123456789abcdef\"\n"
	arrays := "x0 := [\"0123456789abcdef\"]\n"
	squares := "x0 := 1234567\n"
	for i := range 60 {
		doubling += fmt.Sprintf("x%d := concat(\"\", [x%d, x%d])\n", i+1, i, i)
		arrays += fmt.Sprintf("x%d := array.concat(x%d, x%d)\n", i+1, i, i)
		squares += fmt.Sprintf("x%d := x%d * x%d\n", i+1, i, i)
	}
	nested := "x0 := [\"0123456789abcdef\"]\n"
	for i := range 60 {
		nested += fmt.Sprintf("x%d := [x%d, x%d]\n", i+1, i, i)
	}
	cases := map[string]string{
		"loops": `deny contains "x" if {
			some i in numbers.range(1, 90000)
			some j in numbers.range(1, 90000)
			i + j == -1
		}`,
		"comprehensions": `deny contains "x" if {
			count([x | some i in numbers.range(1, 90000); x := [y | some j in numbers.range(1, 90000); y := i * j]]) < 0
		}`,
		"doubles a string":        doubling + `deny contains x60`,
		"doubles an array":        arrays + `deny contains "x" if count(x60) > 1`,
		"doubles a nested array":  nested + `deny contains sprintf("%v", [x60])`,
		"returns a huge document": nested + `deny contains {"msg": x60}`,
		"squares a number":        squares + `deny contains "x" if x60 > 1`,
		"interpolates":            `x0 := "0123456789abcdef"` + "\n" + strings.ReplaceAll(doubling[strings.Index(doubling, "\n")+1:], "concat", "concat") + `deny contains $"{x60}"`,
		"pads":                    `deny contains sprintf("%999999999d", [1])`,
		"pads by star":            `deny contains sprintf("%*d", [999999999, 1])`,
		"replaces":                `big := replace(concat("", [x | some _ in numbers.range(1, 90000); x := "ab"]), "a", concat("", [x | some _ in numbers.range(1, 90000); x := "cd"]))` + "\n" + `deny contains "x" if count(big) > 3`,
		"ranges":                  `deny contains "x" if count(numbers.range(1, 900000000000)) > 1`,
		"splits":                  doubling + `deny contains "x" if count([x | some _ in numbers.range(1, 50000); x := split(x13, "1")]) < 0`,
		"finds":                   doubling + `deny contains "x" if count([x | some _ in numbers.range(1, 50000); x := indexof_n(x13, "1")]) < 0`,
		"joins":                   arrays + `deny contains "x" if count([x | some _ in numbers.range(1, 50000); x := array.concat(x14, x14)]) < 0`,
		"matches":                 doubling + `deny contains "x" if { some _ in numbers.range(1, 50000); regex.match("(a?,?){1000}b", x13) }`,
		"matches long":            doubling + `deny contains "x" if { some _ in numbers.range(1, 50000); regex.match("(a?,?){90}b", x10) }`,
		"pads often": `f := concat("", [x | some _ in numbers.range(1, 20000); x := "%[1]999d"])
			deny contains "x" if count(sprintf(f, [1])) > 1`,
		"compares": `cidrs := [c | some i in numbers.range(0, 255); some j in numbers.range(0, 38); c := sprintf("10.%d.%d.0/24", [i, j])]
			deny contains "x" if count(net.cidr_contains_matches(cidrs, cidrs)) > 1`,
		"conflicts": `name := "a" if input.request.operation == "CREATE"
			name := "b" if input.request.operation != "DELETE"
			deny contains name`,
		"wrong finding":  `deny contains 7`,
		"wrong keys":     `deny contains {"msg": "m", "feild": "spec"}`,
		"built-in error": `deny contains "x" if to_number(input.request.object.spec.rules[0].host) > 1`,
	}
	for name, body := range cases {
		t.Run(name, func(t *testing.T) {
			library := load(t, map[string]string{"bad": module("bad", body), "good": module("good", good)})
			program := compile(t, library, "bad", "good")
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			outcomes := program.Evaluate(context.Background(), input(t, badHost), []int{0, 1}, engine.Deny, engine.Warn)
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			if outcomes[0].Err == nil {
				t.Fatalf("no error, but findings %.200v", outcomes[0].Deny)
			}
			t.Logf("%v, %d MiB: %.300v", took, (after.TotalAlloc-before.TotalAlloc)>>20, outcomes[0].Err)
			if len(outcomes[1].Deny) != 1 || outcomes[1].Err != nil {
				t.Errorf("the good policy lost its finding: %+v", outcomes[1])
			}
			if took > 3*time.Second {
				t.Errorf("it took %v", took)
			}
			if used := (int64(after.Sys) - int64(before.Sys)) >> 20; used > 256 {
				t.Errorf("the process grew by %d MiB", used)
			}
			next := program.Evaluate(context.Background(), input(t, badHost), []int{1}, engine.Deny)
			if len(next[0].Deny) != 1 || next[0].Err != nil {
				t.Errorf("the next review was harmed: %+v", next[0])
			}
		})
	}
}

// Numbers and stars in the text of a format are no widths, and neither are those behind a percent sign.
func TestFormatsMayHaveNumbers(t *testing.T) {
	program := compile(t, load(t, map[string]string{"a": module("a", `deny contains sprintf("%-4s is CVE-2021-25742, 100%% 10000 times, %%*, port %5d", ["it", 65535])`)}), "a")
	out := program.Evaluate(context.Background(), input(t, badHost), []int{0}, engine.Deny)[0]
	if out.Err != nil || len(out.Deny) != 1 || out.Deny[0].Message != "it   is CVE-2021-25742, 100% 10000 times, %*, port 65535" {
		t.Errorf("got %+v", out)
	}
}
