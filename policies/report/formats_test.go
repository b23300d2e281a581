package report

import (
	"encoding/json"
	"encoding/xml"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestJSONReadsBack(t *testing.T) {
	for name, r := range fixtures() {
		var got struct {
			Results      []Result      `json:"results"`
			Patched      []Patched     `json:"patched"`
			SkippedKinds []SkippedKind `json:"skippedKinds"`
			Summary      Summary       `json:"summary"`
		}
		decoder := json.NewDecoder(strings.NewReader(write(t, FormatJSON, r, TextOptions{})))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&got); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want := ordered(r)
		// JSON holds no invalid UTF-8; everything else comes back as it was.
		sameText := cmp.Comparer(func(a, b string) bool { return string([]rune(a)) == string([]rune(b)) })
		for what, diff := range map[string]string{
			"results":       cmp.Diff(want.Results, got.Results, sameText),
			"patched":       cmp.Diff(want.Patched, got.Patched, sameText),
			"skipped kinds": cmp.Diff(want.SkippedKinds, got.SkippedKinds, sameText),
			"summary":       cmp.Diff(want.Summary, got.Summary),
		} {
			if diff != "" {
				t.Errorf("%s: %s (-want +got):\n%s", name, what, diff)
			}
		}
	}
}

func TestJSONKeys(t *testing.T) {
	out := write(t, FormatJSON, Report{Results: []Result{{}}, Summary: Summary{Objects: 1}}, TextOptions{})
	var compact strings.Builder
	for line := range strings.Lines(out) {
		compact.WriteString(strings.TrimSpace(line))
	}
	want := `{"results": [{"file": "","line": 0,"column": 0,"apiVersion": "","kind": "","namespace": "","name": "",` +
		`"policy": "","action": "deny","message": "","field": "","fix": "","severity": ""}],` +
		`"summary": {"objects": 1,"denied": 0,"warned": 0,"errors": 0,"skipped": 0}}`
	if compact.String() != want {
		t.Errorf("got  %s\nwant %s", compact.String(), want)
	}
	if out := write(t, FormatJSON, Report{}, TextOptions{}); !strings.Contains(out, `"results": []`) {
		t.Errorf("no results are not []: %s", out)
	}
}

type junitOutcome struct {
	Type    string `xml:"type,attr"`
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Failure *junitOutcome `xml:"failure"`
	Error   *junitOutcome `xml:"error"`
	Out     string        `xml:"system-out"`
	Other   []xml.Name    `xml:",any"`
}

type junitDocument struct {
	XMLName  xml.Name `xml:"testsuites"`
	Tests    int      `xml:"tests,attr"`
	Failures int      `xml:"failures,attr"`
	Errors   int      `xml:"errors,attr"`
	Suites   []struct {
		Name  string      `xml:"name,attr"`
		Tests int         `xml:"tests,attr"`
		Cases []junitCase `xml:"testcase"`
	} `xml:"testsuite"`
}

// junitOutcomes parses what was printed, holds its totals to be right and lists "suite > case: outcome".
func junitOutcomes(t *testing.T, r Report) (junitDocument, []string) {
	t.Helper()
	var doc junitDocument
	if err := xml.Unmarshal([]byte(write(t, FormatJUnit, r, TextOptions{})), &doc); err != nil {
		t.Fatal(err)
	}
	var outcomes []string
	var counted junitDocument
	for _, suite := range doc.Suites {
		counted.Tests += suite.Tests
		for _, c := range suite.Cases {
			if len(c.Other) > 0 {
				t.Errorf("%s has unknown elements %v", c.Name, c.Other)
			}
			outcome := "passed"
			if c.Failure != nil {
				counted.Failures++
				outcome = c.Failure.Type + " " + c.Failure.Message
			}
			if c.Error != nil {
				counted.Errors++
				outcome = c.Error.Type + " " + c.Error.Message
			}
			if c.Out != "" {
				outcome += ", with output"
			}
			outcomes = append(outcomes, suite.Name+" > "+c.Name+": "+outcome)
		}
	}
	got := [...]int{len(outcomes), counted.Tests, counted.Failures, counted.Errors}
	if want := [...]int{doc.Tests, doc.Tests, doc.Failures, doc.Errors}; got != want {
		t.Errorf("counted %v test cases, tests, failures and errors, the totals say %v", got, want)
	}
	return doc, outcomes
}

func TestJUnitReadsBack(t *testing.T) {
	_, got := junitOutcomes(t, shop())
	want := []string{
		`sluice > could-not-judge: error x: policy "x" does not compile`,
		"./net/policy.yaml > NetworkPolicy shop/web: passed, with output",
		"./net/policy.yaml > Service shop/db: error service-nodeport: could not judge: namespace labels of shop are not known",
		"broken.yaml > could-not-judge: error yaml: mapping values are not allowed",
		`shop.yaml > Ingress shop/web: deny ingress-tls-required: host "shop.example.com" is served without a certificate` +
			" (and 1 more), with output",
		"shop.yaml > Service shop/web: passed",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("shop (-want +got):\n%s", diff)
	}
	if _, got := junitOutcomes(t, Report{}); got != nil {
		t.Errorf("an empty report has test cases: %q", got)
	}
	doc, _ := junitOutcomes(t, hostile())
	if text := doc.Suites[0].Cases[0].Error.Text; !strings.Contains(text, `]]><evil a="'&>\x00\a\x7f\x9b\xff`) {
		t.Errorf("the hostile text was changed: %q", text)
	}
}

// The denials of an object that could not be judged by another policy are in the error's text: a test case has one
// outcome.
func TestJUnitErrorShowsDenials(t *testing.T) {
	doc, _ := junitOutcomes(t, shop())
	c := doc.Suites[1].Cases[1]
	if c.Failure != nil || !strings.Contains(c.Error.Text, "deny service-external-ips: has external IPs") {
		t.Errorf("got failure %v and error %v", c.Failure, c.Error)
	}
}

func TestJUnitFindsTheObjectOfAResult(t *testing.T) {
	object := ObjectRef{File: "a.yaml", Line: 1, Kind: "Service", Name: "db"}
	second, other := object, object
	second.Line, other.Name = 20, "web"
	tests := map[string]struct {
		result Result
		want   []int // results of each object, and of those that are no object's
	}{
		"first":     {Result{File: "a.yaml", Line: 19, Kind: "Service", Name: "db"}, []int{1, 0, 0}},
		"second":    {Result{File: "a.yaml", Line: 20, Kind: "Service", Name: "db"}, []int{0, 0, 1}},
		"no line":   {Result{File: "a.yaml", Kind: "Service", Name: "db"}, []int{1, 0, 0}},
		"other":     {Result{File: "a.yaml", Line: 30, Kind: "Service", Name: "web"}, []int{0, 1, 0}},
		"not there": {Result{File: "b.yaml", Line: 30, Kind: "Service", Name: "web"}, []int{0, 0, 0, 1}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := ordered(Report{Results: []Result{test.result}, Objects: []ObjectRef{second, other, object}})
			var got []int
			for _, j := range judgedObjects(r) {
				got = append(got, len(j.results))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestGitHubCommands(t *testing.T) {
	tests := map[string]struct {
		result Result
		want   string
	}{
		"deny": {
			Result{File: "./a.yaml", Line: 7, Column: 5, Policy: "p", Message: "m", Field: "f", Fix: "x", Kind: "K", Name: "n"},
			"::error file=a.yaml,line=7,col=5,title=p::m%0A    at  f%0A    fix x%0A    in  K n",
		},
		"warn":  {Result{Policy: "p", Message: "m", Action: ActionWarn}, "::warning title=p::m"},
		"audit": {Result{Policy: "p", Message: "m", Action: ActionAudit}, "::notice title=p::m"},
		"error": {Result{File: "a", Message: "m", Action: ActionError}, "::error file=a,line=1,col=1,title=could-not-judge::m"},
		"escapes": {
			Result{File: "a:b,c%d", Policy: "p:,%", Message: "100%: a,\nb"},
			"::error file=a%3Ab%2Cc%25d,line=1,col=1,title=p%3A%2C%25::100%25: a,%0A        b",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := write(t, FormatGitHub, Report{Results: []Result{test.result}}, TextOptions{})
			if want := test.want + "\n0 objects: 0 denied, 0 warned, 0 errors, 0 skipped\n"; got != want {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		})
	}
}
