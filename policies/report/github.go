package report

import (
	"bytes"
	"fmt"
	"path"
	"path/filepath"
	"strings"
)

// unjudged names, where a format needs a rule, what kept a whole file from being judged.
const unjudged = "could-not-judge"

// writeGitHub prints one workflow command per finding, which GitHub Actions shows as an annotation of its line, then the
// summary line, which is no command. GitHub keeps the first ten annotations of a level and step.
func writeGitHub(out *bytes.Buffer, r Report) error {
	for _, result := range r.Results {
		lines := headed("", result.Message)
		lines = append(lines, details(result)...)
		if object := objectName(result.Kind, result.Namespace, result.Name); object != "" {
			lines = append(lines, labelIn+object)
		}
		fmt.Fprintf(out, "::%s %s::%s\n", githubCommand(result.Action), githubProperties(result),
			escapeData(strings.Join(lines, "\n")))
	}
	out.WriteString(summaryLine(r) + "\n")
	return nil
}

func githubCommand(action string) string {
	switch action {
	case ActionWarn:
		return "warning"
	case ActionAudit:
		return "notice"
	default:
		return "error"
	}
}

func githubProperties(r Result) string {
	title := "title=" + escapeProperty(oneLine(policyOrUnjudged(r.Policy)))
	if r.File == "" {
		return title
	}
	return fmt.Sprintf("file=%s,line=%d,col=%d,%s", escapeProperty(oneLine(slashPath(r.File))), max(r.Line, 1),
		max(r.Column, 1), title)
}

func policyOrUnjudged(policy string) string {
	if policy == "" {
		return unjudged
	}
	return policy
}

// slashPath is file as a repository names it: cleaned, with forward slashes.
func slashPath(file string) string {
	return path.Clean(filepath.ToSlash(file))
}

// escapeData and escapeProperty are what the runner undoes for the data and the properties of a command:
// https://github.com/actions/toolkit/blob/main/packages/core/src/command.ts.
func escapeData(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(s)
}

func escapeProperty(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C").Replace(s)
}
