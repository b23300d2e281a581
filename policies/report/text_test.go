package report

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMessage(t *testing.T) {
	tests := map[string]struct {
		results []Result
		want    string
	}{
		"none": {nil, ""},
		"as kubectl shows it": {
			[]Result{{
				File: "shop.yaml", Line: 7, Column: 5, Kind: "Ingress", Name: "web", Policy: "ingress-tls-required",
				Action: ActionDeny, Message: `host "shop.example.com" is served without a certificate`,
				Field: "spec.rules[0].host", Fix: "add to spec.tls: {hosts: [shop.example.com]}",
			}},
			"ingress-tls-required: host \"shop.example.com\" is served without a certificate\n" +
				"    at  spec.rules[0].host\n" +
				"    fix add to spec.tls: {hosts: [shop.example.com]}",
		},
		"sorted, without what is empty": {
			[]Result{{Policy: "b", Message: "2", Fix: "f"}, {Policy: "a", Message: "1", Field: "x"}, {Message: "0"}},
			"0\na: 1\n    at  x\nb: 2\n    fix f",
		},
		"several lines": {
			[]Result{{Policy: "p", Message: "\none\r\n\ntwo  \n", Fix: "a:\n  b\n"}},
			"p: one\n\n        two\n    fix a:\n          b",
		},
		"escapes": {
			[]Result{{Policy: "p\x1b", Message: "\x9b::x::\n  ::x::\n::1/128", Field: "a\nb"}},
			"p\\x1b: \\x9b::x::\n          \\::x::\n        ::1/128\n    at  a\\nb",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, Message(test.results...)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestTextFinding(t *testing.T) {
	base := Result{File: "a.yaml", Line: 3, Column: 4, Policy: "p", Message: "m", Kind: "Service", Name: "db"}
	tests := map[string]struct {
		change func(*Result)
		want   string
	}{
		"unknown action denies": {func(r *Result) {}, "a.yaml:3:4: deny p: m\n    in  Service db\n"},
		"warn":                  {func(r *Result) { r.Action = ActionWarn }, "a.yaml:3:4: warn p: m\n    in  Service db\n"},
		"audit":                 {func(r *Result) { r.Action = ActionAudit }, "a.yaml:3:4: audit p: m\n    in  Service db\n"},
		"error":                 {func(r *Result) { r.Action = ActionError }, "a.yaml:3:4: error p: m\n    in  Service db\n"},
		"namespace":             {func(r *Result) { r.Namespace = "shop" }, "a.yaml:3:4: deny p: m\n    in  Service shop/db\n"},
		"unknown place":         {func(r *Result) { r.Line, r.Column = 0, 0 }, "a.yaml:1:1: deny p: m\n    in  Service db\n"},
		"no file":               {func(r *Result) { r.File = "" }, "deny p: m\n    in  Service db\n"},
		"no policy":             {func(r *Result) { r.Policy = "" }, "a.yaml:3:4: deny: m\n    in  Service db\n"},
		"no object":             {func(r *Result) { r.Kind, r.Name = "", "" }, "a.yaml:3:4: deny p: m\n"},
		"no message":            {func(r *Result) { r.Message = "" }, "a.yaml:3:4: deny p:\n    in  Service db\n"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := base
			test.change(&r)
			want := test.want + "0 objects: 0 denied, 0 warned, 0 errors, 0 skipped\n"
			if diff := cmp.Diff(want, write(t, FormatText, Report{Results: []Result{r}}, TextOptions{})); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestTextSummary(t *testing.T) {
	r := Report{
		Summary:      Summary{Objects: 2, Denied: 1, Skipped: 3},
		SkippedKinds: []SkippedKind{{"not a Kubernetes object", 1}, {"apps/Deployment", 2}},
	}
	want := "2 objects: 1 denied, 0 warned, 0 errors, 3 skipped (2 apps/Deployment, 1 not a Kubernetes object)\n"
	if got := write(t, FormatText, r, TextOptions{}); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	r = Report{Summary: Summary{Objects: 1, Warned: 1, Errors: 1}}
	want = "1 object: 0 denied, 1 warned, 1 error, 0 skipped\n"
	if got := write(t, FormatText, r, TextOptions{}); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTextColorOnlyAddsColor(t *testing.T) {
	t.Setenv("NO_COLOR", "1")
	colored := write(t, FormatText, shop(), TextOptions{Color: true})
	if !strings.Contains(colored, "\x1b[31;1mdeny\x1b[") {
		t.Errorf("no colour in %q", colored)
	}
	plain := regexp.MustCompile("\x1b\\[[0-9;]*m").ReplaceAllString(colored, "")
	if diff := cmp.Diff(write(t, FormatText, shop(), TextOptions{}), plain); diff != "" {
		t.Errorf("colour changed the text:\n%s", diff)
	}
}
