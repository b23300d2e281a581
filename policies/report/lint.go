package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// LintFinding is one thing that an author should change. Its JSON keys are a stable interface.
type LintFinding struct {
	File   string `json:"file"`
	Line   int    `json:"line"` // from 1, as Column
	Column int    `json:"column"`
	ID     string `json:"id"`     // such as lint/format
	Reason string `json:"reason"` // why it is wrong
	Fix    string `json:"fix"`    // what to do; may be empty
}

// LintFormats lists the formats that WriteLint knows.
func LintFormats() []string { return []string{FormatText, FormatJSON, FormatGitHub} }

// WriteLint prints findings, in the order given, in one of LintFormats. Text and github end with the number of them.
func WriteLint(w io.Writer, format string, findings []LintFinding) error {
	var out bytes.Buffer
	switch format {
	case FormatText:
		writeLintText(&out, findings)
		out.WriteString(count(len(findings), "lint finding") + "\n")
	case FormatGitHub:
		for _, f := range findings {
			r := Result{File: f.File, Line: f.Line, Column: f.Column, Policy: f.ID}
			fmt.Fprintf(&out, "::error %s::%s\n", githubProperties(r), escapeData(strings.Join(lintText("", f), "\n")))
		}
		out.WriteString(count(len(findings), "lint finding") + "\n")
	case FormatJSON:
		if err := encodeJSON(&out, map[string][]LintFinding{"findings": append([]LintFinding{}, findings...)}); err != nil {
			return fmt.Errorf("report lint as json: %w", err)
		}
	default:
		return fmt.Errorf("unknown output format %q: must be one of %s", format, strings.Join(LintFormats(), ", "))
	}
	if _, err := w.Write(out.Bytes()); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

func writeLintText(out *bytes.Buffer, findings []LintFinding) {
	for _, f := range findings {
		out.WriteString(strings.Join(lintLines(f), "\n") + "\n")
	}
}

func lintLines(f LintFinding) []string {
	return lintText(place(f.File, f.Line, f.Column)+oneLine(f.ID)+": ", f)
}

func lintText(head string, f LintFinding) []string {
	lines := headed(head, f.Reason)
	if f.Fix != "" {
		lines = append(lines, headed(labelFix, f.Fix)...)
	}
	return lines
}
