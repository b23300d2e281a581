package report

import (
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// logCommand is how the runners of GitHub (##[group]), Azure (##vso[task.setvariable]) and TeamCity (##teamcity[…])
// recognise a command anywhere in a line that a step prints.
var logCommand = regexp.MustCompile(`##(\w*)\[`)

// oneLine shows s on one line: a newline becomes the two characters \n.
func oneLine(s string) string {
	return strings.ReplaceAll(visible(s), "\n", `\n`)
}

// visibleLines shows s as lines without the blank ones at either end. There is always a first line.
func visibleLines(s string) []string {
	return strings.Split(strings.Trim(visible(s), "\n"), "\n")
}

// visible shows what a terminal, an editor or a CI log would otherwise act on or hide: control characters, escape
// sequences, text direction marks, odd spaces and invalid UTF-8 become Go's escapes for them. Newlines stay. A backslash
// stays as it is: this is to be read, not to be parsed.
func visible(s string) string {
	if isPlain(s) {
		return s
	}
	s = strings.ReplaceAll(s, "\r\n", "\n")
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && size == 1:
			b.WriteString(`\x` + strconv.FormatUint(uint64(s[0]), 16))
		case r == '\n' || strconv.IsPrint(r):
			b.WriteRune(r)
		default:
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		}
		s = s[size:]
	}
	return logCommand.ReplaceAllString(b.String(), `#\#$1[`)
}

// isPlain tells that there is nothing to make visible, as in nearly every text.
func isPlain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '#' {
			return false
		}
	}
	return true
}

// lineStart is a line that GitHub's runner doesn't take for a workflow command (`::name properties::data`, indented or
// not).
func lineStart(line string) string {
	text := strings.TrimLeft(line, " ")
	if rest, ok := strings.CutPrefix(text, "::"); ok && strings.Contains(rest, "::") {
		return line[:len(line)-len(text)] + `\` + text
	}
	return line
}
