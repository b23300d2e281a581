// Package authoring_test runs rego/AUTHORING.md, the guide to writing rules: its files are written as it shows them, its
// commands run in order, and what they print is compared with what it says.
package authoring_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// guide is a text in Markdown, cut at its fenced blocks. Joined, the parts are the text again.
type guide struct{ parts []part }

// part is prose, or a fenced block.
type part struct {
	line     int    // of its first line in the guide, from 1
	language string // of a block: console, rego, yaml or sh; empty for prose
	file     string // that a rego or yaml block is the content of
	text     string // of a block, what stands between the fences
}

// Languages of blocks.
const (
	console = "console" // commands behind "$ ", each with what it prints
	shell   = "sh"      // what nothing here runs
)

// fileName is the end of the prose in front of a block that is a file: the name and a colon.
var fileName = regexp.MustCompile("`([^`\\s]+\\.(?:rego|yaml))`[^`]*:\\s*$")

// parseGuide reads a guide. Every block has to say how it is run: rego and yaml blocks name the file that they are.
func parseGuide(text string) (guide, error) {
	var g guide
	current := part{line: 1}
	fenced := false
	for i, line := range strings.SplitAfter(text, "\n") {
		language, fence := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case !fence:
			current.text += line
		case !fenced:
			block := part{line: i + 2, language: language}
			if match := fileName.FindStringSubmatch(current.text); match != nil {
				block.file = match[1]
			}
			if err := block.check(); err != nil {
				return guide{}, err
			}
			g.parts = append(g.parts, current)
			current, fenced = block, true
		default:
			g.parts = append(g.parts, current)
			current, fenced = part{line: i + 2}, false
		}
	}
	if fenced {
		return guide{}, fmt.Errorf("line %d: the block has no end", current.line)
	}
	g.parts = append(g.parts, current)
	return g, nil
}

func (p part) check() error {
	switch p.language {
	case console, shell:
		return nil
	case "rego", "yaml":
		if p.file == "" {
			return fmt.Errorf("line %d: name the file in front of the block, as in \"`rules/a.rego`:\"", p.line)
		}
		return nil
	}
	return fmt.Errorf("line %d: a block in %q: expected console, rego, yaml or sh", p.line, p.language)
}

// String is the guide's text.
func (g guide) String() string {
	var out strings.Builder
	for _, p := range g.parts {
		if p.language == "" {
			out.WriteString(p.text)
			continue
		}
		out.WriteString("```" + p.language + "\n" + p.text + "```\n")
	}
	return out.String()
}

// step is a command of a console block and what it prints.
type step struct {
	line    int
	command string // may have several lines, of which all but the last end with a backslash
	output  string // without blank lines around it
}

// steps are the commands of a console block.
func (p part) steps() ([]step, error) {
	var out []step
	continued := false
	for i, line := range strings.Split(strings.TrimSuffix(p.text, "\n"), "\n") {
		command, is := strings.CutPrefix(line, "$ ")
		switch {
		case continued:
			out[len(out)-1].command += "\n" + line
		case is:
			out = append(out, step{line: p.line + i, command: command})
		case len(out) == 0:
			return nil, fmt.Errorf("line %d: expected a command behind \"$ \"", p.line+i)
		default:
			out[len(out)-1].output += line + "\n"
		}
		continued = (is || continued) && strings.HasSuffix(line, `\`)
	}
	for i := range out {
		out[i].output = strings.Trim(out[i].output, "\n")
	}
	return out, nil
}

// consoleText is the reverse of steps. A blank line follows what a command prints.
func consoleText(steps []step) string {
	var out strings.Builder
	for i, s := range steps {
		if i > 0 && steps[i-1].output != "" {
			out.WriteString("\n")
		}
		out.WriteString("$ " + s.command + "\n")
		if s.output != "" {
			out.WriteString(s.output + "\n")
		}
	}
	return out.String()
}

// A block that nothing would run, or whose file is not named, is an error, so that nobody writes one by mistake.
func TestParseGuideRefusesWhatItWouldNotRun(t *testing.T) {
	const file = "It is `a.rego`:\n\n```rego\npackage a\n```\n"
	for text, want := range map[string]string{
		file + "\n```console\n$ a \\\n  b\nc\n$ d\n```\n": "",
		"```rego\npackage a\n```\n":                       "line 2: name the file",
		file + "and\n\n```rego\npackage b\n```\n":         "line 9: name the file",
		"`a.rego`:\n\n```\na\n```\n":                      `line 4: a block in ""`,
		"```console\n$ a\n":                               "line 2: the block has no end",
		"```console\nno command\n$ a\n```\n":              "line 2: expected a command",
	} {
		g, err := parseGuide(text)
		for _, p := range g.parts {
			if p.language == console && err == nil {
				_, err = p.steps()
			}
		}
		if want == "" && err == nil && g.String() == text {
			continue
		}
		if want == "" || err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

// Commands may go over several lines; what they print is theirs alone.
func TestSteps(t *testing.T) {
	p := part{line: 1, text: "$ a \\\n  b\nc\n\n$ d\n"}
	steps, err := p.steps()
	want := []step{{1, "a \\\n  b", "c"}, {5, "d", ""}}
	if err != nil || !slices.Equal(steps, want) {
		t.Errorf("got %+v, %v, want %+v", steps, err, want)
	}
	if again := consoleText(steps); again != p.text {
		t.Errorf("written back: %q, want %q", again, p.text)
	}
}
