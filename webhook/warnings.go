package webhook

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-gate/sluice/policies"
)

// The API server cuts warnings beyond these (in characters; here in bytes, which is stricter), and drops
// the ones with control characters.
const (
	maxWarning  = 256
	maxWarnings = 4096
)

// warnings are one line for each finding, `policy: message (fix)`. A line that is too long loses its fix
// first; lines that are too many are counted in the last one.
func warnings(findings []policies.Finding) []string {
	var lines []string
	for _, f := range findings {
		if line := warningLine(f); !slices.Contains(lines, line) { // the API server drops repetitions
			lines = append(lines, line)
		}
	}
	return withinTotal(lines)
}

func warningLine(f policies.Finding) string {
	line := oneLine(f.Policy + ": " + f.Message)
	if f.Fix != "" {
		if long := line + " (" + oneLine(f.Fix) + ")"; len(long) <= maxWarning {
			return long
		}
	}
	return shorten(line, maxWarning)
}

func withinTotal(lines []string) []string {
	const room = 80 // for the last line
	size, fits := 0, 0
	for _, line := range lines {
		size += len(line)
		if size <= maxWarnings-room {
			fits++
		}
	}
	if size <= maxWarnings {
		return lines
	}
	return append(lines[:fits:fits], fmt.Sprintf("sluice: %d more warnings, see all with `sluice check`", len(lines)-fits))
}

// oneLine replaces what a header or terminal can't show, newlines among it, by single spaces.
func oneLine(text string) string {
	var out strings.Builder
	gap := false
	for _, r := range text {
		switch {
		case r == ' ' || !strconv.IsPrint(r):
			gap = out.Len() > 0
		default:
			if gap {
				out.WriteByte(' ')
				gap = false
			}
			out.WriteRune(r)
		}
	}
	return out.String()
}
