package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-gate/sluice/policies/corpus"
	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/state"
	"github.com/sluice-gate/sluice/rego"
)

// screened compares what a program says with what the evaluator alone says, and returns what the evaluator wasn't asked about.
func screened(t *testing.T, program *engine.Program, in engine.Input, active []int) (known []engine.Outcome) {
	t.Helper()
	ctx := context.Background()
	verbs := []engine.Verb{engine.Deny, engine.Warn, engine.Patch, engine.Generate}
	got, want := program.Evaluate(ctx, in, active, verbs...), program.Ask(ctx, in, active, verbs...)
	for i := range want {
		if fmt.Sprint(got[i].Err) != fmt.Sprint(want[i].Err) {
			t.Errorf("%s: got the error %v, want %v", program.Policies()[active[i]].Name, got[i].Err, want[i].Err)
		}
		got[i].Err, want[i].Err = nil, nil
		if fmt.Sprintf("%+v", got[i]) != fmt.Sprintf("%+v", want[i]) {
			t.Errorf("%s: got %+v, want %+v", program.Policies()[active[i]].Name, got[i], want[i])
		}
	}
	for _, policy := range program.Screened(ctx, in, active, verbs...) {
		known = append(known, got[slices.Index(active, policy)])
	}
	return known
}

// isSilent tells that a policy has nothing to say.
func isSilent(o engine.Outcome) bool {
	return len(o.Deny)+len(o.Warn)+len(o.Patch)+len(o.Generate) == 0
}

// thing is a rule about a kind whose fields nobody knows.
func thing(body string) string {
	return strings.Replace(module("a", body), "networking.k8s.io/Ingress", "example.com/Thing", 1)
}

func TestScreenUnderstandsConditions(t *testing.T) {
	object := `{"spec":{"a":1,"zero":0,"no":false,"null":null,"list":[{"x":1},{"x":2,"y":true}],"empty":[],"map":{"p":"1","q":"2"},"text":"word"}}`
	for body, want := range map[string]string{
		`deny contains "x" if o.a == 2`:                                                                    "silent",
		`deny contains "x" if o.a == 1.0`:                                                                  "says",
		`deny contains "x" if o.missing`:                                                                   "silent",
		`deny contains "x" if o.missing.deeper[_] == 1`:                                                    "silent",
		`deny contains "x" if o.no`:                                                                        "silent",
		`deny contains "x" if o.null`:                                                                      "says",
		`deny contains "x" if o.zero`:                                                                      "says",
		`deny contains "x" if not o.a`:                                                                     "silent",
		`deny contains "x" if not o.no`:                                                                    "says",
		`deny contains "x" if not o.missing`:                                                               "says",
		`deny contains "x" if o.text.deeper`:                                                               "silent",
		`deny contains "x" if o.list[5]`:                                                                   "silent",
		`deny contains "x" if o.list[_].x == 3`:                                                            "silent",
		`deny contains "x" if o.list[_].x == 2`:                                                            "says",
		"deny contains \"x\" if {\n\tsome i, e in o.list\n\te.y\n\ti == 0\n}":                              "silent",
		"deny contains \"x\" if {\n\tsome i, e in o.list\n\te.y\n\ti == 1\n}":                              "says",
		"deny contains \"x\" if {\n\tsome k, v in o.map\n\tk == v\n}":                                      "silent",
		"deny contains \"x\" if {\n\tsome k, v in o.map\n\tk == \"q\"\n\tv == \"2\"\n}":                    "says",
		`deny contains "x" if some e in o.empty`:                                                           "silent",
		`deny contains "x" if "r" in {"p", "q"}`:                                                           "silent",
		`deny contains "x" if o.text in {"word", "q"}`:                                                     "says",
		`deny contains "x" if startswith(o.text, "x")`:                                                     "silent",
		`deny contains "x" if startswith(o.a, "x")`:                                                        "asks", // an error
		`deny contains "x" if to_number(o.text) == 1`:                                                      "asks", // an error
		`deny contains sprintf("%v", [o.a]) if o.a == 1`:                                                   "says",
		"deny contains \"x\" if small(o.a)\nsmall(n) if n > 1":                                             "silent",
		"deny contains \"x\" if small(o.a)\nsmall(n) if n > 0":                                             "says",
		"deny contains \"x\" if kind(\"b\", o.a) == 1\nkind(\"a\", n) := n\nkind(\"b\", _) := 2":           "silent",
		"deny contains \"x\" if kind(\"a\", o.a) == 1\nkind(\"a\", n) := n\nkind(\"b\", _) := 2":           "says",
		"deny contains \"x\" if grade == \"low\"\ngrade := \"high\" if o.a == 1 else := \"low\"":           "silent",
		"deny contains \"x\" if grade == \"low\"\ngrade := \"high\" if o.a == 2 else := \"low\"":           "says",
		"deny contains \"x\" if grade == \"low\"\ndefault grade := \"low\"\ngrade := \"high\" if o.a == 1": "silent",
		"deny contains \"x\" if grade == \"low\"\ndefault grade := \"low\"\ngrade := \"high\" if o.a == 2": "says",
		"deny contains \"x\" if some s in seen\nseen contains e.x if {\n\tsome e in o.list\n\te.x > 2\n}":  "silent",
		"deny contains \"x\" if seen[2]\nseen contains e.x if some e in o.list":                            "says",
		"deny contains \"x\" if seen[3]\nseen contains e.x if some e in o.list":                            "silent",
		"deny contains \"x\" if two == 3\ntwo := 1 if o.a == 1\ntwo := 2 if o.zero == 0":                   "asks", // a conflict
		"deny contains \"x\" if {\n\t[p, q] := pair\n\tp == q\n}\npair := [o.a, o.zero]":                   "silent",
		"deny contains \"x\" if {\n\t[p, _] := pair\n\tp == 1\n}\npair := [o.a, o.zero]":                   "says",
		`deny contains "x" if count({e | some e in o.list}) == 9`:                                          "silent",
		`deny contains "x" if count([e.x | some e in o.list; e.x < 3]) == 2`:                               "says",
		`deny contains "x" if {k: v | some v, k in o.map}["1"] == "q"`:                                     "silent",
		`deny contains "x" if {k: v | some v, k in o.map}["1"] == "p"`:                                     "says",
		`deny contains "x" if {1: e | some e in o.list}[1].x == 3`:                                         "asks", // a conflict
		`deny contains "x" if every e in o.list { e.x == 9 }`:                                              "asks",
		`deny contains "x" if o.a == 2 with input.request.object.spec.a as 3`:                              "asks",
		"deny contains \"x\" if {\n\to.a == 2\n\tevery e in o.list { e.x }\n}":                             "silent",
		"deny contains \"x\" if o.a == 2\nwarn contains \"y\" if o.a == 1":                                 "says",
		"deny contains \"x\" if o.a == 2\nwarn contains \"y\" if o.a == 3":                                 "silent",

		// constants and what they lead to
		"deny contains \"x\" if o[names[_]] == \"word\"\nnames := [\"missing\", \"text\"]": "says",
		"deny contains \"x\" if o[names[_]] == \"other\"\nnames := [\"a\", \"text\"]":      "silent",
		"deny contains \"x\" if o[names[1]] == \"word\"\nnames := [\"missing\", \"text\"]": "says",
		"deny contains \"x\" if o[names[0]] == 1\nnames := {0: \"zero\", 1: \"a\"}":        "silent",
		"deny contains \"x\" if names[o.text].y == 2\nnames := {\"word\": {\"y\": 2}}":     "says",
		"deny contains \"x\" if names[o.text].y == 1\nnames := {\"word\": {\"y\": 2}}":     "silent",

		// what is said
		`deny contains {"msg": "x", "field": o.text} if o.a == 1`:                                  "says",
		`deny contains {"msg": sprintf("%d of %s", [count(o.list), o.text]), "fix": "y"}`:          "says",
		"deny contains {\"msg\": sprintf(\"%d\", [e.x])} if some e in o.list":                      "says",
		"deny contains {\"msg\": text} if {\n\tsome text, _ in {\"b\": 1, \"a\": o.missing}\n}":    "silent",
		`deny contains {"msg": o.missing}`:                                                         "silent",
		`deny contains {"msg": o.a}`:                                                               "asks", // an error
		`deny contains {"nosuch": "x"}`:                                                            "asks", // an error
		"patch contains {\"op\": \"add\", \"path\": \"/spec/b\", \"value\": [o.a, {o.text: o.a}]}": "says",
		`deny contains {o.text: "x"}`:                                                              "asks", // not understood
		// a result that is given, which decides about the else
		"deny contains \"x\" if f(1, 2)\nf(_) := 1 if o.a == 1 else := 2":                             "asks",
		"deny contains \"x\" if {\n\tx := 2\n\tf(1, x)\n}\nf(_) := 1 if o.a == 1 else := 2":           "asks",
		"deny contains \"x\" if {\n\tf(1, [x, 2])\n\tx == 1\n}\nf(_) := 1 if o.a == 1 else := [1, 2]": "asks",
		"deny contains \"x\" if {\n\tf(1, x)\n\tx == 2\n}\nf(_) := 1 if o.a == 1 else := 2":           "silent",

		// a set that is looked up by a key, by which the evaluator binds f(1, x) beforehand, and so reaches the else
		"deny contains \"x\" if seen[2]\nseen contains f(1)\nf(_) := 1 if o.a == 1 else := 2":               "asks",
		"deny contains \"x\" if not seen[2]\nseen contains f(1)\nf(_) := 1 if o.a == 1 else := 2":           "asks",
		"deny contains \"x\" if seen[2]\nseen contains g(1)\ng(x) := f(x)\nf(_) := 1 if o.a == 1 else := 2": "asks",
		"deny contains \"x\" if seen[[_, 1]]\nseen contains i if some i, _ in o.list":                       "asks", // a panic
		"deny contains \"x\" if 2 in seen\nseen contains f(1)\nf(_) := 1 if o.a == 1 else := 2":             "silent",
		"deny contains \"x\" if seen[2]\nseen contains f(1)\nf(_) := 1 if o.a == 1":                         "silent",
		// a default value that is computed
		"deny contains \"x\" if some n in names\ndefault names := {n | some n in [1]}\nnames := {2} if o.a == 2": "asks",
		"deny contains \"x\" if name == [\"a1\"]\ndefault name := [$\"a{1}\"]\nname := [] if o.a == 2":           "asks",
		"deny contains \"x\" if name.a[0] == 1\ndefault name := {\"a\": [1 | true]}\nname := {} if o.a == 2":     "asks",
	} {
		t.Run(body, func(t *testing.T) {
			program := compile(t, load(t, map[string]string{"a": thing(body + "\n\no := input.request.object.spec\n")}), "a")
			got := "asks"
			if known := screened(t, program, input(t, object), []int{0}); len(known) > 0 {
				got = "says"
				if isSilent(known[0]) {
					got = "silent"
				}
			}
			if got != want {
				t.Errorf("it %s, want %s", got, want)
			}
		})
	}
}

// A screen that runs out of steps, or out of time, leaves it to the evaluator to say so.
func TestScreenGivesUp(t *testing.T) {
	long := `{"spec":{"list":[` + strings.Repeat("1,", 20_000) + `1]}}`
	program := compile(t, load(t, map[string]string{"a": thing(`deny contains "x" if input.request.object.spec.list[_] == 2`)}), "a")
	if got := screened(t, program, input(t, long), []int{0}); len(got) > 0 {
		t.Error("silent after 20,000 steps")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if out := program.Evaluate(ctx, input(t, `{"spec":{"list":[1]}}`), []int{0}, engine.Deny); out[0].Err == nil {
		t.Error("a request whose deadline has passed has no error")
	}
}

// everyRule is a policy of each shipped rule, with the parameters that the case gives it.
func everyRule(t *testing.T, library *engine.Library, c corpus.Case) []engine.Policy {
	t.Helper()
	var out []engine.Policy
	for _, rule := range library.Rules() {
		policy := engine.Policy{Name: rule.ID, Rule: rule}
		for _, given := range c.Policies {
			if given.Spec.Rule == rule.ID && given.Spec.Parameters != nil {
				if err := json.Unmarshal(given.Spec.Parameters.Raw, &policy.Parameters); err != nil {
					t.Fatal(err)
				}
			}
		}
		out = append(out, policy)
	}
	return out
}

func corpusCases(t *testing.T) []corpus.Case {
	t.Helper()
	files, err := filepath.Glob("../../test/corpus/*/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	var out []corpus.Case
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		cases, problems := corpus.ReadCases(file, data)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		out = append(out, cases...)
	}
	return out
}

// What is said with screens is what the evaluator says, of every case of the corpus and of objects that are nearly
// those: with something missing, null, of another type, or taken from elsewhere.
func TestScreensAgreeWithTheEvaluator(t *testing.T) {
	library, err := engine.Load(rego.Rules)
	if err != nil {
		t.Fatal(err)
	}
	mutations := 10
	if testing.Short() {
		mutations = 3
	}
	budget := engine.DefaultBudget()
	budget.Time = time.Minute // a busy machine must not fail a case
	common, err := engine.Compile(everyRule(t, library, corpus.Case{}), budget, nil)
	if err != nil {
		t.Fatal(err)
	}
	silent, said, asked := 0, 0, 0
	for _, c := range corpusCases(t) {
		program := common
		if len(c.Policies) > 0 {
			if program, err = engine.Compile(everyRule(t, library, c), budget, common); err != nil {
				t.Fatal(err)
			}
		}
		exists := state.NewFiles()
		for _, object := range c.State {
			exists.Put(object)
		}
		var active []int
		for i, p := range program.Policies() {
			if slices.Contains(p.Rule.Kinds, c.Request.Kind.GroupKind()) {
				active = append(active, i)
			}
		}
		r := rand.New(rand.NewPCG(1, 2))
		request := goValue(t, c.Request.Raw)
		for n := range mutations {
			changed := request
			if n > 0 {
				changed = mutated(r, request)
			}
			raw, err := engine.FromGo(changed)
			if err != nil {
				t.Fatal(err)
			}
			asked += len(active)
			for _, known := range screened(t, program, engine.Input{Request: raw, State: exists}, active) {
				if isSilent(known) {
					silent++
				} else {
					said++
				}
			}
			if t.Failed() {
				text, _ := json.Marshal(changed)
				t.Fatalf("case %s, mutation %d: %s", c.ID, n, text)
			}
		}
	}
	t.Logf("of %d %d were silent and %d said something", asked, silent, said)
	if silent*3 < asked || said*20 < asked {
		t.Error("screens find out little")
	}
}

func goValue(t *testing.T, d engine.Document) any {
	t.Helper()
	data, err := d.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	var out any
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// mutated is a value with something changed in one to three places below its object.
func mutated(r *rand.Rand, request any) any {
	out, _ := request.(map[string]any)
	out = maps.Clone(out)
	for range 1 + r.IntN(3) {
		key := []string{"object", "object", "object", "oldObject", "userInfo"}[r.IntN(5)]
		if out[key] != nil {
			out[key] = mutate(r, out[key])
		}
	}
	return out
}

var strange = []any{nil, false, true, "", "true", "x", 0, 1, 65536, -1, 1.5, []any{}, map[string]any{}, []any{nil}, []any{"x"}, "0.0.0.0/0", "*.example.com", "a;b"}

func mutate(r *rand.Rand, value any) any {
	if r.IntN(6) == 0 {
		return strange[r.IntN(len(strange))]
	}
	switch value := value.(type) {
	case map[string]any:
		if len(value) == 0 {
			return map[string]any{"host": "x"}
		}
		out := maps.Clone(value)
		keys := slices.Sorted(maps.Keys(value))
		key := keys[r.IntN(len(keys))]
		switch r.IntN(5) {
		case 0:
			delete(out, key)
		case 1:
			out[keys[r.IntN(len(keys))]] = value[key]
		default:
			out[key] = mutate(r, value[key])
		}
		return out
	case []any:
		if len(value) == 0 {
			return []any{"x"}
		}
		out := slices.Clone(value)
		at := r.IntN(len(value))
		switch r.IntN(4) {
		case 0:
			return slices.Delete(out, at, at+1)
		case 1:
			return append(out, value[at])
		}
		out[at] = mutate(r, value[at])
		return out
	}
	return strange[r.IntN(len(strange))]
}

// A policy that its parameters keep quiet is known to be quiet before anything is asked.
func TestMaySay(t *testing.T) {
	library := load(t, map[string]string{"told": strings.Replace(thing(`deny contains "x" if {
	input.parameters.domains[0]
	input.request.object.spec
}

warn contains "y" if input.request.object.spec.warn
`), "#   kinds:", "#   parameters: {type: object, properties: {domains: {type: array, items: {type: string}, default: []}}, additionalProperties: false}\n#   kinds:", 1)})
	rule := library.Rules()[0]
	for _, c := range []struct {
		domains    []any
		deny, warn bool
	}{{nil, false, true}, {[]any{"example.com"}, true, true}} {
		policy := engine.Policy{Name: "p", Rule: rule}
		if c.domains != nil {
			policy.Parameters = map[string]any{"domains": c.domains}
		}
		program, err := engine.Compile([]engine.Policy{policy}, engine.DefaultBudget(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if deny, warn := program.MaySay(0, engine.Deny), program.MaySay(0, engine.Warn); deny != c.deny || warn != c.warn || program.MaySay(0, engine.Patch) {
			t.Errorf("%v: deny %t, warn %t", c.domains, deny, warn)
		}
	}
}

// What is behind a parameter that is true, and no object, is undefined.
func TestConstantsEndPaths(t *testing.T) {
	library := load(t, map[string]string{"told": strings.Replace(thing(`deny contains "x" if input.parameters.flag.deeper

warn contains "y" if input.parameters.flag
`), "#   kinds:", "#   parameters: {type: object, properties: {flag: {}}, additionalProperties: false}\n#   kinds:", 1)})
	policy := engine.Policy{Name: "p", Rule: library.Rules()[0], Parameters: map[string]any{"flag": true}}
	program, err := engine.Compile([]engine.Policy{policy}, engine.DefaultBudget(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if program.MaySay(0, engine.Deny) || !program.MaySay(0, engine.Warn) {
		t.Errorf("deny %t, warn %t", program.MaySay(0, engine.Deny), program.MaySay(0, engine.Warn))
	}
}

// The shipped rules that have to be told something are silent until they are.
func TestUntoldRulesAreSilent(t *testing.T) {
	library, err := engine.Load(rego.Rules)
	if err != nil {
		t.Fatal(err)
	}
	policies := everyRule(t, library, corpus.Case{})
	program, err := engine.Compile(policies, engine.DefaultBudget(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var silent []string
	for i, p := range policies {
		if !slices.ContainsFunc(p.Rule.Verbs, func(v engine.Verb) bool { return program.MaySay(i, v) }) {
			silent = append(silent, p.Name)
		}
	}
	want := []string{"ingress-class-allowed", "ingress-hosts-allowed", "ingress-issue-certificate", "networkpolicy-dataplane", "service-load-balancer-prefixes"}
	if !slices.Equal(silent, want) {
		t.Errorf("silent are %q, want %q", silent, want)
	}
}
