package engine_test

import (
	"strings"
	"testing"
)

// A reference that names nothing in a lib, or in the rule's own package, would be undefined for ever, and the rule silent:
// it does not load. What is known only in evaluation does.
func TestReferencesNameSomething(t *testing.T) {
	library := load(t, map[string]string{"acme": `package sluice.lib.acme

solvers := {"a"}

limits.max := 5

limits.min := 1

by_class[class] := n if some class, n in {"nginx": 1}

known(host) if host == "a"

kinds contains "b"

default fallback := {"x": 1}
`, "deep": "package sluice.lib.acme.deep.er\n\nword := 1\n"})
	rule := func(expr string) string {
		return module("own", "import data.sluice.lib.acme\n\ndeny contains \"x\" if {\n\tcount(acme.solvers) > 0\n\t"+expr+"\n}\n\nhelper := {\"a\": 1}\n")
	}
	lib := "package sluice.lib.mine\n\nimport data.sluice.lib.acme\n\nx := acme.sovlers\n"
	for name, c := range map[string]struct {
		source, want string
		libs         []string
	}{
		"misspelt":               {source: rule("acme.solver"), want: "own.rego:13:2: data.sluice.lib.acme.solver names nothing, so that it is undefined for ever; did you mean data.sluice.lib.acme.solvers?"},
		"negated":                {source: rule("not acme.nothing_like_it"), want: "own.rego:13:6: data.sluice.lib.acme.nothing_like_it names nothing, so that it is undefined for ever: data.sluice.lib.acme has by_class, deep, fallback, kinds, known, limits, solvers"},
		"by full name":           {source: rule("data.sluice.lib.acme.solver == {1}"), want: "own.rego:13:2: data.sluice.lib.acme.solver names nothing"},
		"by key":                 {source: rule(`data.sluice.lib["acme"]["solver"] == {1}`), want: "did you mean data.sluice.lib.acme.solvers?"},
		"part of a head":         {source: rule("acme.limits.mux == 1"), want: "did you mean data.sluice.lib.acme.limits.max?"},
		"package":                {source: rule("data.sluice.lib.acne.solvers"), want: "data.sluice.lib.acne.solvers names nothing, so that it is undefined for ever; did you mean data.sluice.lib.acme?"},
		"package below":          {source: rule("acme.deep.ex.word == 1"), want: "did you mean data.sluice.lib.acme.deep.er?"},
		"the tests' lib":         {source: rule("data.sluice.lib.testing.x"), want: "data.sluice.lib.testing.x names nothing"},
		"in a comprehension":     {source: rule("count([1 | acme.solver]) == 0"), want: "did you mean data.sluice.lib.acme.solvers?"},
		"from some key on":       {source: rule("some k\n\tdata.sluice.lib.acme.solver[k]"), want: "did you mean data.sluice.lib.acme.solvers?"},
		"in its own package":     {source: rule("data.sluice.test.own.helpr.a == 1"), want: "own.rego:13:2: data.sluice.test.own.helpr.a names nothing, so that it is undefined for ever; did you mean data.sluice.test.own.helper?"},
		"a lib of its own":       {source: rule("data.sluice.lib.mine.x"), libs: []string{lib}, want: "own.libs[0].rego:5:6: data.sluice.lib.acme.sovlers names nothing"},
		"what its own lib hides": {source: rule("acme.kinds"), libs: []string{"package sluice.lib.acme\n\nsolvers := {1}\n"}, want: "data.sluice.lib.acme.kinds names nothing"},

		"no such function":   {source: rule("acme.knwon(1)"), want: "own.rego:13:2: undefined function data.sluice.lib.acme.knwon"},
		"a function's value": {source: rule("data.sluice.lib.acme.solver.x(1)"), want: "own.rego:13:2: undefined function data.sluice.lib.acme.solver.x"},
		"an operand":         {source: rule("acme.known(acme.host)"), want: "own.rego:13:13: data.sluice.lib.acme.host names nothing"},

		"there":               {source: rule("acme.solvers")},
		"a whole package":     {source: rule("all := data.sluice.lib.acme\n\tall.whatever == 1")},
		"what holds packages": {source: rule("all := data.sluice.lib\n\tall.whatever == 1")},
		"between packages":    {source: rule("acme.deep")},
		"a package below":     {source: rule("acme.deep.er.word == 1")},
		"a head with keys":    {source: rule("acme.limits.max == 5")},
		"a head as an object": {source: rule("acme.limits == {}")},
		"a partial object":    {source: rule(`acme.by_class.whatever == 1`)},
		"a part of a value":   {source: rule(`acme.fallback.x == 1`)},
		"an element":          {source: rule(`acme.kinds["c"]`)},
		"a function":          {source: rule(`acme.known("a")`)},
		"unknown key":         {source: rule("some k\n\tacme[k] == 1")},
		"unknown package":     {source: rule("some k\n\tdata.sluice.lib[k].nothing == 1")},
		"its own":             {source: rule("data.sluice.test.own.helper.a == 1")},
		"a key of the input":  {source: rule("data.sluice.lib.acme[input.request.name] == 1")},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := library.Inline("own.rego", c.source, c.libs...)
			switch {
			case c.want == "" && err != nil:
				t.Errorf("got %v, want it to load", err)
			case c.want != "" && (err == nil || strings.Count(err.Error(), "\n") > 0 || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}
