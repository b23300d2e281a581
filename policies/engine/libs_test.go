package engine_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/sluice-gate/sluice/policies/engine"
)

// saying is a rule that says what the lib word does.
func saying(name string) string {
	return module(name, "import data.sluice.lib.word\n\ndeny contains word.say(input.request.object.spec.rules[0].host)\n")
}

func wordLib(word string) string {
	return "package sluice.lib.word\n\nsay(host) := concat(\" \", [word, host])\n\nword := \"" + word + "\"\n"
}

// says are the findings of each policy together in one program.
func says(t *testing.T, policies ...engine.Policy) []string {
	t.Helper()
	program, err := engine.Compile(policies, engine.DefaultBudget(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var active []int
	for i := range policies {
		active = append(active, i)
	}
	var out []string
	for _, o := range program.Evaluate(context.Background(), input(t, badHost), active, engine.Deny) {
		if o.Err != nil || len(o.Deny) != 1 {
			t.Fatalf("%s: %+v", policies[o.Policy].Name, o)
		}
		out = append(out, strings.TrimSuffix(o.Deny[0].Message, " bad.example.com"))
	}
	return out
}

func inline(t *testing.T, library *engine.Library, name, source string, libs ...string) engine.Policy {
	t.Helper()
	rule, err := library.Inline(name+".rego", source, libs...)
	if err != nil {
		t.Fatal(err)
	}
	return engine.Policy{Name: name, Rule: rule}
}

// A policy's libs are its own: neither another policy's, nor the shipped ones, nor what others see of them.
func TestLibsAreTheirPolicysAlone(t *testing.T) {
	library := load(t, map[string]string{"lib": wordLib("shipped"), "rule": saying("shipped"),
		"twice": "package sluice.lib.twice\n\nimport data.sluice.lib.word\n\nsay(host) := concat(\"+\", [word.word, word.say(host)])\n"})
	rule, _ := library.Rule("test-shipped")
	viaLib := strings.ReplaceAll(saying("x"), "word", "twice")
	dynamic := module("x", "deny contains data.sluice.lib[input.request.object.spec.lib].word\n")
	dynamic = strings.Replace(dynamic, "input.request.object.spec.lib", `split("word.x", ".")[0]`, 1)
	whole := module("x", "deny contains all.word.word if all := data.sluice.lib\n")
	policies := []engine.Policy{
		{Name: "shipped", Rule: rule},
		inline(t, library, "one", saying("same"), wordLib("one")),
		inline(t, library, "two", saying("same"), wordLib("two")),
		inline(t, library, "none", saying("same")),
		inline(t, library, "parts", saying("same"), "package sluice.lib.word\n\nimport data.sluice.lib.deep.er\n\nsay(_) := er.word\n", "package sluice.lib.deep.er\n\nword := \"deeper\"\n"),
		inline(t, library, "files", saying("same"), "package sluice.lib.word\n\nsay(_) := word\n", "package sluice.lib.word\n\nword := \"two files\"\n"),
		inline(t, library, "via", viaLib, wordLib("own")),
		inline(t, library, "via shipped", viaLib),
		inline(t, library, "beside", saying("same"), "package sluice.lib.other\n\nword := \"unused\"\n"),
		inline(t, library, "dynamic", dynamic, wordLib("dynamic")),
		inline(t, library, "dynamic shipped", dynamic),
		inline(t, library, "whole", whole, wordLib("whole")),
		inline(t, library, "whole shipped", whole),
	}
	got := says(t, policies...)
	want := []string{"shipped", "one", "two", "shipped", "deeper", "two files", "own+own", "shipped+shipped", "shipped", "dynamic", "shipped", "whole", "shipped"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	for i, policy := range policies { // what it reaches does not hang on others that reach it too
		if got := says(t, policy); got[0] != want[i] {
			t.Errorf("%s alone: got %q, want %q", policy.Name, got, want[i])
		}
	}
}

// An inline module may bear any package name but a lib's, even one that the engine uses.
func TestPackageNames(t *testing.T) {
	library := load(t, map[string]string{"lib": wordLib("shipped")})
	var policies []engine.Policy
	for _, name := range []string{"sluice", "gate", "gate.gate", "libs", "data", "system", "sluice.libs"} {
		source := strings.Replace(saying("x"), "package sluice.test.x", "package "+name, 1)
		source = strings.Replace(source, "deny contains word.say", "deny contains through", 1) + "\nthrough(host) := word.say(host)\n"
		policies = append(policies, inline(t, library, name, source), inline(t, library, name+" own", source, wordLib(name)))
	}
	got := says(t, policies...)
	for i, policy := range policies {
		want := "shipped"
		if i%2 == 1 {
			want = policies[i-1].Name
		}
		if got[i] != want {
			t.Errorf("%s: got %q, want %q", policy.Name, got[i], want)
		}
	}
	for _, name := range []string{"sluice.lib", "sluice.lib.word", "sluice.lib.mine"} {
		_, err := library.Inline("x.rego", strings.Replace(saying("x"), "package sluice.test.x", "package "+name, 1))
		if err == nil || !strings.Contains(err.Error(), "x.rego:7:1: package "+name+": below sluice.lib are libs") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What is wrong with a lib is said with its number, line and column.
func TestLibsThatDoNotLoad(t *testing.T) {
	library := load(t, map[string]string{"lib": wordLib("shipped")})
	good := wordLib("x")
	cases := map[string]struct {
		libs []string
		want string
	}{
		"syntax":         {[]string{good, "package sluice.lib.b\n\nx := := 1\n"}, "own.libs[1].rego:3:6:"},
		"empty":          {[]string{""}, "own.libs[0].rego:1:1: the file has no Rego in it"},
		"other package":  {[]string{"# two\n\npackage sluice.mine\n\nx := 1\n"}, "own.libs[0].rego:3:1: package sluice.mine: a lib's package is below sluice.lib, such as sluice.lib.mine"},
		"no own package": {[]string{"package sluice.lib\n\nx := 1\n"}, "own.libs[0].rego:1:1: package sluice.lib: a lib's package is below sluice.lib"},
		"input":          {[]string{good, "package sluice.lib.b\n\nx := input.request.name\n"}, "own.libs[1].rego:3:6: input.request.name: a lib has no input"},
		"other policies": {[]string{"package sluice.lib.b\n\nx := data.gate.other\n"}, "own.libs[0].rego:3:6: data.gate.other: a lib may read data.sluice.lib only"},
		"all data":       {[]string{"package sluice.lib.b\n\nx := data[\"gate\"]\n"}, "a lib may read data.sluice.lib only"},
		"capabilities":   {[]string{"package sluice.lib.b\n\nx := http.send({})\n"}, "own.libs[0].rego:3:6: undefined function http.send"},
		"strict":         {[]string{"package sluice.lib.b\n\nimport data.sluice.lib.word\n\nx := 1\n"}, "own.libs[0].rego:3:1: import data.sluice.lib.word unused"},
		"types":          {[]string{"package sluice.lib.b\n\nx := startswith(1, \"a\")\n"}, "own.libs[0].rego:3:6: startswith: invalid argument(s)"},
		"mocks":          {[]string{"package sluice.lib.b\n\nx := 1 if y with sluice.ingress.hosts as []\n\ny := 1\n"}, "replacing functions and data is for tests"},
		"conflict":       {[]string{good, "package sluice.lib.word.word\n\nx := 1\n"}, "own.libs[0].rego:5:1:"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := library.Inline("own.rego", saying("own"), c.libs...)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
	if _, err := library.Inline("own.rego", saying("own"), good, "package sluice.lib.b\n\nx := 1\n"); err != nil {
		t.Errorf("good libs: %v", err)
	}
}

// A lib in a folder is checked whether a rule reaches it or not, and its faults are said once.
func TestLibsInFolders(t *testing.T) {
	bad := "package sluice.lib.bad\n\nx := http.send({})\n"
	folder := fstest.MapFS{"bad.rego": &fstest.MapFile{Data: []byte(bad)}, "lib.rego": &fstest.MapFile{Data: []byte(wordLib("x"))}}
	for _, rule := range []string{"a", "b"} {
		source := strings.Replace(saying(rule), "word.say(", "data.sluice.lib.bad.f(", 1)
		folder[rule+".rego"] = &fstest.MapFile{Data: []byte(strings.Replace(source, "import data.sluice.lib.word\n", "", 1))}
	}
	_, err := engine.Load(folder)
	if err == nil || strings.Count(err.Error(), "bad.rego:3:6: undefined function http.send") != 1 {
		t.Errorf("%v", err)
	}
	delete(folder, "a.rego")
	delete(folder, "b.rego")
	if _, err := engine.Load(folder); err == nil {
		t.Error("a bad lib that nobody uses loaded")
	}
}
