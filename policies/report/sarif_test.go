package report

import (
	"bytes"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"
	"github.com/xeipuuv/gojsonschema"
)

// sarifLog parses what was printed and holds it against the schema of OASIS, which the library carries, and against what
// the specification says and a schema can't.
func sarifLog(t *testing.T, r Report) *sarif.Report {
	t.Helper()
	out := write(t, FormatSARIF, r, TextOptions{})
	log, err := sarif.FromBytes([]byte(out), sarif.WithStrictValidation())
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Validate(); err != nil {
		t.Fatal(err)
	}
	if log.Version != "2.1.0" || log.Schema != sarifSchema || len(log.Runs) != 1 {
		t.Fatalf("got version %q, schema %q, %d runs", log.Version, log.Schema, len(log.Runs))
	}
	run := log.Runs[0]
	rules := run.Tool.Driver.Rules
	seen := map[string]bool{}
	for _, rule := range rules {
		if seen[*rule.ID] {
			t.Errorf("rule %q is there twice", *rule.ID)
		}
		seen[*rule.ID] = true
		if *rule.ShortDescription.Text == "" || *rule.FullDescription.Text == "" || *rule.Help.Text == "" {
			t.Errorf("rule %q is not described", *rule.ID)
		}
	}
	for _, result := range run.Results {
		if rule := rules[result.RuleIndex]; *rule.ID != *result.RuleID {
			t.Errorf("ruleIndex %d of a result of %q is %q", result.RuleIndex, *result.RuleID, *rule.ID)
		}
		if len(result.PartialFingerprints[fingerprintKey]) != 32 {
			t.Errorf("got fingerprints %v", result.PartialFingerprints)
		}
		for _, location := range result.Locations {
			uri, region := *location.PhysicalLocation.ArtifactLocation.URI, location.PhysicalLocation.Region
			if _, err := url.Parse(uri); err != nil || *region.StartLine < 1 || *region.StartColumn < 1 {
				t.Errorf("bad place %q:%d:%d: %v", uri, *region.StartLine, *region.StartColumn, err)
			}
		}
	}
	for _, note := range run.Invocations[0].ToolExecutionNotifications {
		if rule := rules[note.AssociatedRule.Index]; *rule.ID != *note.AssociatedRule.ID {
			t.Errorf("index %d of a notification about %q is %q", note.AssociatedRule.Index, *note.AssociatedRule.ID, *rule.ID)
		}
	}
	return log
}

func TestSARIFIsValid(t *testing.T) {
	for name, r := range fixtures() {
		t.Run(name, func(t *testing.T) { sarifLog(t, r) })
	}
}

// The library decodes into its own types before it validates; this holds the bytes themselves to be one JSON document.
func TestSARIFBytesAreJSON(t *testing.T) {
	for name, r := range fixtures() {
		out := write(t, FormatSARIF, r, TextOptions{})
		if _, err := gojsonschema.NewBytesLoader([]byte(out)).LoadJSON(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !bytes.HasSuffix([]byte(out), []byte("}\n")) {
			t.Errorf("%s does not end with a newline", name)
		}
	}
}

func TestSARIFLevelsAndInvocation(t *testing.T) {
	run := sarifLog(t, shop()).Runs[0]
	levels := map[string]string{}
	for _, result := range run.Results {
		levels[*result.RuleID] = result.Level
	}
	want := map[string]string{
		"ingress-tls-required": "error", "ingress-https-redirect": "warning", "networkpolicy-opens": "note",
		"service-nodeport": "error", "service-external-ips": "error", unjudged: "error",
	}
	if diff := cmp.Diff(want, levels); diff != "" {
		t.Errorf("levels (-want +got):\n%s", diff)
	}
	invocation := run.Invocations[0]
	if *invocation.ExecutionSuccessful || len(invocation.ToolExecutionNotifications) != 3 {
		t.Errorf("got successful %t with %d notifications, want a failure with 3", *invocation.ExecutionSuccessful,
			len(invocation.ToolExecutionNotifications))
	}
	scores := map[string]any{}
	for _, rule := range run.Tool.Driver.Rules {
		scores[*rule.ID] = rule.Properties.Properties["security-severity"]
	}
	wantScores := map[string]any{
		"ingress-tls-required": "9.5", "ingress-https-redirect": "5.5", "networkpolicy-opens": "2.0", "x": nil,
		"service-nodeport": "8.0", "service-external-ips": "8.0", unjudged: nil, "unused": nil,
	}
	if diff := cmp.Diff(wantScores, scores); diff != "" {
		t.Errorf("scores (-want +got):\n%s", diff)
	}

	denied := Report{Results: []Result{{File: "a", Policy: "p", Message: "m"}}}
	if run := sarifLog(t, denied).Runs[0]; !*run.Invocations[0].ExecutionSuccessful {
		t.Error("a denial is no failure to judge")
	}
	counted := Report{Summary: Summary{Errors: 1}}
	if run := sarifLog(t, counted).Runs[0]; *run.Invocations[0].ExecutionSuccessful {
		t.Error("a run with errors counts as successful")
	}
}

func TestSARIFArtifacts(t *testing.T) {
	for file, want := range map[string]string{
		"a.yaml":         "a.yaml in %SRCROOT%",
		"./b/../c d.yml": "c%20d.yml in %SRCROOT%",
		"../up.yaml":     "../up.yaml in %SRCROOT%",
		"x:y.yaml":       "./x:y.yaml in %SRCROOT%",
		"a#b?c%20.yaml":  "a%23b%3Fc%2520.yaml in %SRCROOT%",
		"\xff.yaml":      "%FF.yaml in %SRCROOT%",
		"-":              "- in %SRCROOT%",
		"/etc/a.yaml":    "file:///etc/a.yaml",
	} {
		location := sarifArtifact(file)
		got := *location.URI
		if location.URIBaseID != nil {
			got += " in " + *location.URIBaseID
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", file, got, want)
		}
	}
}

func TestSARIFFingerprint(t *testing.T) {
	base := shop().Results[0]
	moved := base
	moved.Line, moved.Column, moved.File, moved.Fix, moved.Severity = 99, 9, "other.yaml", "other", "low"
	if fingerprint(base) != fingerprint(moved) {
		t.Error("a finding that moved is another")
	}
	seen := map[string]bool{fingerprint(base): true}
	for _, change := range []func(*Result){
		func(r *Result) { r.Policy += "x" }, func(r *Result) { r.APIVersion += "x" }, func(r *Result) { r.Kind += "x" },
		func(r *Result) { r.Namespace += "x" }, func(r *Result) { r.Name += "x" }, func(r *Result) { r.Field += "x" },
		func(r *Result) { r.Message += "x" },
	} {
		other := base
		change(&other)
		if seen[fingerprint(other)] {
			t.Errorf("%+v has the fingerprint of another finding", other)
		}
		seen[fingerprint(other)] = true
	}
}

func TestSARIFTextHasNoLinks(t *testing.T) {
	text := sarifText(Result{Message: "see [this](https://evil)", Field: "spec.rules[0].host", Fix: "{hosts: [a]}"})
	if want := "see [this] (https://evil)\n    at  spec.rules[0].host\n    fix {hosts: [a]}"; text != want {
		t.Errorf("got %q, want %q", text, want)
	}
	if strings.Contains(write(t, FormatSARIF, hostile(), TextOptions{}), `[link](https://evil),:é\n`) {
		t.Error("a message has a link")
	}
}
