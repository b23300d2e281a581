// Package report prints what `sluice check` found: plain structs in, bytes out.
//
// Every format shows the same findings in the same order and none of them trusts what it prints: file names, object
// names and messages may come from a pull request of a stranger, so nothing in them can move a terminal's cursor, start
// a workflow command or leave its XML element.
package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// The actions a Result can have. Anything else, the empty string included, counts as ActionDeny.
const (
	ActionDeny  = "deny"
	ActionWarn  = "warn"
	ActionAudit = "audit"
	ActionError = "error" // the policy, or the file if Policy is empty, could not be judged
)

// The formats that Write knows, in the order of Formats.
const (
	FormatText   = "text"
	FormatJSON   = "json"
	FormatSARIF  = "sarif"
	FormatJUnit  = "junit"
	FormatGitHub = "github"
)

// Result is one finding of one policy on one object, placed in a file. Its JSON keys are a stable interface.
type Result struct {
	// File is as the user would name it: relative to the working directory, or absolute. Empty if the finding belongs to
	// no file.
	File string `json:"file"`
	// Line and Column count from 1, Column in Unicode code points. 0 means unknown; only json shows it as 0, the other
	// formats as 1.
	Line   int `json:"line"`
	Column int `json:"column"`

	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace"`
	Name       string `json:"name"`

	Policy   string `json:"policy"`
	Action   string `json:"action"` // deny, warn, audit or error
	Message  string `json:"message"`
	Field    string `json:"field"`
	Fix      string `json:"fix"`
	Severity string `json:"severity"` // critical, high, medium or low
}

// Patched is one operation that a policy's patch did to an object before it was judged.
type Patched struct {
	File      string `json:"file"`
	Line      int    `json:"line"`
	Column    int    `json:"column"`
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Policy    string `json:"policy"`
	Op        string `json:"op"`   // of RFC 6902
	Path      string `json:"path"` // a JSON pointer
	// Value is what encoding/json can encode; nil is left out.
	Value any `json:"value,omitempty"`
}

// ObjectRef is one object that was judged. JUnit shows those without findings as passed.
type ObjectRef struct {
	File       string
	Line       int
	APIVersion string
	Kind       string
	Namespace  string
	Name       string
}

// Summary counts what the check did. Write prints it as given and derives nothing from it but, for SARIF, that a run
// with errors was not successful.
type Summary struct {
	Objects int `json:"objects"`
	Denied  int `json:"denied"`
	Warned  int `json:"warned"`
	Errors  int `json:"errors"`
	Skipped int `json:"skipped"`
}

// SkippedKind says what was not judged and how often: "apps/Deployment", "not a Kubernetes object".
type SkippedKind struct {
	What  string `json:"what"`
	Count int    `json:"count"`
}

// Rule describes a policy for SARIF. A policy that has results but no Rule is described by its id.
type Rule struct {
	ID          string
	Title       string
	Description string
	Severity    string // critical, high, medium or low
	HelpURI     string
}

// Report is the outcome of one run of `sluice check`. The order of its slices does not matter.
type Report struct {
	Results      []Result
	Patched      []Patched
	Objects      []ObjectRef
	Summary      Summary
	SkippedKinds []SkippedKind
	Rules        []Rule
	ToolVersion  string
}

// TextOptions changes how FormatText looks; the other formats ignore it.
type TextOptions struct {
	// Color adds ANSI colours, whatever the environment says: whether a person looks at a terminal is the caller's to know.
	Color bool
}

// Formats lists the formats that Write knows.
func Formats() []string {
	return []string{FormatText, FormatJSON, FormatSARIF, FormatJUnit, FormatGitHub}
}

// Write prints r to w in one of Formats. Equal reports give equal bytes, in whatever order their slices are. The output
// is written at once: after an error that is not w's own, w has received nothing. r is not changed.
func Write(w io.Writer, format string, r Report, opts TextOptions) error {
	r = ordered(r)
	var out bytes.Buffer
	var err error
	switch format {
	case FormatText:
		err = writeText(&out, r, opts)
	case FormatJSON:
		err = writeJSON(&out, r)
	case FormatSARIF:
		err = writeSARIF(&out, r)
	case FormatJUnit:
		err = writeJUnit(&out, r)
	case FormatGitHub:
		err = writeGitHub(&out, r)
	default:
		return fmt.Errorf("unknown output format %q: must be one of %s", format, strings.Join(Formats(), ", "))
	}
	if err != nil {
		return fmt.Errorf("report as %s: %w", format, err)
	}
	if _, err := w.Write(out.Bytes()); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}
