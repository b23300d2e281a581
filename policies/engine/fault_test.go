package engine_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sluice-gate/sluice/policies/engine"
)

// A fault is one line, and on demand shows the whole line of source with a caret below what is wrong.
func TestFaultShowsItsLine(t *testing.T) {
	_, err := load(t, nil).Inline("own.rego", module("own", "deny contains \"x\" if {\n\t\t\"ß\" != \"x\"; input.request.object.spec.tlss # why\n}\n"))
	var fault *engine.Fault
	if !errors.As(err, &fault) {
		t.Fatalf("%v", err)
	}
	const reason = `own.rego:10:15: undefined ref: input.request.object.spec.tlss, have: "tlss"`
	if text := fault.Error(); !strings.HasPrefix(text, reason) || strings.Contains(text, "\n") {
		t.Errorf("Error: %q", text)
	}
	if want := "\t\t\"ß\" != \"x\"; input.request.object.spec.tlss # why"; fault.Source != want {
		t.Errorf("Source: %q, want %q", fault.Source, want)
	}
	lines := strings.Split(fault.Detail(), "\n")
	if len(lines) != 3 || lines[1] != "\t"+fault.Source || lines[2] != "\t\t\t"+strings.Repeat(" ", 12)+"^" {
		t.Errorf("Detail: %q", lines)
	}
}

// A comparison of types that never match names both; a function that only rules lack is told from one that nobody knows.
func TestFaultSaysWhatItTakesToPutItRight(t *testing.T) {
	const withheld = ": OPA has it, but rules may not call it; sluice capabilities prints what they may"
	for body, want := range map[string]string{
		`input.request.name == ["x"]`: "own.rego:9:22: match error, left: string, right: array<string>",
		`http.send({})`:               "own.rego:9:22: undefined function http.send" + withheld,
		`http.sent({})`:               "own.rego:9:22: undefined function http.sent",
	} {
		_, err := load(t, nil).Inline("own.rego", module("own", "deny contains \"x\" if "+body+"\n"))
		if err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", body, err, want)
		}
	}
}

// What is missing at the end of a file is shown at the end of its last line.
func TestFaultAtTheEnd(t *testing.T) {
	for _, end := range []string{"", "\n", "\n\n", "\n  \n"} {
		_, err := load(t, nil).Inline("own.rego", "package own\n\ndeny contains f(1"+end)
		if want := "own.rego:3:17: "; err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", end, err, want)
		}
	}
}

func TestExcerpt(t *testing.T) {
	long := strings.Repeat("a", 150) + "\tb" + strings.Repeat("c", 150)
	for _, c := range []struct {
		fault engine.Fault
		want  string
	}{
		{engine.Fault{Source: "x := 1", Column: 6}, "\tx := 1\n\t     ^"},
		{engine.Fault{Source: "x := 1", Column: 7}, "\tx := 1\n\t      ^"}, // the end of the line
		{engine.Fault{Source: "x := 1", Column: 8}, ""},
		{engine.Fault{Source: "x := 1"}, ""},
		{engine.Fault{Source: "  \t", Column: 1}, ""},
		{engine.Fault{Column: 1}, ""},
		{engine.Fault{Source: long, Column: 152}, "\t…" + strings.Repeat("a", 99) + "\tb" + strings.Repeat("c", 99) + "…\n\t" + strings.Repeat(" ", 100) + "\t^"},
	} {
		if got := c.fault.Excerpt(); got != c.want {
			t.Errorf("%q column %d: got %q, want %q", c.fault.Source, c.fault.Column, got, c.want)
		}
	}
}

// Of a module that does not load as much is told as can be read.
func TestOutline(t *testing.T) {
	withOperations := func(operations, body string) string {
		return strings.Replace(module("own", body), "#   kinds", "#   operations: "+operations+"\n#   kinds", 1)
	}
	cases := map[string]struct {
		source, kinds, operations, verbs, severity string
	}{
		"syntax error":     {withOperations("[DELETE]", "deny contains if {"), "networking.k8s.io/Ingress", "DELETE", "deny", "high"},
		"type error":       {module("own", "warn contains input.request.object.spec.tlss\n"), "networking.k8s.io/Ingress", "CREATE UPDATE", "warn", "high"},
		"verbs":            {module("own", "patch contains 1 if input.nope\n\ngenerate contains {} if true\n"), "networking.k8s.io/Ingress", "CREATE UPDATE", "patch generate", "high"},
		"no verb":          {module("own", "dney if true\n"), "networking.k8s.io/Ingress", "CREATE UPDATE", "deny", "high"},
		"bad metadata":     {"# METADATA\n# custom:\n#   severity: bad\n#   kinds: [Service, pods, apps/Deployment]\n#   operations: [CONNECT, UPDATE]\npackage x\n\ndeny contains 1\n", "Service apps/Deployment", "UPDATE", "deny", ""},
		"no metadata":      {"package x\n\ndeny contains 1\n", "", "", "deny", ""},
		"broken metadata":  {"# METADATA\n# title: [\npackage x\n\ndeny contains 1\n", "", "", "deny", ""},
		"nothing":          {"", "", "", "deny", ""},
		"no package":       {"deny contains 1\n", "", "", "deny", ""},
		"package in words": {"# METADATA\n# title: |\n#   package of\n# custom: {kinds: [Service]}\npackage x\n\n)\n", "Service", "CREATE UPDATE", "deny", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if _, err := load(t, nil).Inline("own.rego", c.source); err == nil {
				t.Fatal("the module loads")
			}
			rule := engine.Outline("own.rego", c.source)
			var kinds, operations, verbs []string
			for _, kind := range rule.Kinds {
				kinds = append(kinds, engine.FormatGroupKind(kind))
			}
			for _, op := range rule.Operations {
				operations = append(operations, string(op))
			}
			for _, verb := range rule.Verbs {
				verbs = append(verbs, string(verb))
			}
			got := []string{strings.Join(kinds, " "), strings.Join(operations, " "), strings.Join(verbs, " "), rule.Severity}
			if want := []string{c.kinds, c.operations, c.verbs, c.severity}; strings.Join(got, "|") != strings.Join(want, "|") {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

// A rule of which nobody knows what it judges judges all that a person writes.
// A bad policy is intercepted by what its outline says: the API server refuses a rule for a subresource of no name.
func TestOutlineNamesNoBadSubresource(t *testing.T) {
	source := strings.Replace(module("own", "deny contains \"x\" if input.request\n"), "#   kinds", "#   subresources: [status, '*']\n#   kinds", 1)
	if got := engine.Outline("own.rego", source).Subresources; len(got) != 1 || got[0] != "status" {
		t.Errorf("subresources %q", got)
	}
}

func TestOutlineJudgesEverything(t *testing.T) {
	named := strings.Replace(module("own", ")"), "#   kinds", "#   judges: [spec.a]\n#   kinds", 1)
	for _, c := range []struct {
		source, object, old string
		unchanged           bool
	}{
		{"", `{"spec":{"a":1},"metadata":{"resourceVersion":"2"}}`, `{"spec":{"a":1},"metadata":{"resourceVersion":"1","finalizers":["x"]}}`, true},
		{"", `{"metadata":{"labels":{}}}`, `{"metadata":{}}`, true},
		{"", `{"metadata":{"labels":{"a":"b"}}}`, `{"metadata":{}}`, false},
		{"", `{"metadata":{"annotations":{"a":"b"}}}`, `{"metadata":{"annotations":{"a":"c"}}}`, false},
		{"", `{"data":{"a":"b"}}`, `{"data":{"a":"c"}}`, false},
		{"", `{"spec":{"a":1,"b":2}}`, `{"spec":{"a":1}}`, false},
		{named, `{"spec":{"a":1,"b":2}}`, `{"spec":{"a":1}}`, true},
		{named, `{"spec":{"a":2}}`, `{"spec":{"a":1}}`, false},
	} {
		object, _ := engine.ParseJSON([]byte(c.object))
		old, _ := engine.ParseJSON([]byte(c.old))
		if got := engine.Outline("own.rego", c.source).Unchanged(object, old, nil); got != c.unchanged {
			t.Errorf("%s against %s: unchanged is %t", c.object, c.old, got)
		}
	}
}
