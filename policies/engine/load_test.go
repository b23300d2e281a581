package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/sluice-gate/sluice/policies/engine"
)

// Every mistake in a rule is an error with its place and what was expected.
func TestRulesThatDoNotLoad(t *testing.T) {
	custom := func(lines string) string {
		return "# METADATA\n# title: T\n# description: D\n# custom:\n" + lines + "package sluice.test.bad\n\ndeny contains \"x\" if input.request.object.spec.rules\n"
	}
	kinds := "#   severity: high\n#   kinds: [networking.k8s.io/Ingress]\n"
	cases := map[string]struct{ source, want string }{
		"syntax":             {module("bad", "deny contains if {"), "bad.rego:9:"},
		"no metadata":        {"package sluice.test.bad\n\ndeny contains \"x\" if true\n", "bad.rego:1:1: no METADATA"},
		"no title":           {"# METADATA\n# description: D\n# custom:\n" + kinds + "package sluice.test.bad\n\ndeny contains \"x\" if input.request\n", "METADATA has no title"},
		"no description":     {"# METADATA\n# title: T\n# custom:\n" + kinds + "package sluice.test.bad\n\ndeny contains \"x\" if input.request\n", "METADATA has no description"},
		"no severity":        {custom("#   kinds: [Service]\n"), "custom.severity: want one of critical, high, medium, low"},
		"no kinds":           {custom("#   severity: high\n"), "custom.kinds: missing"},
		"bad kind":           {custom("#   severity: high\n#   kinds: [ingresses]\n"), `custom.kinds: "ingresses": want group/Kind`},
		"bad operation":      {custom(kinds + "#   operations: [CONNECT]\n"), `custom.operations: "CONNECT": want CREATE, UPDATE or DELETE`},
		"any subresource":    {custom(kinds + "#   subresources: [status, '*']\n"), `custom.subresources: "*": want names such as status`},
		"scale":              {custom(kinds + "#   subresources: [scale]\n"), `custom.subresources: "scale": its requests are not about an object of the rule's kinds`},
		"only what":          {custom("#   severity: high\n#   kinds: [Pod]\n#   only: hostNetwork\n"), "custom.only: want host-network, or no such key"},
		"only without pods":  {custom("#   severity: high\n#   kinds: [Pod, PodTemplate, Service]\n#   only: host-network\n"), "custom.only: Service makes no pods, so that the rule would judge none"},
		"unknown key":        {custom(kinds + "#   severty: low\n"), "custom.severty: unknown key, want one of"},
		"open parameters":    {custom(kinds + "#   parameters: {type: object}\n"), "custom.parameters: want additionalProperties: false"},
		"bad default":        {custom(kinds + "#   parameters: {type: object, additionalProperties: false, properties: {n: {type: integer, default: many}}}\n"), "defaults don't satisfy"},
		"star in the middle": {custom(kinds + "#   judges: ['metadata.annotations[\"a*b\"]']\n"), "want * at the end of the last key"},
		"star before a key":  {custom(kinds + "#   judges: ['metadata[\"a*\"].b']\n"), "want * at the end of the last key"},
		"no such parameter":  {custom(kinds + "#   judges: ['metadata.annotations[\"{p}/*\"]']\n"), "there is no parameter p"},
		"bad judges":         {custom(kinds + "#   judges: ['spec..rules[']\n"), "custom.judges:"},
		"bad ratchet":        {custom(kinds + "#   ratchet: off\n#   leaving: 1\n"), "custom.leaving: want true or false"},
		"patch and ratchet":  {custom(kinds+"#   ratchet: false\n") + "patch contains {\"op\": \"add\", \"path\": \"/a\", \"value\": input.request.object.metadata.labels.team} if true\n", "name what the rule reads under custom.judges"},
		"no verb":            {module("bad", "refuse contains \"x\" if input.request\n"), "states none of deny, warn, patch, generate"},
		"misspelt verb":      {module("bad", good+"\ndeney contains \"x\" if input.request\n"), "bad.rego:14:1: deney is no verb; did you mean deny?"},
		"verb is no set":     {module("bad", "deny if input.request\n"), "write `deny contains finding if"},
		"misspelt field":     {module("bad", "deny contains \"x\" if input.request.object.spec.tlss\n"), `bad.rego:9:22: undefined ref: input.request.object.spec.tlss`},
		"says what fits":     {module("bad", "deny contains \"x\" if input.request.object.spec.tlss\n"), `want (one of): ["defaultBackend" "ingressClassName" "rules" "tls"]`},
		"unknown parameter":  {module("bad", "deny contains \"x\" if input.parameters.limit\n"), "undefined ref: input.parameters.limit"},
		"other input":        {module("bad", "deny contains \"x\" if input.review\n"), "read input.request, input.namespace, input.parameters or input.leaves by name"},
		"whole input":        {module("bad", "deny contains \"x\" if {\n\tx := input\n\tx.parameters\n}\n"), "by name"},
		"another rule":       {module("bad", "deny contains \"x\" if data.sluice.ingress.tls_required.deny\n"), "a rule may read its own package and data.sluice.lib only"},
		"generates nothing":  {module("bad", "generate contains {} if input.request\n"), "custom.generates: missing"},
		"generates a Secret": {custom(kinds+"#   generates: [Secret]\n") + "generate contains {} if input.request\n", "Secret can't be generated: it holds credentials"},
		"unsafe variable":    {module("bad", "deny contains x if input.request\n"), "var x is unsafe"},
		"unjudged import":    {module("bad", "import input.request.object as obj\n\ndeny contains \"x\" if not obj.metadata.labels.team\n"), "bad.rego:11:26: input.request.object.metadata.labels.team: an update that changes only this would not be judged"},
		"unjudged label":     {module("bad", "deny contains \"x\" if not input.request.object.metadata.labels.team\n"), "input.request.object.metadata.labels.team: an update that changes only this would not be judged"},
		"any annotation":     {module("bad", "deny contains \"x\" if {\n\tsome name, _ in input.request.object.metadata.annotations\n\tendswith(name, \"-snippet\")\n}\n"), "name what the rule reads under custom.judges"},
		"whole object":       {module("bad", "deny contains \"x\" if f(input.request.object)\n\nf(o) if o.metadata.labels\n"), "name what the rule reads under custom.judges"},
		"looked-up label":    {module("bad", "deny contains \"x\" if object.get(input.request.object, [\"metadata\", \"labels\", \"team\"], \"\") == \"\"\n"), "input.request.object.metadata.labels.team: an update that changes only this"},
		"looked up by name":  {module("bad", "deny contains \"x\" if object.get(input.request.object, [\"metadata\", input.request.name], \"\") == \"\"\n"), "input.request.object.metadata: an update that changes only this"},
		"mocked function":    {module("bad", "deny contains \"x\" if f(1) == 2 with f as g\n\nf(x) := x\n\ng(x) := x + 1\n"), "replacing functions and data is for tests"},
		"mocked parameters":  {module("bad", "deny contains \"x\" if a with input.parameters as {}\n\na if input.request.object.spec\n"), "a rule may replace parts of input.request only"},
		"unnamed state":      {module("bad", "deny contains \"x\" if count(sluice.state.list(\"Service\", \"a\")) > 1\n"), "sluice.state.list: name Service under custom.state"},
		"computed state":     {module("bad", "deny contains \"x\" if count(sluice.state.list(input.request.kind.kind, \"a\")) > 1\n"), "sluice.state.list: write the kind as a string"},
		"http.send":          {module("bad", "deny contains \"x\" if http.send({\"url\": \"http://example.com\"})\n"), "undefined function http.send"},
		"deep brackets":      {module("bad", "deny contains x if x := "+strings.Repeat("[", 3000)+strings.Repeat("]", 3000)+"\n"), "nested too deep"},
		"a long sum":         {module("bad", "deny contains \"x\" if 0 == "+strings.Repeat("1 + ", 3000)+"1\n"), "nested too deep"},
		"now":                {module("bad", "deny contains \"x\" if time.now_ns() > 0\n"), "undefined function time.now_ns"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := engine.Load(fstest.MapFS{"bad.rego": &fstest.MapFile{Data: []byte(c.source)}})
			if err == nil {
				t.Fatal("loaded")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

// What must never be callable: the network, the process, the clock, chance, and what can't be stopped.
func TestCapabilities(t *testing.T) {
	data, err := engine.Capabilities()
	if err != nil {
		t.Fatal(err)
	}
	var caps struct{ Builtins []struct{ Name string } }
	if err := json.Unmarshal(data, &caps); err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, b := range caps.Builtins {
		names[b.Name] = true
	}
	for _, name := range []string{"http.send", "opa.runtime", "net.lookup_ip_addr", "rand.intn", "time.now_ns", "rego.parse_module",
		"bits.lsh", "net.cidr_expand", "json.match_schema", "json.verify_schema", "trace", "uuid.rfc4122", "uuid.parse", "print"} {
		if names[name] {
			t.Errorf("%s is allowed", name)
		}
	}
	for _, name := range []string{"sprintf", "regex.match", "sluice.ingress.hosts", "sluice.state.list"} {
		if !names[name] {
			t.Errorf("%s is missing", name)
		}
	}
}

// Policies on one rule, and inline modules of one package name, never merge: each has its own parameters
// and its own findings.
func TestPoliciesNeverMerge(t *testing.T) {
	source := strings.Replace(module("limit", `deny contains msg if {
	count(input.request.object.spec.rules) > limit
	msg := sprintf("more than %d rules", [limit])
}

limit := input.parameters.limit
`), "#   kinds", "#   parameters: {type: object, additionalProperties: false, properties: {limit: {type: integer, default: 7}}}\n#   kinds", 1)
	library := load(t, map[string]string{"limit": source})
	rule, _ := library.Rule("test-limit")
	other, err := library.Inline("other.rego", strings.Replace(source, "more than", "other: more than", 1))
	if err != nil {
		t.Fatal(err)
	}
	program, err := engine.Compile([]engine.Policy{
		{Name: "zero", Rule: rule, Parameters: map[string]any{"limit": 0}},
		{Name: "default", Rule: rule},
		{Name: "inline", Rule: other, Parameters: map[string]any{"limit": 1}},
		{Name: `odd "name".x`, Rule: other, Parameters: map[string]any{"limit": 0}},
	}, engine.DefaultBudget(), nil)
	if err != nil {
		t.Fatal(err)
	}
	object := `{"spec":{"rules":[{"host":"a"},{"host":"b"}]}}`
	got := map[int][]engine.Finding{}
	for _, o := range program.Evaluate(context.Background(), input(t, object), []int{0, 1, 2, 3}, engine.Deny) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		got[o.Policy] = o.Deny
	}
	want := []string{"more than 0 rules", "", "other: more than 1 rules", "other: more than 0 rules"}
	for i, text := range want {
		switch {
		case text == "" && len(got[i]) != 0:
			t.Errorf("policy %d: got %v, want nothing", i, got[i])
		case text != "" && (len(got[i]) != 1 || got[i][0].Message != text):
			t.Errorf("policy %d: got %v, want %q", i, got[i], text)
		}
	}
}

func TestParameters(t *testing.T) {
	source := strings.Replace(module("p", good), "#   kinds",
		"#   parameters: {type: object, additionalProperties: false, properties: {domains: {type: array, items: {type: string}}, deep: {type: object, default: {}, additionalProperties: false, properties: {n: {type: integer, default: 3}}}}}\n#   kinds", 1)
	library := load(t, map[string]string{"p": source})
	rule, _ := library.Rule("test-p")
	complete, err := rule.CompleteParameters(nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := json.Marshal(complete); string(got) != `{"deep":{"n":3}}` {
		t.Errorf("defaults: %s", got)
	}
	for given, want := range map[string]string{
		`{"domains":"a"}`:        "spec.parameters.domains: got string, want array",
		`{"domains":["a",1]}`:    "spec.parameters.domains.1: got number, want string",
		`{"domians":[]}`:         "spec.parameters: additional properties 'domians' not allowed; did you mean \"domains\"?",
		`{"deeper":{}}`:          "additional properties 'deeper' not allowed; did you mean \"deep\"?",
		`{"nDeep":1}`:            "additional properties 'nDeep' not allowed; did you mean \"deep.n\"?",
		`{"deep":{"shallow":1}}`: "spec.parameters.deep: additional properties 'shallow' not allowed",
		`{"deep":{"n":"three"}}`: "spec.parameters.deep.n: got string, want integer",
	} {
		var parameters map[string]any
		if err := json.Unmarshal([]byte(given), &parameters); err != nil {
			t.Fatal(err)
		}
		if _, err := rule.CompleteParameters(parameters); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", given, err, want)
		}
	}
}

// What a condition of the schema refuses comes with the reason that stands in the condition.
func TestConditionsOfParameters(t *testing.T) {
	source := strings.Replace(module("p", good), "#   kinds", `#   parameters:
#     type: object
#     additionalProperties: false
#     properties:
#       a/b: {type: string, default: one}
#       list: {type: object, description: not this, default: {}, properties: {on: {type: boolean, default: false}, items: {type: array, default: []}}}
#       flag: {type: boolean, default: false}
#     if: {properties: {a/b: {const: two}}}
#     then:
#       properties:
#         list: {if: {properties: {on: {const: true}}}, then: {properties: {items: {minItems: 1, description: two needs items}}}}
#         flag: {const: false}
#     else: {properties: {a/b: {maxLength: 3, description: "short, if it is not two"}}}
#   kinds`, 1)
	rule, _ := load(t, map[string]string{"p": source}).Rule("test-p")
	for given, want := range map[string]string{
		`{}`:                                "",
		`{"list":{"on":true}}`:              "",
		`{"a/b":"two","list":{"on":false}}`: "",
		`{"a/b":"two","list":{"on":true,"items":[1]}}`:  "",
		`{"a/b":"two","list":{"on":true}}`:              "spec.parameters.list.items: minItems: got 0, want 1: two needs items",
		`{"a/b":"two","list":{"on":false},"flag":true}`: "spec.parameters.flag: value must be false",
		`{"a/b":"three"}`:                               "spec.parameters.a/b: maxLength: got 5, want 3: short, if it is not two",
		`{"list":{"on":1}}`:                             "spec.parameters.list.on: got number, want boolean",
	} {
		var parameters map[string]any
		if err := json.Unmarshal([]byte(given), &parameters); err != nil {
			t.Fatal(err)
		}
		_, err := rule.CompleteParameters(parameters)
		if got := fmt.Sprint(err); got != want && (want != "" || err != nil) {
			t.Errorf("%s: got %v, want %s", given, err, want)
		}
	}
}

// A rule that calls a fact which looks something up has that kind in its state.
func TestFactsAskState(t *testing.T) {
	rule, _ := load(t, map[string]string{"r": module("r", "deny contains \"x\" if sluice.ingress.controller(input.request.object) == \"nginx\"\n")}).Rule("test-r")
	if got := fmt.Sprint(rule.State); got != "[IngressClass.networking.k8s.io]" {
		t.Errorf("state: %s", got)
	}
}

// What is looked up with a default counts as what it is, not as the whole object.
func TestLookedUpFields(t *testing.T) {
	for _, get := range []string{`input.request.object, ["spec", "ingressClassName"]`, `input.request.object, "spec"`,
		`input.request.object.spec, "ingressClassName"`, `input.request.object, ["spec", input.request.name]`,
		`input.request.object.metadata.annotations, "short"`} {
		load(t, map[string]string{"r": module("r", "deny contains \"x\" if object.get("+get+", \"none\") == \"none\"\n")})
	}
}

func TestRatchetPaths(t *testing.T) {
	byDefault := module("r", "deny contains \"x\" if input.request.object.metadata.annotations[\"example.com/redirect\"] == \"off\"\n")
	byFact := module("r", "deny contains \"x\" if count(sluice.ingress.hosts(input.request.object)) > 3\n")
	short := strings.Replace(byDefault, "example.com/redirect", "redirect", 1)
	looked := module("r", "deny contains \"x\" if object.get(input.request.object, [\"metadata\", \"annotations\", \"redirect\"], \"on\") == \"off\"\n")
	named := strings.Replace(byDefault, "#   kinds", "#   judges: ['metadata.labels', 'metadata.annotations[\"example.com/other\"]']\n#   kinds", 1)
	prefixed := strings.Replace(byDefault, "#   kinds", `#   judges: ['metadata.annotations["example.com/*"]', 'metadata.annotations["{prefixes}/*"]', 'metadata.annotations["{one}-*"]']
#   parameters: {type: object, properties: {prefixes: {type: array, items: {type: string}}, one: {type: string}}, additionalProperties: false}
#   kinds`, 1)
	cases := []struct {
		source, object, old string
		unchanged           bool
	}{
		{prefixed, `{"metadata":{"annotations":{"example.com/a":"1","other.com/b":"2","x-y":"3"}}}`, `{"metadata":{"annotations":{"example.com/a":"1","other.com/b":"2","x-y":"3","c":"4"},"labels":{"d":"5"}}}`, true},
		{prefixed, `{"metadata":{"annotations":{"example.com/a":"1"}}}`, `{}`, false},
		{prefixed, `{}`, `{"metadata":{"annotations":{"example.com/a":"1"}}}`, false},
		{prefixed, `{"metadata":{"annotations":{"example.com/a":"1"}}}`, `{"metadata":{"annotations":{"example.com/a":"2"}}}`, false},
		{prefixed, `{"metadata":{"annotations":{"other.com/b":"1"}}}`, `{}`, false},
		{prefixed, `{"metadata":{"annotations":{"another.com/b":"1"}}}`, `{}`, true},
		{prefixed, `{"metadata":{"annotations":{"x-y":"1"}}}`, `{}`, false},
		{prefixed, `{"metadata":{"annotations":{"xy":"1"}}}`, `{"metadata":{"annotations":null}}`, true},
		{prefixed, `{"metadata":{"annotations":7}}`, `{}`, false},
		{byDefault, `{"spec":{"a":1},"metadata":{"labels":{"x":"y"}}}`, `{"spec":{"a":1}}`, true},
		{byDefault, `{"spec":{"a":1}}`, `{"spec":{"a":2}}`, false},
		{byDefault, `{"metadata":{"annotations":{"example.com/redirect":"off"}}}`, `{}`, false},
		{byDefault, `{"metadata":{"annotations":{"example.com/another":"off"}}}`, `{}`, true},
		{short, `{"metadata":{"annotations":{"redirect":"off"}}}`, `{}`, false},
		{short, `{"metadata":{"annotations":{"reject":"off"}}}`, `{}`, true},
		{looked, `{"metadata":{"annotations":{"redirect":"off"}}}`, `{}`, false},
		{looked, `{"metadata":{"annotations":{"reject":"off"}}}`, `{}`, true},
		{byFact, `{"metadata":{"annotations":{"kubernetes.io/ingress.class":"nginx"}}}`, `{}`, false},
		{byFact, `{"metadata":{"annotations":{"nginx.ingress.kubernetes.io/server-alias":"a"}}}`, `{}`, false},
		{named, `{"spec":{"a":1}}`, `{"spec":{"a":2}}`, true},
		{named, `{"metadata":{"labels":{"a":"b"}}}`, `{}`, false},
		{named, `{"metadata":{"annotations":{"example.com/other":"b"}}}`, `{}`, false},
	}
	for i, c := range cases {
		rule, _ := load(t, map[string]string{"r": c.source}).Rule("test-r")
		object, _ := engine.ParseJSON([]byte(c.object))
		old, _ := engine.ParseJSON([]byte(c.old))
		if got := rule.Unchanged(object, old, map[string]any{"prefixes": []any{"another.org", "other.com"}, "one": "x"}); got != c.unchanged {
			t.Errorf("case %d: unchanged is %t", i, got)
		}
	}
}
