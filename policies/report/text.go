package report

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/fatih/color"
)

const (
	labelAt  = "    at  "
	labelFix = "    fix "
	labelIn  = "    in  "
	// labelNone is the indentation of the second and later lines of whatever a label introduces. It is deeper than a
	// label's, so that no message can print a fix of its own.
	labelNone = "        "
)

// Message is the text of findings as kubectl shows it, one after another, in the order of a report and without an
// ending newline:
//
//	ingress-tls-required: host "shop.example.com" is served without a certificate
//	    at  spec.rules[0].host
//	    fix add to spec.tls: {hosts: [shop.example.com], secretName: shop-example-com-tls}
func Message(results ...Result) string {
	var lines []string
	for _, r := range orderedResults(results) {
		lines = append(lines, headed(policyPrefix(r.Policy), r.Message)...)
		lines = append(lines, details(r)...)
	}
	return strings.Join(lines, "\n")
}

// writeText prints each finding as Message does, with its place and action in front and its object behind, then what
// was patched, then the summary line.
func writeText(out *bytes.Buffer, r Report, opts TextOptions) error {
	paint := painter(opts.Color)
	for _, result := range r.Results {
		for _, line := range findingLines(result, paint) {
			out.WriteString(line + "\n")
		}
	}
	for _, patched := range r.Patched {
		lines, err := patchedLines(patched, paint)
		if err != nil {
			return err
		}
		for _, line := range lines {
			out.WriteString(line + "\n")
		}
	}
	out.WriteString(summaryLine(r) + "\n")
	return nil
}

func findingLines(r Result, paint func(action string) string) []string {
	head := place(r.File, r.Line, r.Column) + paint(r.Action)
	if r.Policy == "" {
		head += ": "
	} else {
		head += " " + policyPrefix(r.Policy)
	}
	lines := append(headed(head, r.Message), details(r)...)
	if object := objectName(r.Kind, r.Namespace, r.Name); object != "" {
		lines = append(lines, labelIn+object)
	}
	return lines
}

func patchedLines(p Patched, paint func(action string) string) ([]string, error) {
	line := place(p.File, p.Line, p.Column) + paint("patch") + " " + policyPrefix(p.Policy) +
		oneLine(p.Op) + " " + oneLine(p.Path)
	if p.Value != nil {
		value, err := compactJSON(p.Value)
		if err != nil {
			return nil, fmt.Errorf("value that policy %q puts at %s: %w", p.Policy, p.Path, err)
		}
		line += " " + oneLine(value)
	}
	lines := []string{line}
	if object := objectName(p.Kind, p.Namespace, p.Name); object != "" {
		lines = append(lines, labelIn+object)
	}
	return lines, nil
}

// place is `file:line:column: `, or nothing where there is no file.
func place(file string, line, column int) string {
	if file == "" {
		return ""
	}
	return lineStart(fmt.Sprintf("%s:%d:%d: ", oneLine(file), max(line, 1), max(column, 1)))
}

func policyPrefix(policy string) string {
	if policy == "" {
		return ""
	}
	return oneLine(policy) + ": "
}

// objectName is `Ingress shop/web`, as far as it is known.
func objectName(kind, namespace, name string) string {
	if namespace != "" {
		name = namespace + "/" + name
	}
	return oneLine(strings.TrimSpace(kind + " " + name))
}

func details(r Result) []string {
	var lines []string
	if r.Field != "" {
		lines = append(lines, labelAt+oneLine(r.Field))
	}
	if r.Fix != "" {
		lines = append(lines, headed(labelFix, r.Fix)...)
	}
	return lines
}

// headed is text with head before its first line and the others indented, without spaces at the ends.
func headed(head, text string) []string {
	lines := visibleLines(text)
	for i, line := range lines {
		if i == 0 {
			line = head + line
		} else {
			line = labelNone + lineStart(line)
		}
		lines[i] = strings.TrimRight(line, " ")
	}
	return lines
}

// summaryLine is `2 objects: 1 denied, 0 warned, 0 errors, 3 skipped (2 apps/Deployment, 1 not a Kubernetes object)`.
func summaryLine(r Report) string {
	line := fmt.Sprintf("%s: %d denied, %d warned, %s, %d skipped", count(r.Summary.Objects, "object"),
		r.Summary.Denied, r.Summary.Warned, count(r.Summary.Errors, "error"), r.Summary.Skipped)
	return line + skippedText(r.SkippedKinds)
}

// skippedText is ` (2 apps/Deployment)`, or nothing.
func skippedText(kinds []SkippedKind) string {
	skipped := make([]string, 0, len(kinds))
	for _, kind := range kinds {
		skipped = append(skipped, strconv.Itoa(kind.Count)+" "+oneLine(kind.What))
	}
	if len(skipped) == 0 {
		return ""
	}
	return " (" + strings.Join(skipped, ", ") + ")"
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// painter colours the word that says how severe a line is.
func painter(enabled bool) func(action string) string {
	return func(action string) string { return styled(enabled, action, action) }
}

// styled is text in the colour of an action.
func styled(enabled bool, action, text string) string {
	if !enabled {
		return text
	}
	style := color.New(color.FgGreen)
	switch action {
	case ActionDeny, ActionError, wordOpens:
		style = color.New(color.FgRed, color.Bold)
	case ActionWarn:
		style = color.New(color.FgYellow, color.Bold)
	case ActionAudit:
		style = color.New(color.FgCyan)
	}
	style.EnableColor()
	return style.Sprint(text)
}
