package main

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"sigs.k8s.io/yaml"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

// writePolicy writes a document of a stream: a GatePolicy whose modules are, to the byte, what the files hold. The error
// is for what the API server would refuse.
func writePolicy(out *bytes.Buffer, b engine.Bundled, action v1alpha1.Action) error {
	if err := (&v1alpha1.GatePolicySpec{Rego: b.Source, Libs: b.Libs}).CheckSize(); err != nil {
		return err
	}
	for _, kind := range b.Rule.Kinds {
		if reason := policies.NeverMatchable(kind); reason != "" {
			return fmt.Errorf("METADATA custom.kinds: no policy can match %s: %s", engine.FormatGroupKind(kind), reason)
		}
	}
	fmt.Fprintf(out, "---\napiVersion: %s\nkind: GatePolicy\nmetadata:\n  name: %s\nspec:\n  action: %s\n",
		v1alpha1.GroupVersion(), yamlName(b.Rule.ID), action)
	for i, lib := range b.Libs {
		if i == 0 {
			out.WriteString("  libs:\n")
		}
		text, err := yamlSource(lib)
		if err != nil {
			return err
		}
		out.WriteString("  - " + text)
	}
	text, err := yamlSource(b.Source)
	if err != nil {
		return err
	}
	out.WriteString("  rego: " + text)
	return nil
}

// plainName can't be read as anything but a string.
var plainName = regexp.MustCompile(`^[a-z]+(-[a-z0-9]+)+$`)

func yamlName(id string) string {
	if plainName.MatchString(id) {
		return id
	}
	return strconv.Quote(id)
}

// yamlSource is a text as a scalar that begins behind a key or dash at column 2 and ends with a newline. It is a
// block scalar wherever that gives back every byte, else a quoted one.
func yamlSource(text string) (string, error) {
	if !utf8.ValidString(text) {
		return "", errors.New("the file is not UTF-8, so that no YAML can hold it")
	}
	for _, scalar := range []string{blockScalar(text), strconv.QuoteToASCII(text) + "\n"} {
		var read map[string]map[string]string
		err := yaml.Unmarshal([]byte("x:\n  rego: "+scalar), &read)
		if err == nil && scalar != "" && read["x"]["rego"] == text {
			return scalar, nil
		}
	}
	return "", errors.New("no YAML scalar holds the file")
}

// blockScalar is a literal block scalar; "" for a text with characters that none can hold: a carriage return is a
// line break to YAML, others are not printable.
func blockScalar(text string) string {
	if text == "" || strings.IndexFunc(text, unprintable) >= 0 {
		return ""
	}
	var out strings.Builder
	out.WriteByte('|')
	if strings.ContainsRune(" \t\n", rune(text[0])) {
		out.WriteByte('2') // the indentation can't be told from the first line
	}
	lines := strings.Split(text, "\n")
	switch {
	case lines[len(lines)-1] != "":
		out.WriteByte('-')
	case len(lines) < 3 || lines[len(lines)-2] == "":
		out.WriteByte('+')
	}
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	out.WriteByte('\n')
	for _, line := range lines {
		if line != "" {
			out.WriteString("    " + line)
		}
		out.WriteByte('\n')
	}
	return out.String()
}

// unprintable tells of what YAML does not take as it is, but for tab and line feed. See yaml.org/spec, c-printable and
// b-char; U+0085, U+2028 and U+2029 are line breaks to readers of YAML 1.1.
func unprintable(r rune) bool {
	switch {
	case r == '\t', r == '\n':
		return false
	case r < 0x20, 0x7f <= r && r < 0xa0, r == 0x2028, r == 0x2029, r == 0xfeff, r == 0xfffe, r == 0xffff:
		return true
	}
	return false
}
