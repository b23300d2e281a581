package engine_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/rego"
)

// The shipped rules are what rules elsewhere are asked to be.
func TestShippedRulesAreLintClean(t *testing.T) {
	findings, err := engine.Lint(rego.Rules)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range findings {
		t.Errorf("rego/%s:%d:%d: %s: %s", f.File, f.Line, f.Column, f.ID, f.Reason)
	}
}

const testOfBad = "package sluice.test.bad_test\n\nimport data.sluice.test.bad\n\ntest_it if bad.deny == set() with input as {}\n"

// lint is what is found in a rule beside a test that reads it, as line:column id.
func lint(t *testing.T, files map[string]string) []string {
	t.Helper()
	folder := fstest.MapFS{}
	for name, source := range files {
		folder[name] = &fstest.MapFile{Data: []byte(source)}
	}
	findings, err := engine.Lint(folder, rego.Rules)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range findings {
		if f.Reason == "" || f.File == "" {
			t.Errorf("without reason or file: %+v", f)
		}
		out = append(out, fmt.Sprintf("%s:%d:%d %s", f.File, f.Line, f.Column, f.ID))
	}
	return out
}

// Each lint has a case that it finds, and near misses that it leaves alone. The rule begins in line 9.
func TestLint(t *testing.T) {
	parameters := func(schema, body string) string {
		return strings.Replace(module("bad", body), "#   kinds", "#   parameters: {type: object, additionalProperties: false, "+schema+"}\n#   kinds", 1)
	}
	judging := func(body string) string {
		return strings.Replace(module("bad", body), "#   kinds", "#   judges: [metadata.annotations]\n#   kinds", 1)
	}
	holds := "\n\nok(x) if x != null\n"
	cases := map[string]struct {
		source string
		want   string // empty for nothing
	}{
		"clean": {module("bad", good+"\n"), ""},

		"syntax":           {module("bad", "deny contains \"x\" if input.request.object.spec.tls }\n"), "9:52 lint/parse"},
		"no metadata":      {"package sluice.test.bad\n\ndeny contains \"x\" if input.request.object.spec\n", "1:1 lint/metadata"},
		"no title":         {strings.Replace(module("bad", good+"\n"), "# title: A title\n", "", 1), "1:1 lint/metadata"},
		"strict":           {module("bad", "deny contains \"x\" if {\n\tunused := 1\n\tinput.request.object.spec\n}\n"), "10:2 lint/compile"},
		"misspelt field":   {module("bad", "deny contains \"x\" if input.request.object.spec.tlss\n"), "9:22 lint/compile"},
		"format":           {module("bad", "deny contains  \"x\" if input.request.object.spec.tls\n"), "9:15 lint/format"},
		"format at an end": {module("bad", "deny contains \"x\" if input.request.object.spec.tls"), "9:51 lint/format"},

		"byte order mark": {"\ufeff" + module("bad", "deny contains \"x\" if input.request.object.spec.tls\n"), "1:1 lint/format"},
		"CR LF":           {strings.ReplaceAll(module("bad", "deny contains \"x\" if input.request.object.spec.tls\n"), "\n", "\r\n"), "1:11 lint/format"},

		"misspelt verb":        {module("bad", good+"\n\ndenied contains \"y\" if input.request.object.spec.tls\n"), "15:1 lint/unused"},
		"unused function":      {module("bad", good+holds), "15:1 lint/unused"},
		"unused by itself":     {module("bad", good+"\n\na if b\n\nb if input.request.object.spec.tls\n"), "15:1 lint/unused 17:1 lint/unused"},
		"hidden by a local":    {module("bad", "deny contains name if {\n\thelper := input.request.name\n\thelper == \"q\"\n\tname := helper\n}\n\nhelper := 1\n"), "15:1 lint/unused"},
		"hidden by an operand": {module("bad", "deny contains \"x\" if f(input.request.name)\n\nf(helper) if helper == \"q\"\n\nhelper := 1\n"), "13:1 lint/unused"},
		"used beside a local":  {module("bad", "deny contains \"x\" if {\n\tsome a in [b | b := helper]\n\ta == 1\n}\n\nhelper := 1\n"), ""},
		"used by a part":       {module("bad", "deny contains \"x\" if limits.max == 1\n\nlimits[\"max\"] := 1\n"), ""},
		"used by any name":     {module("bad", "deny contains \"x\" if data.sluice.test.bad.kinds[input.request.name]\n\nkinds := {\"a\"}\n"), ""},
		"used by with":         {module("bad", "deny contains \"x\" if a with input.request.object.spec as spec\n\na if input.request.object.spec.tls\n\nspec := {\"tls\": []}\n"), ""},
		"used by a helper":     {module("bad", "deny contains \"x\" if a\n\na if b\n\nb if input.request.object.spec.tls\n"), ""},
		"used by full name":    {module("bad", "deny contains \"x\" if data.sluice.test.bad.a\n\na if input.request.object.spec.tls\n"), ""},
		"used in an else":      {module("bad", "deny contains x if x := a\n\na := 1 if {\n\tinput.request.object.spec.tls\n} else := b\n\nb := 2\n"), ""},
		"used as a key":        {module("bad", "deny contains \"x\" if m[k]\n\nm := {\"a\": 1}\n\nk := \"a\" if input.request.object.spec.tls\n"), ""},
		"a default is no use":  {module("bad", good+"\n\ndefault a := 1\n\na := 2 if input.request.object.spec.tls\n"), "15:1 lint/unused"},

		"message first": {module("bad", "deny contains msg if {\n\tspec := input.request.object.spec\n\tmsg := sprintf(\"%v\", [spec.tls])\n\tcount(spec.rules) > 2\n}\n"),
			"11:2 lint/message-before-condition"},
		"message before iteration": {module("bad", "deny contains msg if {\n\tmsg := concat(\",\", input.request.object.spec.tls[0].hosts)\n\tsome rule in input.request.object.spec.rules\n\trule.host == \"\"\n}\n"),
			"10:2 lint/message-before-condition"},
		"message in a finding": {module("bad", "deny contains finding if {\n\tfinding := {\"msg\": sprintf(\"%v\", [input.request.object.spec.tls])}\n\tnot input.request.object.spec.rules\n}\n"),
			"10:2 lint/message-before-condition"},
		"message by a function":           {module("bad", "deny contains msg if {\n\tmsg := text(input.request.name)\n\tnot input.request.object.spec.rules\n}\n\ntext(name) := sprintf(\"%s\", [name])\n"), "10:2 lint/message-before-condition"},
		"message by a function's body":    {module("bad", "deny contains msg if {\n\tmsg := text(input.request.name)\n\tnot input.request.object.spec.rules\n}\n\ntext(name) := made if {\n\tname != \"\"\n\tmade := sprintf(\"%s\", [name])\n}\n"), "10:2 lint/message-before-condition"},
		"value by a function":             {module("bad", "deny contains msg if {\n\tname := short(input.request.name)\n\tnot input.request.object.spec.rules\n\tmsg := sprintf(\"%s\", [name])\n}\n\nshort(name) := trim_prefix(name, \"a\")\n"), ""},
		"message by a template":           {module("bad", "deny contains msg if {\n\tmsg := $\"{input.request.name} is bad\"\n\tnot input.request.object.spec.rules\n}\n"), "10:2 lint/message-before-condition"},
		"key before an iteration":         {module("bad", "deny contains \"x\" if {\n\tsuffix := concat(\".\", [input.request.namespace, \"example.com\"])\n\tsome rule in input.request.object.spec.rules\n\tendswith(rule.host, suffix)\n}\n"), ""},
		"key of a part of a condition":    {module("bad", "deny contains \"x\" if {\n\tname := sprintf(\"%s.\", [input.request.name])\n\tnames := {name}\n\tsome rule in input.request.object.spec.rules\n\trule.host in names\n}\n"), ""},
		"message last":                    {module("bad", "deny contains msg if {\n\tcount(input.request.object.spec.rules) > 2\n\tmsg := sprintf(\"%v\", [input.request.object.spec.tls])\n}\n"), ""},
		"message is the condition":        {module("bad", "deny contains msg if {\n\tmsg := sprintf(\"%v\", [input.request.object.spec.tls])\n\tcount(msg) > 2\n}\n"), ""},
		"condition on what depends on it": {module("bad", "deny contains msg if {\n\tmsg := sprintf(\"%v\", [input.request.object.spec.tls])\n\tn := count(msg)\n\tn > 2\n}\n"), ""},
		"message before a fix":            {module("bad", "deny contains {\"msg\": msg, \"fix\": fix} if {\n\tinput.request.object.spec.tls\n\tmsg := sprintf(\"%v\", [1])\n\tfix := \"x\"\n}\n"), ""},

		"not of a missing field":                 {module("bad", "deny contains \"x\" if not ok(input.request.object.spec.ingressClassName)"+holds), "9:22 lint/negated-undefined"},
		"not of a missing built-in operand":      {module("bad", "deny contains \"x\" if not startswith(input.request.object.spec.ingressClassName, \"a\")\n"), "9:22 lint/negated-undefined"},
		"not in a missing list":                  {module("bad", "deny contains \"x\" if not \"a\" in input.request.object.spec.tls[0].hosts\n"), "9:22 lint/negated-undefined"},
		"not of a nested call":                   {module("bad", "deny contains \"x\" if not count(input.request.object.spec.tls) == 1\n"), "9:22 lint/negated-undefined"},
		"not of a missing key":                   {module("bad", "deny contains \"x\" if not {\"a\": 1}[input.request.object.spec.ingressClassName]\n"), "9:22 lint/negated-undefined"},
		"not of an element's field":              {module("bad", "deny contains \"x\" if {\n\tsome rule in input.request.object.spec.rules\n\tnot endswith(rule.host, \".example.com\")\n}\n"), "11:2 lint/negated-undefined"},
		"not of an import's field":               {module("bad", "import input.request.object.spec as wanted\n\ndeny contains \"x\" if not startswith(wanted.ingressClassName, \"a\")\n"), "11:22 lint/negated-undefined"},
		"not of an import's field that is there": {module("bad", "import input.request.object\n\ndeny contains \"x\" if not startswith(object.metadata.name, \"a\")\n"), ""},
		"not of an alias":                        {judging("deny contains \"x\" if not ok(annotations[\"example.com/x\"])\n\nannotations := input.request.object.metadata.annotations" + holds), "10:22 lint/negated-undefined"},
		"not of a parameter without default":     {parameters("properties: {a: {type: string}}", "deny contains \"x\" if not ok(input.parameters.a)\n\nok(x) if x == \"\"\n"), "10:22 lint/negated-undefined"},
		"not of a parameter with default":        {parameters("properties: {a: {type: string, default: b}}", "deny contains \"x\" if not ok(input.parameters.a)\n\nok(x) if x == \"\"\n"), ""},
		"not of a required parameter":            {parameters("properties: {a: {type: string}}, required: [a]", "deny contains \"x\" if not ok(input.parameters.a)\n\nok(x) if x == \"\"\n"), ""},
		"not of a field that is missing":         {module("bad", "deny contains \"x\" if not input.request.object.spec.ingressClassName\n"), ""},
		"not of an equation":                     {module("bad", "deny contains \"x\" if not input.request.object.spec.ingressClassName == \"a\"\n"), ""},
		"not of a field that is always there":    {module("bad", "deny contains \"x\" if not startswith(input.request.object.metadata.name, \"a\")\n"), ""},
		"not of a local":                         {module("bad", "deny contains \"x\" if {\n\tclass := input.request.object.spec.ingressClassName\n\tnot startswith(class, \"a\")\n}\n"), ""},
		"not of a field that the body reads":     {module("bad", "deny contains \"x\" if {\n\tsome rule in input.request.object.spec.rules\n\trule.host != \"\"\n\tnot endswith(rule.host, \".example.com\")\n}\n"), ""},
		"not of a default":                       {module("bad", "deny contains \"x\" if not startswith(object.get(input.request.object.spec, \"ingressClassName\", \"\"), \"a\")\n"), ""},
		"not of a fact's field":                  {module("bad", "deny contains \"x\" if {\n\tsome host in sluice.ingress.hosts(input.request.object)\n\tnot endswith(host.host, \".example.com\")\n}\n"), ""},
		"not in a comprehension":                 {module("bad", "deny contains \"x\" if {\n\thosts := [r.host | some r in input.request.object.spec.rules; not endswith(r.http.paths[0].path, \"a\")]\n\tcount(hosts) > 1\n}\n"), "10:64 lint/negated-undefined"},
		"not in a comprehension that iterates":   {module("bad", "deny contains \"x\" if {\n\tpaths := [p | some r in input.request.object.spec.rules; some p in r.http.paths; not endswith(p.pathType, \"a\")]\n\tcount(paths) > 1\n}\n"), ""},
		"not in the body of every":               {module("bad", "deny contains \"x\" if {\n\tevery r in input.request.object.spec.rules {\n\t\tnot endswith(r.host, \"a\")\n\t}\n}\n"), "11:3 lint/negated-undefined"},
		"not of a comprehension":                 {module("bad", "deny contains \"x\" if not count([1 | input.request.object.spec.tls]) == 1\n"), ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var want []string
			for _, w := range strings.Split(strings.ReplaceAll(c.want, " lint", "|lint"), " ") {
				if w != "" {
					want = append(want, "bad.rego:"+strings.ReplaceAll(w, "|", " "))
				}
			}
			if got := lint(t, map[string]string{"bad.rego": c.source, "bad_test.rego": testOfBad}); !slices.Equal(got, want) {
				t.Errorf("got  %v\nwant %v", got, want)
			}
		})
	}
}

// What is wanted of a long line is what is near the difference, and of what can't be seen it is said in words.
func TestLintShowsTheDifference(t *testing.T) {
	long := "deny contains x if x := [" + strings.Repeat("1, ", 1000) + "\"here\",2" + strings.Repeat(", 1", 1000) + "]\n"
	clean := module("bad", "deny contains \"x\" if input.request.object.spec.tls\n")
	for source, want := range map[string]string{
		module("bad", long):                      `not formatted: want "…` + strings.Repeat("1, ", 31) + `\"here\", 2` + strings.Repeat(", 1", 32) + `, …"`,
		strings.ReplaceAll(clean, "\n", "\r\n"):  "not formatted: lines end in CR LF, want LF alone",
		strings.Replace(clean, "\n\n", "\n", 1):  "not formatted: want an empty line",
		"\ufeff" + clean:                         "not formatted: the file begins with a byte order mark (U+FEFF)",
		strings.Replace(clean, " if", "  if", 1): `not formatted: want "deny contains \"x\" if input.request.object.spec.tls"`,
	} {
		findings, err := engine.Lint(fstest.MapFS{"bad.rego": &fstest.MapFile{Data: []byte(source)}})
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(findings, func(f engine.LintFinding) bool { return f.ID == engine.LintFormat })
		if i < 0 || findings[i].Reason != want {
			t.Errorf("got  %+v\nwant %s", findings, want)
		}
	}
}

func TestLintOfTestsAndLibs(t *testing.T) {
	lib := "package sluice.lib.words\n\nwords := {\"a\"}\n"
	libTest := "package sluice.lib.words_test\n\nimport data.sluice.lib.words\n\ntest_words if words.words == {\"a\"}\n"
	rule := module("bad", good+"\n")
	cases := map[string]struct {
		files map[string]string
		want  []string
	}{
		"lib": {map[string]string{"lib/words.rego": lib, "lib/words_test.rego": libTest}, nil},
		"lib that reads what it must not": {map[string]string{"lib/words.rego": lib + "\nx := input.request.name\n\ny := data.sluice.lib.acme.nothing\n\nz := startswith(1, 2)\n", "lib/words_test.rego": libTest},
			[]string{"lib/words.rego:5:6 lint/compile", "lib/words.rego:7:6 lint/compile", "lib/words.rego:9:6 lint/compile"}},
		"lib without test":     {map[string]string{"lib/words.rego": lib}, []string{"lib/words.rego:1:1 lint/untested"}},
		"rule without test":    {map[string]string{"bad.rego": rule}, []string{"bad.rego:7:1 lint/untested"}},
		"test of another rule": {map[string]string{"bad.rego": rule, "words.rego": lib, "bad_test.rego": libTest}, []string{"bad.rego:7:1 lint/untested"}},
		"test without tests":   {map[string]string{"bad.rego": rule, "bad_test.rego": "package x\n\nimport data.sluice.test.bad\n\nok if bad.deny\n"}, []string{"bad.rego:7:1 lint/untested"}},
		"test by full name":    {map[string]string{"bad.rego": rule, "x_test.rego": "package x\n\ntest_it if data.sluice.test.bad.deny == set() with input as {}\n"}, nil},
		"test below an import": {map[string]string{"bad.rego": rule, "x_test.rego": "package x\n\nimport data.sluice.test as rules\n\ntest_it if rules.bad.deny == set() with input as {}\n"}, nil},
		"test below another":   {map[string]string{"bad.rego": rule, "x_test.rego": "package x\n\nimport data.sluice.test\n\ntest_it if test.good.deny == set() with input as {}\n"}, []string{"bad.rego:7:1 lint/untested"}},
		"test in the package":  {map[string]string{"bad.rego": rule, "x_test.rego": "package sluice.test.bad\n\ntest_it if deny == set() with input as {}\n"}, nil},
		"test that is no Rego": {map[string]string{"bad.rego": rule, "bad_test.rego": "package x\n\ntest_x if {\n"}, []string{"bad.rego:7:1 lint/untested", "bad_test.rego:3:11 lint/parse"}},
		"test is not strict": {map[string]string{"bad.rego": rule, "bad_test.rego": testOfBad + "\ntest_y if {\n\tx := 1\n\tbad.deny == set() with input as {}\n}\n"},
			[]string{"bad_test.rego:8:2 lint/compile"}},
		"test of an unknown function": {map[string]string{"bad.rego": rule, "bad_test.rego": testOfBad + "\ntest_y if http.send({})\n"}, []string{"bad_test.rego:7:11 lint/compile"}},
		"two rules of one id":         {map[string]string{"a.rego": rule, "bad.rego": rule, "bad_test.rego": testOfBad}, []string{"bad.rego:7:1 lint/compile"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := lint(t, c.files); !slices.Equal(got, c.want) {
				t.Errorf("got  %v\nwant %v", got, c.want)
			}
		})
	}
}
