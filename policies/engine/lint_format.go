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
	l.findings = append(l.findings, LintFinding{file, line, column, LintFormat,
		fmt.Sprintf("not formatted: want %q", want), "run sluice lint --write"})
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
