package engine

import (
	"fmt"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/format"
)

// Format is a file as `opa fmt` writes it.
func Format(file, source string) (string, error) {
	formatted, err := format.SourceWithOpts(file, []byte(source), format.Opts{RegoVersion: ast.RegoV1,
		ParserOptions: &ast.ParserOptions{RegoVersion: ast.RegoV1, Capabilities: capabilities()}})
	if err != nil {
		return "", fmt.Errorf("format %s: %w", file, err)
	}
	return string(formatted), nil
}

func (l *linter) format(file string) {
	source := l.sources[file]
	formatted, err := Format(file, source)
	if err != nil {
		l.findings = append(l.findings, LintFinding{file, 1, 1, LintFormat, err.Error(), ""})
		return
	}
	if formatted == source {
		return
	}
	line, column, want := firstDifference(source, formatted)
	reason := fmt.Sprintf("not formatted: want %q", around(want, column))
	switch {
	case strings.HasPrefix(source, byteOrderMark):
		reason = "not formatted: the file begins with a byte order mark (U+FEFF)"
	case strings.Contains(source, "\r\n"):
		reason = "not formatted: lines end in CR LF, want LF alone"
	case want == "":
		reason = "not formatted: want an empty line"
	}
	l.findings = append(l.findings, LintFinding{file, line, column, LintFormat, reason, "run sluice lint --write"})
}

// maxWanted is how many characters of a long line are shown to either side of a column.
const maxWanted = 100

// around is a line, or what of a long one is near the column.
func around(line string, column int) string {
	runes := []rune(line)
	first, last := max(0, column-1-maxWanted), min(len(runes), column-1+maxWanted)
	shown := string(runes[min(first, last):last])
	if first > 0 {
		shown = "…" + shown
	}
	if last < len(runes) {
		shown += "…"
	}
	return shown
}

// firstDifference is where a text differs from what is wanted, with the line that is wanted there. The column counts code
// points.
func firstDifference(text, wanted string) (line, column int, want string) {
	have, wants := strings.Split(text, "\n"), strings.Split(wanted, "\n")
	for i := range have {
		if i == len(wants) {
			return i + 1, 1, "the end of the file"
		}
		if have[i] == wants[i] {
			continue
		}
		a, b := []rune(have[i]), []rune(wants[i])
		same := 0
		for same < min(len(a), len(b)) && a[same] == b[same] {
			same++
		}
		return i + 1, same + 1, wants[i]
	}
	return len(have), len([]rune(have[len(have)-1])) + 1, wants[min(len(have), len(wants)-1)]
}
