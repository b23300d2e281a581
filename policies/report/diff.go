package report

import (
	"bytes"
	"fmt"
	"io"

	"github.com/sluice-gate/sluice/policies/facts"
)

// Diff is the outcome of `sluice diff`. With Errors nothing was compared. Its JSON keys are a stable interface.
type Diff struct {
	Opens        []Change      `json:"opens"`
	Closes       []Change      `json:"closes"`
	Errors       []Result      `json:"errors"`
	SkippedKinds []SkippedKind `json:"skippedKinds,omitempty"`
	Summary      DiffSummary   `json:"summary"`
}

// Change is traffic that is opened or closed, and where the policy stands that does so.
type Change struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
	facts.Opening
	// Relabelled is a namespace because of whose labels it is so; empty if a policy changed.
	Relabelled string `json:"relabelled"`
}

// DiffSummary counts policies and changes.
type DiffSummary struct {
	Before  int `json:"before"`
	After   int `json:"after"`
	Opened  int `json:"opened"`
	Closed  int `json:"closed"`
	Errors  int `json:"errors"`
	Skipped int `json:"skipped"`
}

// DiffFormats lists the formats that WriteDiff knows.
func DiffFormats() []string { return []string{FormatText, FormatJSON} }

// WriteDiff prints d to w in one of DiffFormats, in the order that d has. The output is written at once.
func WriteDiff(w io.Writer, format string, d Diff, opts TextOptions) error {
	var out bytes.Buffer
	switch format {
	case FormatText:
		writeDiffText(&out, d, opts)
	case FormatJSON:
		d.Opens, d.Closes = append([]Change{}, d.Opens...), append([]Change{}, d.Closes...)
		d.Errors = orderedResults(d.Errors)
		if err := encodeJSON(&out, d); err != nil {
			return fmt.Errorf("report as %s: %w", format, err)
		}
	default:
		return fmt.Errorf("unknown output format %q", format)
	}
	if _, err := w.Write(out.Bytes()); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

func writeDiffText(out *bytes.Buffer, d Diff, opts TextOptions) {
	paint := painter(opts.Color)
	for _, r := range orderedResults(d.Errors) {
		for _, line := range findingLines(r, paint) {
			out.WriteString(line + "\n")
		}
	}
	for _, c := range d.Opens {
		writeChange(out, c, paint(wordOpens))
	}
	for _, c := range d.Closes {
		writeChange(out, c, paint(wordCloses))
	}
	fmt.Fprintf(out, "%s before, %d after: %d opened, %d closed, %s, %d skipped%s\n", policies(d.Summary.Before), d.Summary.After,
		d.Summary.Opened, d.Summary.Closed, count(d.Summary.Errors, "error"), d.Summary.Skipped, skippedText(d.SkippedKinds))
}

// The words that changes begin with.
const (
	wordOpens  = "opens"
	wordCloses = "closes"
)

func writeChange(out *bytes.Buffer, c Change, word string) {
	for _, line := range headed(place(c.File, c.Line, c.Column)+word+": ", c.Text) {
		out.WriteString(line + "\n")
	}
	out.WriteString(labelAt + oneLine(c.Field) + "\n")
	out.WriteString(labelIn + objectName("NetworkPolicy", c.Namespace, c.Policy) + "\n")
	if c.Relabelled != "" {
		out.WriteString(labelBy + "the labels of Namespace " + oneLine(c.Relabelled) + "\n")
	}
}

// labelBy introduces what else a change is because of.
const labelBy = "    by  "

func policies(n int) string {
	if n == 1 {
		return "1 policy"
	}
	return fmt.Sprintf("%d policies", n)
}
